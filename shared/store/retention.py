"""How long things are kept: the owner's policy, legal holds, and what expires. Deleting is decided here and done by
shared/keeping; a job that runs is never touched.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import Conflict, Gone, Held, NotFound
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Job, JobStatus, Source, SourceKind, Stage
from shared.domain.keeping import Hold, Kept, Retention
from shared.store.deletions import being_deleted, doom
from shared.store.keeping_tables import retention_policies as policies
from shared.store.progress import lock_job
from shared.store.rows import AnyRow, from_json, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import artefacts, jobs, stage_runs, uploads

DEFAULT = Retention()
MADE_OF_IT = (Stage.PREPROCESS, Stage.TRANSCRIBE, Stage.DIARIZE, Stage.ANALYZE)  # the spoken summary is a result
_NEED_SOURCE = frozenset({Stage.PREPROCESS})
_NEED_DERIVED = frozenset({Stage.TRANSCRIBE, Stage.DIARIZE})


def refuse_held(connection: Connection, job_id: str) -> None:
    """Before anything of a job is deleted. The caller holds the job's lock."""
    held = hold_of(connection, job_id)
    if held is not None:
        since = held.since.date().isoformat()
        raise Held(f"A legal hold lies on job {job_id} since {since}: {held.reason}", held_at=held.since)


def hold_of(connection: Connection, job_id: str) -> Hold | None:
    """The job's, or its owner's."""
    columns = (jobs.c.held_at, jobs.c.hold_reason, policies.c.held_at.label("all_at"), policies.c.hold_reason)
    joined = jobs.outerjoin(policies, policies.c.owner_id == jobs.c.owner_id)
    row = connection.execute(select(*columns).select_from(joined).where(jobs.c.id == job_id)).one_or_none()
    if row is None or (row[0] is None and row[2] is None):
        return None
    return Hold(row[0], row[1]) if row[0] is not None else Hold(row[2], row[3])


def owner_hold_of(connection: Connection, owner_id: str) -> Hold | None:
    query = select(policies.c.held_at, policies.c.hold_reason).where(policies.c.owner_id == owner_id)
    row = connection.execute(query).one_or_none()
    return None if row is None or row.held_at is None else Hold(row.held_at, row.hold_reason)


def restart_from(connection: Connection, job: Job, from_stage: Stage | None) -> Stage | None:
    """Where a retry can begin: earlier than asked when what it needs has expired and can be made again.

    Raises Gone when it cannot, Held where the old result must stay. The caller holds the job's lock.
    """
    refuse_held(connection, job.id)
    row = connection.execute(select(jobs).where(jobs.c.id == job.id)).one()
    if row.source_deleted_at is None and row.derived_deleted_at is None:
        return from_stage
    if being_deleted(connection, job.id):
        conflict = Conflict(f"The recording of job {job.id} is being deleted just now; try again in a minute")
        conflict.code = "being_deleted"
        raise conflict
    needed = _stages_to_do(connection, job.id, from_stage)
    if Stage.DOWNLOAD in needed:
        return _fetch_again(connection, job, row)
    if needed & _NEED_DERIVED and row.derived_deleted_at is not None:
        needed |= _NEED_SOURCE
    if not needed & _NEED_SOURCE:
        return from_stage
    if row.source_deleted_at is not None:
        return _fetch_again(connection, job, row)
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(derived_deleted_at=None))
    return Stage.PREPROCESS


def _fetch_again(connection: Connection, job: Job, row: AnyRow) -> Stage:
    if row.source_deleted_at is not None and job.source.kind is not SourceKind.URL:
        raise audio_gone(job.id, row.source_deleted_at, "a retry needs it: send the recording again")
    back = {"source_deleted_at": None, "derived_deleted_at": None}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(back))
    return Stage.DOWNLOAD


def _stages_to_do(connection: Connection, job_id: str, from_stage: Stage | None) -> set[Stage]:
    undone = select(stage_runs.c.stage).where(stage_runs.c.job_id == job_id, stage_runs.c.status != "done")
    stages = {Stage(stage) for stage in connection.execute(undone).scalars()}
    return stages | ({from_stage} if from_stage else set())


def audio_gone(job_id: str, when: datetime, what_to_do: str) -> Gone:
    error = Gone(
        f"The recording of job {job_id} was deleted on {when.date().isoformat()}; {what_to_do}", deleted_at=when
    )
    error.code = "audio_deleted"
    return error


def drop_audio(connection: Connection, job: AnyRow, *, source: bool, derived: bool) -> None:
    """Marked in the rows, decided for the store. `job` is the locked row of an ended job."""
    stages = [*([Stage.DOWNLOAD] if source else []), *(MADE_OF_IT if derived else [])]
    with_files = (
        artefacts.c.job_id == job.id,
        artefacts.c.stage.in_(stages),
        func.jsonb_array_length(artefacts.c.files) > 0,
    )
    marked = update(artefacts).where(*with_files).values(files_deleted_at=func.now()).returning(artefacts.c.stage)
    left = set(connection.execute(marked).scalars())
    prefixes = [f"jobs/{job.id}/{stage}/" for stage in stages if stage in left]
    if source:
        prefixes += drop_upload(connection, job)
    gone = {"source_deleted_at": source, "derived_deleted_at": derived}
    now = {name: func.coalesce(jobs.c[name], func.now()) for name, goes in gone.items() if goes}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(now))
    doom(connection, prefixes, job_id=job.id)


