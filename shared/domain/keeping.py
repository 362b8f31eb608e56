"""What is kept and for how long, and the report of what was deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.ids import OwnerId

LONGEST_DAYS = 3_650  # ten years: beyond that "keep" says it better


@dataclass(frozen=True, slots=True)
class Retention:
    """Days after a job's end. None: kept until somebody deletes it."""

    source_days: int | None = 30  # the recording as it came
    derived_days: int | None = 7  # what was made of it to work with and to listen to
    results_days: int | None = None  # the job with its transcript and report


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: while it lies there, nothing is deleted."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What is still there of one job, and until when. A time of None: not, or not planned."""

    held: Hold | None  # on the job or on its owner
    source_deleted_at: datetime | None
    derived_deleted_at: datetime | None
    source_until: datetime | None
    derived_until: datetime | None
    results_until: datetime | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """The deletion of everything of an owner, or of one person on whose behalf they asked: what went so far."""

    id: str
    owner_id: OwnerId
    on_behalf_of: str | None
    account: bool  # the owner and their keys too
    rows: Mapping[str, int]  # by table
    objects: Mapping[str, int]  # by the first part of their keys
    left: int  # deletions that the object store still owes
    error: str | None  # why the last go stopped
    requested_at: datetime
    finished_at: datetime | None
