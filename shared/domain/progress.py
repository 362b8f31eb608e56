"""A progress row, as clients see it, and what its percent and ETA are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.ids import JobId, OwnerId
from shared.domain.job import ProgressStatus, RunStatus, Stage


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """One step of a job. `version` grows by one from 1, `percent` never falls."""

    job_id: JobId
    session_id: str
    owner_id: OwnerId
    version: int
    status: ProgressStatus
    stage: Stage | None
    percent: float
    eta_s: float | None
    message_key: str
    message: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RunMoment:
    """One run as it stands now; `done_s` counts seconds of audio done in this attempt.

    `free`: done, but not by work of this try: it came from the cache or was kept by a retry.
    """

    stage: Stage
    shard: int
    status: RunStatus
    done_s: float
    free: bool = False


@dataclass(frozen=True, slots=True)
class JobMoment:
    """All that an estimate is made from. `costs` are measured seconds of work per second of audio."""

    audio_s: float | None  # unknown until the download is done
    shard_s: tuple[float, ...] | None  # unknown until preprocess is done
    elapsed_s: float
    runs: tuple[RunMoment, ...]
    costs: Mapping[Stage, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is shown of a job that runs."""

    status: ProgressStatus
    stage: Stage
    percent: float
    eta_s: float | None
