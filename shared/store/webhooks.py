"""Webhooks as their owner sees them: endpoints, secrets, the log of deliveries."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Update, delete, func, insert, select, tuple_, update

from shared.domain.errors import Conflict, NotFound
from shared.domain.ids import JobId, OwnerId
from shared.domain.webhooks import (
    MOST_ENDPOINTS,
    Delivery,
    DeliveryStatus,
    Endpoint,
    NewEndpoint,
    Try,
    WebhookEvent,
)
from shared.store.keeping_tables import webhook_deliveries, webhook_endpoints
from shared.store.outbox import jobs_endpoint, new_secret, trial_body, write_deliveries
from shared.store.rows import AnyRow, from_json, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import owners
from shared.store.webhook_queue import pause

OVERLAP = timedelta(hours=24)  # signatures by the old secret too: time to bring the new one everywhere
MOST_A_PAGE = 200


class Webhooks:
    def __init__(self, database: Database) -> None:
        self.database = database

    def create_webhook(
        self, owner_id: OwnerId, url: str, *, description: str = "", events: Collection[WebhookEvent] = ()
    ) -> NewEndpoint:
        secret = new_secret()
        row = {"owner_id": owner_id, "url": url, "description": description, "events": sorted(events)}
        with self.database.begin() as connection:
            _refuse_too_many(connection, owner_id)
            made = insert(webhook_endpoints).values({**row, "secret": secret})
            return NewEndpoint(_endpoint(connection.execute(made.returning(webhook_endpoints)).one()), secret)

    def list_webhooks(self, owner_id: OwnerId) -> list[Endpoint]:
        query = select(webhook_endpoints).where(*_all_of(owner_id)).order_by(webhook_endpoints.c.created_at)
        with self.database.begin() as connection:
            return [_endpoint(row) for row in connection.execute(query)]

    def get_webhook(self, owner_id: OwnerId, endpoint_id: str) -> Endpoint:
        with self.database.begin() as connection:
            return _endpoint(_find(connection, owner_id, endpoint_id))

    def change_webhook(
        self,
        owner_id: OwnerId,
        endpoint_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        events: Collection[WebhookEvent] | None = None,
    ) -> Endpoint:
        """None: as it was. What was written before goes to the new address too."""
        wanted = {"url": url, "description": description, "events": None if events is None else sorted(events)}
        change = {name: value for name, value in wanted.items() if value is not None}
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id, lock=True)
            if change:
                connection.execute(update(webhook_endpoints).where(webhook_endpoints.c.id == found.id).values(change))
            if url is not None:
                still = (webhook_deliveries.c.endpoint_id == found.id, _open())
                connection.execute(update(webhook_deliveries).where(*still).values(url=url))
            return _endpoint(_find(connection, owner_id, endpoint_id))

    def delete_webhook(self, owner_id: OwnerId, endpoint_id: str) -> None:
        """With its log. What is under way may still arrive."""
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id)
            connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.id == found.id))

    def rotate_webhook(self, owner_id: OwnerId, endpoint_id: str, overlap: timedelta = OVERLAP) -> NewEndpoint:
        """For `overlap` everything is signed by both; the secret before the old one counts no longer."""
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id, lock=True)
            secret = _rotate(connection, found.id, overlap)
            return NewEndpoint(_endpoint(_find(connection, owner_id, endpoint_id)), secret)

    def rotate_signing_secret(self, owner_id: OwnerId, overlap: timedelta = OVERLAP) -> tuple[str, datetime]:
        """Of the addresses that jobs name themselves. (secret, until when the one before counts too)."""
        with self.database.begin() as connection:
            found = jobs_endpoint(connection, owner_id)
            secret = _rotate(connection, found.id, overlap)
            return secret, jobs_endpoint(connection, owner_id).previous_until

    def pause_webhook(self, owner_id: OwnerId, endpoint_id: str) -> Endpoint:
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id, lock=True)
            if found.paused_at is None:
                pause(connection, found.id, "Paused by its owner")
            return _endpoint(_find(connection, owner_id, endpoint_id))

    def resume_webhook(self, owner_id: OwnerId, endpoint_id: str) -> Endpoint:
        """What was held meanwhile is sent now, with all its tries before it."""
        awake = {"paused_at": None, "pause_reason": None, "failing_since": None}
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id, lock=True)
            connection.execute(update(webhook_endpoints).where(webhook_endpoints.c.id == found.id).values(awake))
            held = (webhook_deliveries.c.endpoint_id == found.id, webhook_deliveries.c.status == DeliveryStatus.HELD)
            connection.execute(update(webhook_deliveries).where(*held).values(_afresh()))
            return _endpoint(_find(connection, owner_id, endpoint_id))

    def test_webhook(self, owner_id: OwnerId, endpoint_id: str) -> Delivery:
        """A delivery by hand. Conflict while the endpoint is paused."""
        with self.database.begin() as connection:
            found = _find(connection, owner_id, endpoint_id)
            _refuse_paused(found)
            [delivery_id] = write_deliveries(connection, WebhookEvent.TEST, trial_body(), [(found, found.url)])
            return _delivery(_find_delivery(connection, owner_id, delivery_id))

    def list_deliveries(
        self,
        owner_id: OwnerId,
        *,
        endpoint_id: str | None = None,
        status: DeliveryStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[list[Delivery], str | None]:
        """Newest first, and what to give as `before` for the next page."""
        table = webhook_deliveries
        limit = max(1, min(limit, MOST_A_PAGE))
        query = select(table).where(table.c.owner_id == owner_id).order_by(table.c.created_at.desc(), table.c.id.desc())
        if endpoint_id is not None:
            query = query.where(table.c.endpoint_id == uuid_or_missing(endpoint_id, "webhook"))
        if status is not None:
            query = query.where(table.c.status == status)
        with self.database.begin() as connection:
            if before is not None:
                last = _find_delivery(connection, owner_id, before)
                types = [table.c.created_at.type, table.c.id.type]
                query = query.where(
                    tuple_(table.c.created_at, table.c.id) < tuple_(last.created_at, last.id, types=types)
                )
            found = [_delivery(row) for row in connection.execute(query.limit(limit + 1))]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def get_delivery(self, owner_id: OwnerId, delivery_id: str) -> tuple[Delivery, str]:
        """With the body, as it is signed."""
        with self.database.begin() as connection:
            row = _find_delivery(connection, owner_id, delivery_id)
            return _delivery(row), row.body

    def redeliver(self, owner_id: OwnerId, delivery_id: str) -> Delivery:
        """Once more from the beginning, under the same id. Conflict while it is under way, or its endpoint paused."""
        with self.database.begin() as connection:
            row = _find_delivery(connection, owner_id, delivery_id, lock=True)
            _refuse_paused(
                connection.execute(select(webhook_endpoints).where(webhook_endpoints.c.id == row.endpoint_id)).one()
            )
            if row.token is not None:
                raise Conflict(f"Delivery {row.id} is being made just now; look again in a minute")
            again = update(webhook_deliveries).where(webhook_deliveries.c.id == row.id).values(_afresh())
            return _delivery(connection.execute(again.returning(webhook_deliveries)).one())


def _afresh() -> dict[str, Any]:
    return {"status": DeliveryStatus.PENDING, "attempt": 0, "due_at": func.now(), "finished_at": None}


def _all_of(owner_id: OwnerId) -> tuple[Any, ...]:
    return webhook_endpoints.c.owner_id == owner_id, webhook_endpoints.c.url.is_not(None)


def _open() -> Any:
    return webhook_deliveries.c.status.in_((DeliveryStatus.PENDING, DeliveryStatus.HELD))


def _refuse_too_many(connection: Connection, owner_id: OwnerId) -> None:
    one_at_a_time = select(owners.c.id).where(owners.c.id == owner_id).with_for_update(key_share=True)
    connection.execute(one_at_a_time)
    if connection.execute(select(func.count()).where(*_all_of(owner_id))).scalar_one() >= MOST_ENDPOINTS:
        error = Conflict(f"There are {MOST_ENDPOINTS} webhooks already, which is the most; delete one first")
        error.code = "too_many_webhooks"
        raise error


def _refuse_paused(endpoint: AnyRow) -> None:
    if endpoint.paused_at is not None:
        error = Conflict(f"Webhook {endpoint.id} is paused; resume it first")
        error.code = "webhook_paused"
        raise error


def _find(connection: Connection, owner_id: OwnerId, endpoint_id: str, *, lock: bool = False) -> AnyRow:
    wanted = uuid_or_missing(endpoint_id, "webhook")
    query = select(webhook_endpoints).where(*_all_of(owner_id), webhook_endpoints.c.id == wanted)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no webhook {endpoint_id!r}")
    return row


def _find_delivery(connection: Connection, owner_id: OwnerId, delivery_id: str, *, lock: bool = False) -> AnyRow:
    wanted = uuid_or_missing(delivery_id, "delivery")
    mine = (webhook_deliveries.c.owner_id == owner_id, webhook_deliveries.c.id == wanted)
    query = select(webhook_deliveries).where(*mine)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no delivery {delivery_id!r}")
    return row


def _rotate(connection: Connection, endpoint_id: str, overlap: timedelta) -> str:
    secret = new_secret()
    change = {
        "secret": secret,
        "previous_secret": webhook_endpoints.c.secret,
        "previous_until": func.now() + overlap,
    }
    rotated: Update = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(change)
    connection.execute(rotated)
    return secret


def _endpoint(row: AnyRow) -> Endpoint:
    return Endpoint(
        id=row.id,
        url=row.url,
        description=row.description,
        events=tuple(WebhookEvent(event) for event in row.events),
        previous_until=row.previous_until,
        failing_since=row.failing_since,
        paused_at=row.paused_at,
        pause_reason=row.pause_reason,
        created_at=row.created_at,
    )


def _delivery(row: AnyRow) -> Delivery:
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        job_id=JobId(row.job_id) if row.job_id else None,
        event=WebhookEvent(row.event),
        url=row.url,
        status=DeliveryStatus(row.status),
        attempt=row.attempt,
        due_at=row.due_at if row.status == DeliveryStatus.PENDING else None,
        tries=from_json(tuple[Try, ...], row.tries),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
