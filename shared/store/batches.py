"""Batches: hundreds of jobs asked for at once, in one transaction, and as one request that may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import Conflict, VibeInsightError
from shared.domain.ids import JobId, OwnerId, RunId
from shared.domain.job import Job, Stage
from shared.domain.records import Created
from shared.store.admission import Admission
from shared.store.queue_tables import batches
from shared.store.read_jobs import job_columns
from shared.store.rows import job_of
from shared.store.session import Database
from shared.store.submit import NewJob, Outcome, submit
from shared.store.tables import jobs

MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class BatchItem:
    """The job, or why there is none; neither, when the job has been deleted since."""

    job: Job | None
    error: dict[str, Any] | None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """`fresh` is False when the whole request had been made before."""

    items: list[BatchItem]
    fresh: bool
    runs: list[tuple[Stage, RunId]]


class Batches:
    def __init__(self, database: Database, admission: Admission) -> None:
        self.database, self.admission = database, admission

    def create_batch(
        self,
        owner_id: OwnerId,
        wanted: Sequence[NewJob | VibeInsightError],
        *,
        body_hash: str,
        idempotency_key: str | None = None,
    ) -> Batch:
        """All that can be a job becomes one, or nothing does: what refuses the owner refuses the batch."""
        with self.database.begin() as connection:
            batch_id = _write(connection, owner_id, idempotency_key, body_hash)
            if batch_id is None:
                return _batch_of_key(connection, owner_id, idempotency_key, body_hash)
            outcomes = submit(connection, self.admission, owner_id, wanted)
            kept = (
                update(batches).where(batches.c.id == batch_id).values(items=[_kept(outcome) for outcome in outcomes])
            )
            connection.execute(kept)
        runs = [run for outcome in outcomes if isinstance(outcome, Created) for run in outcome.runs]
        return Batch([_item(outcome) for outcome in outcomes], fresh=True, runs=runs)


def _write(connection: Connection, owner_id: OwnerId, key: str | None, body_hash: str) -> str | None:
    """None: the key has been used. Waits for who is using it at this moment."""
    row: dict[str, Any] = {"owner_id": owner_id, "idempotency_key": key, "body_hash": body_hash, "items": []}
    once = insert(batches).values(row).on_conflict_do_nothing(index_elements=["owner_id", "idempotency_key"])
    return connection.execute(once.returning(batches.c.id)).scalar_one_or_none()


def _batch_of_key(connection: Connection, owner_id: OwnerId, key: str | None, body_hash: str) -> Batch:
    mine = (batches.c.owner_id == owner_id, batches.c.idempotency_key == key)
    row = connection.execute(select(batches).where(*mine)).one()
    if row.body_hash != body_hash:
        raise Conflict("This Idempotency-Key was used with another batch; take a new key for a new request")
    ids = [item["job"] for item in row.items if item.get("job")]
    query = job_columns().where(jobs.c.owner_id == owner_id, jobs.c.id.in_(ids))
    found = {job.id: job for job in map(job_of, connection.execute(query))}
    items = [BatchItem(found.get(JobId(item.get("job") or "")), item.get("error")) for item in row.items]
    return Batch(items, fresh=False, runs=[])


def _kept(outcome: Outcome) -> dict[str, Any]:
    return {"job": outcome.job.id} if isinstance(outcome, Created) else {"error": _said(outcome)}


def _item(outcome: Outcome) -> BatchItem:
    if isinstance(outcome, Created):
        return BatchItem(outcome.job, None, outcome.fresh)
    return BatchItem(None, _said(outcome))


def _said(error: VibeInsightError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "errors": error.details.get("errors")}
