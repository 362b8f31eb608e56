"""Deliveries as their sender sees them: take what is due, say what came of it. Several senders may run at once.

A delivery that is taken is due again after a while: who dies with it loses nothing, and the receiver knows it again by
its id. The attempt is counted when it is taken.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, func, select, text, update

from shared.domain.webhooks import WAITS_S, Answer, DeliveryStatus, Letter
from shared.store.changes import seconds
from shared.store.keeping_tables import webhook_deliveries, webhook_endpoints
from shared.store.rows import AnyRow
from shared.store.session import Database

TAKEN_S = 60.0  # a try ends after 15
AT_ONCE = 2  # tries an endpoint: one that hangs holds up little of what is for others
JITTER = 0.2  # of a wait: a thousand that failed together do not come back together
LONGEST_ASKED_S = 3_600.0  # a receiver's Retry-After counts up to an hour
TRIES_KEPT = 20
PAUSE_AFTER_S = 12 * 3_600.0  # nothing has arrived for half a day when a delivery is given up: nobody is there

# Of each endpoint those for which it has hands free. Goes from endpoint to endpoint through the index: what it costs
# grows with the endpoints that have something to be told, not with how much that is.
_FAIR = text("""
    WITH RECURSIVE told (id) AS (
        (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' AND endpoint_id > told.id
                ORDER BY endpoint_id LIMIT 1)
        FROM told WHERE told.id IS NOT NULL
    )
    SELECT due.id
    FROM told
    JOIN webhook_endpoints ON webhook_endpoints.id = told.id AND paused_at IS NULL
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM webhook_deliveries
        WHERE endpoint_id = told.id AND status = 'pending' AND due_at <= now()
        ORDER BY due_at
        LIMIT greatest(0, :at_once - (
            SELECT count(*) FROM webhook_deliveries
            WHERE endpoint_id = told.id AND token IS NOT NULL AND due_at > now()))
    ) AS due
    ORDER BY due.due_at
    LIMIT :most
""")

_PENDING = webhook_deliveries.c.status == DeliveryStatus.PENDING


class WebhookQueue:
    def __init__(self, database: Database) -> None:
        self.database = database

    def take(self, most: int) -> list[Letter]:
        """What has been due longest, of each endpoint no more than it may have under way."""
        chosen = (
            select(webhook_deliveries.c.id)
            .where(webhook_deliveries.c.id.in_(_FAIR.columns(webhook_deliveries.c.id)), *_due())
            .with_for_update(skip_locked=True)
        )
        taken = {
            "token": str(uuid4()),
            "attempt": webhook_deliveries.c.attempt + 1,
            "due_at": func.now() + seconds(TAKEN_S),
        }
        with self.database.begin() as connection:
            marked = update(webhook_deliveries).where(webhook_deliveries.c.id.in_(chosen)).values(taken)
            rows = connection.execute(marked.returning(webhook_deliveries), {"most": most, "at_once": AT_ONCE}).all()
            return _letters(connection, rows)

    def settle(self, letter: Letter, answer: Answer) -> DeliveryStatus | None:
        """None: it has been taken by another, or deleted, in the meantime."""
        with self.database.begin() as connection:
            ours = (webhook_deliveries.c.id == letter.id, webhook_deliveries.c.token == letter.token)
            row = connection.execute(select(webhook_deliveries).where(*ours).with_for_update()).one_or_none()
            if row is None:
                return None
            change = _delivered(connection, row) if answer.accepted else _failed(connection, row, answer)
            change |= {"token": None, "tries": _noted(row, answer)}
            connection.execute(update(webhook_deliveries).where(*ours).values(change))
            return DeliveryStatus(str(change["status"]))


def _due() -> tuple[ColumnElement[bool], ...]:
    return _PENDING, webhook_deliveries.c.due_at <= func.now()


def _letters(connection: Connection, rows: Sequence[AnyRow]) -> list[Letter]:
    wanted = {row.endpoint_id for row in rows}
    previous_valid = (webhook_endpoints.c.previous_until > func.now()).label("previous_valid")
    query = select(webhook_endpoints, previous_valid).where(webhook_endpoints.c.id.in_(wanted))
    endpoints = {row.id: row for row in connection.execute(query)}
    return [_letter(row, endpoints[row.endpoint_id]) for row in rows]


def _letter(row: AnyRow, endpoint: AnyRow) -> Letter:
    both = endpoint.previous_secret is not None and endpoint.previous_valid
    signed_by = (endpoint.secret, endpoint.previous_secret) if both else (endpoint.secret,)
    return Letter(row.id, row.token, row.url, row.body, signed_by, row.attempt)


def _delivered(connection: Connection, row: AnyRow) -> dict[str, object]:
    failing = (webhook_endpoints.c.id == row.endpoint_id, webhook_endpoints.c.failing_since.is_not(None))
    connection.execute(update(webhook_endpoints).where(*failing).values(failing_since=None))
    return {"status": DeliveryStatus.DELIVERED, "finished_at": func.now()}


def _failed(connection: Connection, row: AnyRow, answer: Answer) -> dict[str, object]:
    mine = webhook_endpoints.c.id == row.endpoint_id
    since = func.coalesce(webhook_endpoints.c.failing_since, func.now())
    dead_for_s = func.extract("epoch", func.now() - since).label("dead_for_s")
    noted = update(webhook_endpoints).where(mine).values(failing_since=since)
    endpoint = connection.execute(noted.returning(webhook_endpoints, dead_for_s)).one()
    if not answer.gone and row.attempt <= len(WAITS_S):
        status = DeliveryStatus.PENDING if endpoint.paused_at is None else DeliveryStatus.HELD
        return {"status": status, "due_at": func.now() + _wait(row.attempt, answer)}
    if endpoint.url is not None and endpoint.paused_at is None:
        if answer.gone:
            pause(connection, row.endpoint_id, "The receiver answered 410: it is gone")
        elif float(endpoint.dead_for_s) >= PAUSE_AFTER_S:
            pause(connection, row.endpoint_id, "A delivery was given up after a day, and nothing else had arrived")
    return {"status": DeliveryStatus.FAILED, "finished_at": func.now()}


def pause(connection: Connection, endpoint_id: str, reason: str) -> None:
    """What is under way ends as it will; everything else waits for somebody to resume."""
    mine = webhook_endpoints.c.id == endpoint_id
    connection.execute(update(webhook_endpoints).where(mine).values(paused_at=func.now(), pause_reason=reason))
    waiting = (webhook_deliveries.c.endpoint_id == endpoint_id, _PENDING, webhook_deliveries.c.token.is_(None))
    connection.execute(update(webhook_deliveries).where(*waiting).values(status=DeliveryStatus.HELD))


def _wait(attempt: int, answer: Answer) -> ColumnElement[object]:
    asked_s = min(answer.retry_after_s or 0.0, LONGEST_ASKED_S)
    planned_s = WAITS_S[attempt - 1]
    return seconds(max(asked_s, planned_s)) * (1.0 + JITTER * (func.random() - 0.5))


def _noted(row: AnyRow, answer: Answer) -> list[object]:
    """The tries with this one at the end, the oldest beyond twenty left out."""
    tried = {"at": datetime.now(UTC).isoformat(), "status": answer.status, "error": answer.error}
    return [*row.tries, {**tried, "took_ms": answer.took_ms}][-TRIES_KEPT:]
