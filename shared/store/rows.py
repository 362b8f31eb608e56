"""Rows to domain and back. JSON columns hold domain dataclasses as pydantic writes them."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row

from shared.domain.errors import NotFound
from shared.domain.job import (
    Artefact,
    Job,
    JobError,
    JobOptions,
    JobStatus,
    JobWarning,
    Priority,
    ProgressStatus,
    RunStatus,
    Source,
    Stage,
    StageRun,
    StoredFile,
)
from shared.domain.progress import ProgressRow
from shared.domain.records import Upload

T = TypeVar("T")
AnyRow = Row[Any]


@cache
def _build(type_: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", type_))


def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Building one takes milliseconds, so each is built once."""
    return _build(type_)


def to_json(value: object) -> Any:
    """A domain dataclass as plain JSON."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_json_list(values: tuple[object, ...]) -> list[Any]:
    return [to_json(value) for value in values]


def from_json(type_: type[T], value: object) -> T:
    parsed: T = _adapter(type_).validate_python(value)
    return parsed


def uuid_or_missing(value: str, what: str) -> str:
    """An id that is no UUID names nothing."""
    try:
        return str(UUID(value))
    except ValueError:
        raise NotFound(f"There is no {what} {value[:64]!r}") from None


def job_of(row: AnyRow) -> Job:
    """A row of jobs that also has `attempts` and `micro_usd`."""
    return Job(
        id=row.id,
        owner_id=row.owner_id,
        session_id=row.session_id,
        status=JobStatus(row.status),
        source=from_json(Source, row.source),
        options=from_json(JobOptions, row.options),
        webhook=row.webhook,
        stage=Stage(row.stage) if row.stage else None,
        percent=row.percent,
        eta_s=row.eta_s,
        attempts=row.attempts,
        error=from_json(JobError, row.error) if row.error else None,
        warnings=warnings_of(row.warnings),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        priority=list(Priority)[row.priority],
        deduped_from=row.deduped_from,
        micro_usd=int(row.micro_usd),
    )


def warnings_of(value: object) -> tuple[JobWarning, ...]:
    return from_json(tuple[JobWarning, ...], value)


def run_of(row: AnyRow) -> StageRun:
    return StageRun(
        id=row.id,
        job_id=row.job_id,
        stage=Stage(row.stage),
        shard=row.shard,
        status=RunStatus(row.status),
        attempt=row.attempt,
        cache_key=row.cache_key,
        error=from_json(JobError, row.error) if row.error else None,
    )


def artefact_of(row: AnyRow) -> Artefact:
    return Artefact(
        stage=Stage(row.stage),
        shard=row.shard,
        cache_key=row.cache_key,
        document=row.document,
        files=from_json(tuple[StoredFile, ...], row.files) if row.files_deleted_at is None else (),
    )


def upload_of(row: AnyRow) -> Upload:
    return Upload(
        id=row.id,
        owner_id=row.owner_id,
        key=row.key,
        filename=row.filename,
        content_type=row.content_type,
        bytes=row.bytes,
        multipart_id=row.multipart_id,
        completed=row.completed,
    )


def progress_of(row: AnyRow) -> ProgressRow:
    return ProgressRow(
        job_id=row.job_id,
        session_id=row.session_id,
        owner_id=row.owner_id,
        version=row.version,
        status=ProgressStatus(row.status),
        stage=Stage(row.stage) if row.stage else None,
        percent=row.percent,
        eta_s=row.eta_s,
        message_key=row.message_key,
        message=row.message,
        updated_at=row.updated_at,
    )
