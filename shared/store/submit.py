"""Jobs are written down here: one, or hundreds in the same transaction, each with its first run in the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql

from shared.domain.errors import Conflict, NotFound, VibeInsightError
from shared.domain.ids import JobId, OwnerId, RunId
from shared.domain.job import Job, JobOptions, Priority, ProgressStatus, Source, SourceKind, Stage
from shared.domain.messages import language_of, message
from shared.domain.records import Created
from shared.observe.metrics import REQUESTS
from shared.observe.traces import current_traceparent, new_traceparent
from shared.store.admission import Admission
from shared.store.read_jobs import job_columns
from shared.store.rows import job_of, to_json, uuid_or_missing
from shared.store.session import on_commit
from shared.store.tables import job_progress, jobs, stage_runs, uploads
from shared.store.turns import add_runs, one_at_a_time


@dataclass(frozen=True, slots=True)
class NewJob:
    """What the caller asked for."""

    source: Source
    options: JobOptions
    session_id: str | None = None
    webhook: str | None = None
    idempotency_key: str | None = None
    body_hash: str | None = None
    priority: Priority = Priority.INTERACTIVE


Outcome = Created | VibeInsightError  # of one of many: the job, or why there is none


def submit(
    connection: Connection, admission: Admission, owner_id: OwnerId, wanted: Sequence[NewJob | VibeInsightError]
) -> list[Outcome]:
    """An outcome for each, in order. What the owner may not have refuses all of them: that is raised."""
    outcomes: list[NewJob | VibeInsightError] = [_checked(connection, owner_id, new) for new in wanted]
    accepted = {place: new for place, new in enumerate(outcomes) if isinstance(new, NewJob)}
    fresh = _insert(connection, owner_id, accepted)
    runs = _begin(connection, admission, owner_id, {place: accepted[place] for place in fresh}, fresh)
    found = _read(connection, list(fresh.values()))
    return [
        outcome
        if isinstance(outcome, VibeInsightError)
        else Created(found[fresh[place]], fresh=True, runs=[runs[fresh[place]]])
        if place in fresh
        else _replayed(connection, owner_id, outcome)
        for place, outcome in enumerate(outcomes)
    ]


def _begin(
    connection: Connection,
    admission: Admission,
    owner_id: OwnerId,
    accepted: dict[int, NewJob],
    fresh: dict[int, JobId],
) -> dict[JobId, tuple[Stage, RunId]]:
    """Counted, told of, and lined up last: until the commit nobody else of this owner gets a turn."""
    if not fresh:
        return {}
    for priority in {new.priority for new in accepted.values()}:
        admission.job(connection, owner_id, priority, jobs=len(accepted))
    connection.execute(
        insert(job_progress), [_first_row(owner_id, fresh[place], new) for place, new in accepted.items()]
    )
    one_at_a_time(connection, owner_id)
    added = add_runs(connection, [(fresh[place], Stage.DOWNLOAD, 0) for place in accepted])
    ids = [run_id for _, run_id in added]
    of_job = select(stage_runs.c.id, stage_runs.c.job_id).where(stage_runs.c.id.in_(ids))
    return {JobId(job_id): (Stage.DOWNLOAD, RunId(run_id)) for run_id, job_id in connection.execute(of_job)}


def _checked(connection: Connection, owner_id: OwnerId, new: NewJob | VibeInsightError) -> NewJob | VibeInsightError:
    if isinstance(new, VibeInsightError):
        return new
    try:
        _check_source(connection, owner_id, new.source)
    except (NotFound, Conflict) as error:
        return error
    return new


def _insert(connection: Connection, owner_id: OwnerId, wanted: dict[int, NewJob]) -> dict[int, JobId]:
    """Those whose idempotency key had not been used. In the order of the keys: two batches cannot wait in a circle."""
    if not wanted:
        return {}
    places = sorted(wanted, key=lambda place: wanted[place].idempotency_key or "")
    ids = {place: JobId(str(uuid4())) for place in places}
    rows = [_row(owner_id, ids[place], wanted[place]) for place in places]
    once = postgresql.insert(jobs).values(rows).on_conflict_do_nothing(index_elements=["owner_id", "idempotency_key"])
    inserted = set(connection.execute(once.returning(jobs.c.id)).scalars())
    if inserted:
        on_commit(connection, lambda: REQUESTS.labels("accepted").inc(len(inserted)))
    return {place: ids[place] for place in sorted(places) if ids[place] in inserted}


def _row(owner_id: OwnerId, job_id: JobId, new: NewJob) -> dict[str, Any]:
    return {
        "id": job_id,
        "owner_id": owner_id,
        "session_id": new.session_id or job_id,
        "source": to_json(new.source),
        "options": to_json(new.options),
        "webhook": new.webhook,
        "idempotency_key": new.idempotency_key,
        "body_hash": new.body_hash,
        "priority": new.priority.rank,
        "traceparent": current_traceparent() or new_traceparent(),
        "progress_version": 1,
        "progress_at": func.now(),
    }


def _first_row(owner_id: OwnerId, job_id: JobId, new: NewJob) -> dict[str, object]:
    """The first progress row: it waits."""
    key = ProgressStatus.QUEUED.value
    return {
        "job_id": job_id,
        "version": 1,
        "session_id": new.session_id or job_id,
        "owner_id": owner_id,
        "status": key,
        "percent": 0.0,
        "message_key": key,
        "message": message(key, language_of(new.options)),
    }


def _read(connection: Connection, job_ids: list[JobId]) -> dict[JobId, Job]:
    rows = connection.execute(job_columns().where(jobs.c.id.in_(job_ids))) if job_ids else ()
    return {job.id: job for job in map(job_of, rows)}


def _replayed(connection: Connection, owner_id: OwnerId, new: NewJob) -> Outcome:
    mine = (jobs.c.owner_id == owner_id, jobs.c.idempotency_key == new.idempotency_key)
    row = connection.execute(job_columns().where(*mine)).one()
    if row.body_hash != new.body_hash:
        return Conflict("This Idempotency-Key was used with another request; take a new key for a new request")
    return Created(job_of(row), fresh=False, runs=[])


def _check_source(connection: Connection, owner_id: OwnerId, source: Source) -> None:
    """Nobody starts a job on somebody else's bytes, or on an upload that has not arrived."""
    if source.kind is SourceKind.UPLOAD:
        query = select(uploads.c.completed).where(
            uploads.c.owner_id == owner_id, uploads.c.id == uuid_or_missing(source.value, "upload")
        )
        completed = connection.execute(query.with_for_update(read=True, key_share=True)).scalar_one_or_none()
        if completed is None:
            raise NotFound(f"There is no upload {source.value!r}")
        if not completed:
            raise Conflict(f"Upload {source.value} has not been completed yet")
    ours = source.kind is SourceKind.S3 and source.value.startswith(("jobs/", "uploads/"))
    if ours and not source.value.startswith(f"uploads/{owner_id}/"):
        raise NotFound("There is no such object")
