"""The audit log: who did what, when, from where. Entries are added, never changed; a trigger sees to it."""

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from shared.domain.access import AuditEntry, AuditPage, AuditRow
from shared.domain.ids import OwnerId
from shared.store.access_tables import audit_log
from shared.store.rows import AnyRow
from shared.store.session import Database

MOST_A_PAGE = 200


def record(connection: Connection, entry: AuditEntry) -> None:
    """Within the transaction of what it tells about."""
    connection.execute(insert(audit_log).values(asdict(entry)))


class Audit:
    def __init__(self, database: Database) -> None:
        self.database = database

    def audit(self, entry: AuditEntry) -> None:
        """For what has just happened in a transaction of its own, or outside the database."""
        with self.database.begin() as connection:
            record(connection, entry)

    def audit_log(self, owner_id: OwnerId, *, limit: int = 50, before: int | None = None) -> AuditPage:
        """The owner's entries, newest first; `before` is the page before's `next_cursor`."""
        limit = max(1, min(limit, MOST_A_PAGE))
        query = select(audit_log).where(audit_log.c.owner_id == owner_id).order_by(audit_log.c.id.desc())
        if before is not None:
            query = query.where(audit_log.c.id < before)
        with self.database.reading_as(owner_id) as connection:
            rows = [_row_of(row) for row in connection.execute(query.limit(limit + 1))]
        return AuditPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _row_of(row: AnyRow) -> AuditRow:
    entry = AuditEntry(
        actor=row.actor,
        action=row.action,
        outcome=row.outcome,
        owner_id=row.owner_id,
        object_id=row.object_id,
        request_id=row.request_id,
        address=row.address,
        status=row.status,
        details=row.details,
    )
    return AuditRow(row.id, row.at, entry)
