"""What an owner has chosen for all their jobs."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, cast, func, literal, select, update

from shared.domain.ids import OwnerId
from shared.store.session import Database
from shared.store.tables import JSONB, owners


@dataclass(frozen=True, slots=True)
class OwnerPreferences:
    """`dedupe`: a recording that was analysed in the same way before is answered from what was made then."""

    dedupe: bool = True


class Preferences:
    def __init__(self, database: Database) -> None:
        self.database = database

    def preferences(self, owner_id: OwnerId) -> OwnerPreferences:
        with self.database.begin() as connection:
            dedupe = connection.execute(select(allows_dedupe(owner_id))).scalar_one()
        return OwnerPreferences(dedupe=bool(dedupe))

    def prefer(self, owner_id: OwnerId, chosen: OwnerPreferences) -> None:
        """From the next stage on, of running jobs too."""
        settings = owners.c.settings.op("||")(cast(literal({"dedupe": chosen.dedupe}, JSONB), JSONB))
        with self.database.begin() as connection:
            connection.execute(update(owners).where(owners.c.id == owner_id).values(settings=settings))


def allows_dedupe(owner_id: OwnerId) -> ColumnElement[bool]:
    """Unless they said no."""
    said = select(owners.c.settings["dedupe"].as_boolean()).where(owners.c.id == owner_id).scalar_subquery()
    return func.coalesce(said, True)
