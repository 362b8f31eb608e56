"""What the ledger answers beside jobs: uploads, pages of a list, a job just created."""

from dataclasses import dataclass

from shared.domain.ids import OwnerId, RunId, UploadId
from shared.domain.job import Job, Stage


@dataclass(frozen=True, slots=True)
class Upload:
    """A place in the object store that an owner may fill. `multipart_id` is set while parts are expected."""

    id: UploadId
    owner_id: OwnerId
    key: str
    filename: str
    content_type: str
    bytes: int
    multipart_id: str | None
    completed: bool


@dataclass(frozen=True, slots=True)
class Created:
    """A job and the runs to ring. `fresh` is False when the idempotency key had been seen before."""

    job: Job
    fresh: bool
    runs: list[tuple[Stage, RunId]]


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next_cursor` is None on the last page."""

    jobs: list[Job]
    next_cursor: str | None
