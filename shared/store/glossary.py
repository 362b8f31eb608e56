"""An owner's glossary: one row, replaced as a whole."""

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from shared.domain.glossary import Term
from shared.domain.ids import OwnerId
from shared.store.analysis_tables import glossaries
from shared.store.rows import from_json, to_json_list
from shared.store.session import Database


class Glossary:
    def __init__(self, database: Database) -> None:
        self.database = database

    def glossary(self, owner_id: OwnerId) -> tuple[Term, ...]:
        """Empty until it is set."""
        query = select(glossaries.c.terms).where(glossaries.c.owner_id == owner_id)
        with self.database.begin() as connection:
            return from_json(tuple[Term, ...], connection.execute(query).scalar_one_or_none() or [])

    def set_glossary(self, owner_id: OwnerId, terms: tuple[Term, ...]) -> None:
        written = {"terms": to_json_list(terms), "updated_at": func.now()}
        row = insert(glossaries).values(owner_id=owner_id, **written)
        with self.database.begin() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["owner_id"], set_=written))