def drop_upload(connection: Connection, job: AnyRow) -> list[str]:
    """The upload goes with the last job that may still want it."""
    source = from_json(Source, job.source)
    if source.kind is not SourceKind.UPLOAD:
        return []
    same = (jobs.c.source["value"].astext == source.value, jobs.c.source["kind"].astext != SourceKind.URL)
    others = select(jobs.c.id).where(*same, jobs.c.id != job.id, jobs.c.source_deleted_at.is_(None)).limit(1)
    if connection.execute(others).first() is not None:
        return []
    connection.execute(delete(uploads).where(uploads.c.id == source.value))
    return [f"uploads/{job.owner_id}/{source.value}/"]


class Keeping:
    """The owner's side of it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def retention(self, owner_id: OwnerId) -> Retention:
        query = select(policies.c.source_days, policies.c.derived_days, policies.c.results_days)
        with self.database.begin() as connection:
            row = connection.execute(query.where(policies.c.owner_id == owner_id)).one_or_none()
        return DEFAULT if row is None else Retention(*row)

    def set_retention(self, owner_id: OwnerId, wanted: Retention) -> Retention:
        """Counts from each job's end, for jobs that have ended already too."""
        days = {name: getattr(wanted, name) for name in ("source_days", "derived_days", "results_days")}
        self._policy(owner_id, days)
        return wanted

    def owner_hold(self, owner_id: OwnerId) -> Hold | None:
        with self.database.begin() as connection:
            return owner_hold_of(connection, owner_id)

    def hold_owner(self, owner_id: OwnerId, reason: str) -> Hold:
        """On everything of the owner."""
        self._policy(owner_id, {"held_at": func.coalesce(policies.c.held_at, func.now()), "hold_reason": reason})
        held = self.owner_hold(owner_id)
        assert held is not None  # noqa: S101 - just written
        return held

    def release_owner(self, owner_id: OwnerId) -> None:
        self._policy(owner_id, {"held_at": None, "hold_reason": None})

    def hold_job(self, owner_id: OwnerId, job_id: JobId, reason: str) -> Kept:
        with self.database.begin() as connection:
            row = _locked(connection, owner_id, job_id)
            held = {"held_at": func.coalesce(jobs.c.held_at, func.now()), "hold_reason": reason}
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(held))
            return _kept(connection, row.id)

    def release_job(self, owner_id: OwnerId, job_id: JobId) -> Kept:
        with self.database.begin() as connection:
            row = _locked(connection, owner_id, job_id)
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(held_at=None, hold_reason=None))
            return _kept(connection, row.id)

    def kept(self, owner_id: OwnerId, job_id: JobId) -> Kept:
        with self.database.begin() as connection:
            return _kept(connection, _find(connection, owner_id, job_id).id)

    def require_free(self, owner_id: OwnerId, job_id: JobId) -> None:
        """Raises Held, or NotFound."""
        with self.database.begin() as connection:
            refuse_held(connection, _find(connection, owner_id, job_id).id)

    def delete_audio(self, owner_id: OwnerId, job_id: JobId) -> Kept:
        """The recording and what was made of it to listen to; transcript, report and spoken summary stay."""
        with self.database.begin() as connection:
            row = _locked(connection, owner_id, job_id)
            if not JobStatus(row.status).ended:
                raise Conflict(f"Job {row.id} is {row.status} and needs its recording; cancel it first")
            refuse_held(connection, row.id)
            drop_audio(connection, row, source=True, derived=True)
            return _kept(connection, row.id)

    def _policy(self, owner_id: OwnerId, change: dict[str, Any]) -> None:
        first = {"owner_id": owner_id, "source_days": DEFAULT.source_days, "derived_days": DEFAULT.derived_days}
        with self.database.begin() as connection:
            connection.execute(insert(policies).values(first).on_conflict_do_nothing())
            changed = update(policies).where(policies.c.owner_id == owner_id)
            connection.execute(changed.values({**change, "updated_at": func.now()}))


def _find(connection: Connection, owner_id: OwnerId, job_id: JobId) -> AnyRow:
    mine = (jobs.c.id == uuid_or_missing(job_id, "job"), jobs.c.owner_id == owner_id)
    row = connection.execute(select(jobs).where(*mine)).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}")
    return row


def _locked(connection: Connection, owner_id: OwnerId, job_id: JobId) -> AnyRow:
    lock_job(connection, uuid_or_missing(job_id, "job"))
    return _find(connection, owner_id, job_id)


def _kept(connection: Connection, job_id: str) -> Kept:
    joined = jobs.outerjoin(policies, policies.c.owner_id == jobs.c.owner_id)
    known = policies.c.owner_id.is_not(None).label("known")
    days = (policies.c.source_days, policies.c.derived_days, policies.c.results_days)
    row = connection.execute(select(jobs, known, *days).select_from(joined).where(jobs.c.id == job_id)).one()
    policy = Retention(row.source_days, row.derived_days, row.results_days) if row.known else DEFAULT
    held = hold_of(connection, job_id)

    def until(days: int | None, gone_at: datetime | None) -> datetime | None:
        if days is None or row.finished_at is None or gone_at is not None or held is not None:
            return None
        end: datetime = row.finished_at + timedelta(days=days)
        return end

    return Kept(
        held=held,
        source_deleted_at=row.source_deleted_at,
        derived_deleted_at=row.derived_deleted_at,
        source_until=until(policy.source_days, row.source_deleted_at),
        derived_until=until(policy.derived_days, row.derived_deleted_at),
        results_until=until(policy.results_days, None),
    )


def days_of(column: ColumnElement[Any], default: int | None) -> ColumnElement[Any]:
    """The owner's, which may be null for ever; the default where they have chosen nothing."""
    return case((policies.c.owner_id.is_(None), default), else_=column)


def not_held() -> ColumnElement[bool]:
    return jobs.c.held_at.is_(None) & or_(policies.c.owner_id.is_(None), policies.c.held_at.is_(None))
