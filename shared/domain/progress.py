"""A progress row, as clients see it."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.ids import JobId, OwnerId
from shared.domain.job import ProgressStatus, Stage


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
