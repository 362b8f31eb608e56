"""Owners and their API keys. A key is shown once and kept as its SHA-256: it has 256 random bits, so no salt."""

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import Unauthorized
from shared.domain.ids import OwnerId
from shared.store.session import Database
from shared.store.tables import api_keys, owners

PREFIX = "vi_"
RANDOM_BYTES = 32


class Keys:
    def __init__(self, database: Database) -> None:
        self.database = database

    def create_owner(self, name: str) -> OwnerId:
        with self.database.begin() as connection:
            created = connection.execute(insert(owners).values(name=name).returning(owners.c.id))
            return OwnerId(created.scalar_one())

    def ensure_owner(self, owner_id: OwnerId, name: str) -> None:
        """For owners that somebody else counts, such as the users of Supabase."""
        known = insert(owners).values(id=owner_id, name=name).on_conflict_do_nothing()
        with self.database.begin() as connection:
            connection.execute(known)

    def create_api_key(self, owner_id: OwnerId, label: str) -> str:
        secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        row = {"owner_id": owner_id, "label": label, "secret_sha256": _digest(secret)}
        with self.database.begin() as connection:
            connection.execute(insert(api_keys).values(row))
        return secret

    def owner_of_key(self, secret: str) -> OwnerId:
        query = select(api_keys.c.owner_id).where(api_keys.c.secret_sha256 == _digest(secret))
        with self.database.begin() as connection:
            owner_id = connection.execute(query).scalar_one_or_none()
        if owner_id is None:
            raise Unauthorized("This API key is not valid; create one with `vibeinsight key`")
        return OwnerId(owner_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
