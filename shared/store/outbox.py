"""The outbox: that a job ended, and who is to be told, is written in one transaction. The sender does the rest."""

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.domain.job import JobStatus
from shared.domain.webhooks import EVENT_OF_STATUS, DeliveryStatus, WebhookEvent
from shared.store.keeping_tables import webhook_deliveries, webhook_endpoints
from shared.store.rows import AnyRow
from shared.store.tables import jobs

SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret
SECRET_BYTES = 32  # as many as the digest has


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def announce(connection: Connection, job_id: str) -> None:
    """A delivery for each endpoint that wants to know how this job has ended."""
    job = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    event = EVENT_OF_STATUS[JobStatus(job.status)]
    told = [row for row in _endpoints(connection, job.owner_id) if not row.events or event in row.events]
    receivers = [(row, row.url) for row in told]
    if job.webhook:
        receivers.append((jobs_endpoint(connection, job.owner_id), job.webhook))
    if receivers:
        body = _body(event, {"job": _told_of(job), "result": f"/v1/jobs/{job.id}/result"})
        write_deliveries(connection, event, body, receivers, job_id=job.id)


def write_deliveries(
    connection: Connection,
    event: WebhookEvent,
    body: str,
    receivers: Sequence[tuple[AnyRow, str]],
    job_id: str | None = None,
) -> list[str]:
    """`receivers`: an endpoint's row and the address. What a paused one misses is held for it."""
    rows = [
        {
            "owner_id": endpoint.owner_id,
            "endpoint_id": endpoint.id,
            "job_id": job_id,
            "event": event,
            "url": url,
            "body": body,
            "status": DeliveryStatus.PENDING if endpoint.paused_at is None else DeliveryStatus.HELD,
        }
        for endpoint, url in receivers
    ]
    return list(connection.execute(insert(webhook_deliveries).returning(webhook_deliveries.c.id), rows).scalars())


def jobs_endpoint(connection: Connection, owner_id: str) -> AnyRow:
    """By which addresses that jobs name are signed; made when it is first needed."""
    row = {"owner_id": owner_id, "secret": new_secret()}
    connection.execute(upsert(webhook_endpoints).values(row).on_conflict_do_nothing())
    mine = (webhook_endpoints.c.owner_id == owner_id, webhook_endpoints.c.url.is_(None))
    return connection.execute(select(webhook_endpoints).where(*mine)).one()


def trial_body() -> str:
    return _body(WebhookEvent.TEST, {"message": "If you read this, your endpoint works."})


def _endpoints(connection: Connection, owner_id: str) -> Sequence[AnyRow]:
    mine = (webhook_endpoints.c.owner_id == owner_id, webhook_endpoints.c.url.is_not(None))
    return connection.execute(select(webhook_endpoints).where(*mine)).all()


def _body(event: WebhookEvent, data: dict[str, Any]) -> str:
    return json.dumps(
        {"type": event.value, "timestamp": datetime.now(UTC).isoformat(), "data": data}, ensure_ascii=False
    )


def _told_of(job: AnyRow) -> dict[str, Any]:
    """That it ended and how; what was said in it is fetched with a key."""
    return {
        "id": job.id,
        "session_id": job.session_id,
        "on_behalf_of": job.options.get("on_behalf_of"),
        "status": job.status,
        "error": job.error,
        "warnings": job.warnings,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat(),
    }
