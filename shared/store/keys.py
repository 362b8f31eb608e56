"""Owners and their API keys. A key is shown once and kept as its SHA-256: it has 256 random bits, so no salt and no
slow hash would make it any harder to guess, and a lookup costs one index read.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.domain.access import OWNER_SCOPES, ApiKey, AuditEntry, NewKey, Principal, Scope, read_scopes
from shared.domain.errors import Conflict, NotFound, Unauthorized
from shared.domain.ids import OwnerId
from shared.store.audit import record
from shared.store.rows import AnyRow, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import api_keys, owners

PREFIX = "vi_"
RANDOM_BYTES = 32
GRACE = timedelta(hours=24)  # a rotated key's old secret lives on for a day: time to bring the new one everywhere
LONGEST_GRACE = timedelta(days=30)


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
        """A key with everything that an owner may do; returns its secret."""
        return self.create_key(owner_id, label).secret

    def create_key(
        self,
        owner_id: OwnerId,
        label: str,
        *,
        scopes: Collection[Scope] = OWNER_SCOPES,
        expires_at: datetime | None = None,
        entry: AuditEntry | None = None,
    ) -> NewKey:
        """The secret is in the answer and nowhere else. `entry` goes into the audit log with the key."""
        secret = _draw()
        named = {"owner_id": owner_id, "label": label, "secret_sha256": _digest(secret)}
        row = {**named, "scopes": sorted(scopes), "expires_at": expires_at}
        with self.database.begin() as connection:
            _require_owner(connection, owner_id)
            key = _key_of(connection.execute(insert(api_keys).values(row).returning(api_keys)).one())
            _record(connection, entry, key)
        return NewKey(key, secret)

    def list_keys(self, owner_id: OwnerId | None) -> list[ApiKey]:
        """Newest first, revoked and expired ones too. None: everybody's, for the operator."""
        query = select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
        if owner_id is not None:
            query = query.where(api_keys.c.owner_id == owner_id)
        with self.database.begin() as connection:
            return [_key_of(row) for row in connection.execute(query)]

    def rotate_key(
        self, owner_id: OwnerId | None, key_id: str, *, grace: timedelta = GRACE, entry: AuditEntry | None = None
    ) -> NewKey:
        """A new secret under the same id; the old one is taken for `grace` more, the one before it no longer."""
        secret, until = _draw(), func.now() + min(max(grace, timedelta()), LONGEST_GRACE)
        change = {
            "secret_sha256": _digest(secret),
            "previous_sha256": api_keys.c.secret_sha256,
            "previous_until": until,
            "rotated_at": func.now(),
        }
        with self.database.begin() as connection:
            key = _change(connection, owner_id, key_id, change)
            if key.revoked_at is not None:
                raise Conflict(f"Key {key.id} has been revoked; create a new one")
            _record(connection, entry, key)
        return NewKey(key, secret)

    def revoke_key(self, owner_id: OwnerId | None, key_id: str, *, entry: AuditEntry | None = None) -> ApiKey:
        """At once, for both of its secrets, and for good. Twice is no error."""
        change = {"revoked_at": func.coalesce(api_keys.c.revoked_at, func.now()), "previous_sha256": None}
        with self.database.begin() as connection:
            key = _change(connection, owner_id, key_id, change)
            _record(connection, entry, key)
            return key

    def principal_of_key(self, secret: str) -> Principal:
        """Whom a secret stands for. Every reason why not sounds the same, except one that its holder should know."""
        digest = _digest(secret)
        matches = or_(api_keys.c.secret_sha256 == digest, api_keys.c.previous_sha256 == digest)
        query = select(api_keys, func.now().label("now")).where(matches)
        with self.database.begin() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.revoked_at is not None or not _current(row, digest):
            raise Unauthorized("This API key is not valid; create one with `vibeinsight keys create`")
        if row.expires_at is not None and row.expires_at <= row.now:
            raise Unauthorized("This API key has expired; create a new one")
        return Principal(OwnerId(row.owner_id), read_scopes(row.scopes), key_id=row.id)

    def owner_of_key(self, secret: str) -> OwnerId:
        return self.principal_of_key(secret).owner_id

    def note_key_use(self, key_ids: Iterable[str]) -> None:
        """That these keys were used just now."""
        used = update(api_keys).where(api_keys.c.id.in_(list(key_ids))).values(last_used_at=func.now())
        with self.database.begin() as connection:
            connection.execute(used)


def _draw() -> str:
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _current(row: AnyRow, digest: str) -> bool:
    """The secret of now, or the one before while its grace lasts."""
    if hmac.compare_digest(row.secret_sha256, digest):
        return True
    before = row.previous_sha256 is not None and hmac.compare_digest(row.previous_sha256, digest)
    return before and row.previous_until is not None and bool(row.previous_until > row.now)


def _require_owner(connection: Connection, owner_id: OwnerId) -> None:
    wanted = uuid_or_missing(owner_id, "owner")
    if connection.execute(select(owners.c.id).where(owners.c.id == wanted)).first() is None:
        raise NotFound(f"There is no owner {owner_id!r}")


def _change(connection: Connection, owner_id: OwnerId | None, key_id: str, change: dict[str, Any]) -> ApiKey:
    mine = update(api_keys).where(api_keys.c.id == uuid_or_missing(key_id, "key")).values(change)
    if owner_id is not None:
        mine = mine.where(api_keys.c.owner_id == owner_id)
    row = connection.execute(mine.returning(api_keys)).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id!r}")
    return _key_of(row)


def _record(connection: Connection, entry: AuditEntry | None, key: ApiKey) -> None:
    if entry is not None:
        record(connection, replace(entry, owner_id=key.owner_id, object_id=key.id))


def _key_of(row: AnyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        owner_id=row.owner_id,
        label=row.label,
        scopes=read_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        rotated_at=row.rotated_at,
        previous_until=row.previous_until,
    )
