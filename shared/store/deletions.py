"""Objects whose deletion is decided. The decision is a row in the transaction that took it; the store follows when it
can. So a store that is away delays a deletion, and nothing is deleted that was not decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Integer, Text, cast, delete, func, insert, select, update

from shared.store.changes import seconds
from shared.store.keeping_tables import erasures, object_deletions
from shared.store.session import Database

FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3_600.0  # after a try that failed; longer than one delete of a large prefix takes


@dataclass(frozen=True, slots=True)
class Doomed:
    id: str
    prefix: str


def doom(
    connection: Connection, prefixes: Sequence[str], *, job_id: str | None = None, erasure_id: str | None = None
) -> None:
    """To be deleted as soon as this transaction is committed."""
    if prefixes:
        rows = [{"prefix": prefix, "job_id": job_id, "erasure_id": erasure_id} for prefix in prefixes]
        connection.execute(insert(object_deletions), rows)


def being_deleted(connection: Connection, job_id: str) -> bool:
    """Objects of the job are decided to go and may still be there."""
    mine = select(object_deletions.c.id).where(object_deletions.c.job_id == job_id).limit(1)
    return connection.execute(mine).first() is not None


class Deletions:
    def __init__(self, database: Database) -> None:
        self.database = database

    def take(self, most: int, *, job_id: str | None = None, erasure_id: str | None = None) -> list[Doomed]:
        """Due ones, ours for a while: who dies over them leaves them to the next."""
        wanted: list[ColumnElement[bool]] = [object_deletions.c.due_at <= func.now()]
        if job_id is not None:
            wanted.append(object_deletions.c.job_id == job_id)
        if erasure_id is not None:
            wanted.append(object_deletions.c.erasure_id == erasure_id)
        due = select(object_deletions.c.id).where(*wanted).order_by(object_deletions.c.due_at).limit(most)
        wait_s = func.least(FIRST_WAIT_S * func.power(2.0, object_deletions.c.attempts), LONGEST_WAIT_S)
        taken = {"attempts": object_deletions.c.attempts + 1, "due_at": func.now() + seconds(1.0) * wait_s}
        mine = update(object_deletions).where(object_deletions.c.id.in_(due.with_for_update(skip_locked=True)))
        with self.database.begin() as connection:
            rows = connection.execute(mine.values(taken).returning(object_deletions.c.id, object_deletions.c.prefix))
            return [Doomed(row.id, row.prefix) for row in rows]

    def done(self, doomed: Doomed, objects: int) -> None:
        """Counted where somebody wants a report."""
        gone = delete(object_deletions).where(object_deletions.c.id == doomed.id)
        with self.database.begin() as connection:
            row = connection.execute(gone.returning(object_deletions.c.erasure_id)).one_or_none()
            if row is not None and row.erasure_id is not None:
                count_objects(connection, row.erasure_id, doomed.prefix, objects)

    def waiting(self) -> int:
        """How many the store still owes."""
        with self.database.begin() as connection:
            return connection.execute(select(func.count()).select_from(object_deletions)).scalar_one()


def count_objects(connection: Connection, erasure_id: str, prefix: str, objects: int) -> None:
    """Added up by the first part of the keys."""
    kind = prefix.split("/", 1)[0]
    before = func.coalesce(erasures.c.objects[kind].astext.cast(Integer), 0)
    added = erasures.c.objects.op("||")(func.jsonb_build_object(cast(kind, Text), before + objects))
    connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(objects=added))
