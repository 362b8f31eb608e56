"""What an owner may use: the settings' defaults, with the owner's own row over them."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from shared.domain.ids import OwnerId
from shared.domain.limits import Limits
from shared.settings import Settings
from shared.store.limits_tables import owner_limits
from shared.store.tables import owners

NAMES = tuple(Limits.__dataclass_fields__)


def lock_owner(connection: Connection, owner_id: OwnerId) -> None:
    """What counts against an owner's limits goes one after the other. Rows that refer to the owner are not held up."""
    connection.execute(select(owners.c.id).where(owners.c.id == owner_id).with_for_update(key_share=True))


def limits_of(connection: Connection, owner_id: OwnerId, settings: Settings) -> Limits:
    row = connection.execute(select(owner_limits).where(owner_limits.c.owner_id == owner_id)).one_or_none()
    own = {} if row is None else {name: row._mapping[name] for name in NAMES if row._mapping[name] is not None}
    return Limits(**{name: own.get(name, getattr(settings, name)) for name in NAMES})


def database_now(connection: Connection) -> datetime:
    """One clock for all: the database's."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    return now
