"""Webhooks: what is told, to whom, and how often it is tried."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import JobId
from shared.domain.job import JobStatus

# Seconds after each failed try. The first two are for a restart, the last for somebody who must get up: a day in all.
WAITS_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
MOST_ENDPOINTS = 20  # an owner's: every end of a job writes a row for each


class WebhookEvent(StrEnum):
    JOB_COMPLETED = "job.completed"  # also with warnings; `status` says which
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    TEST = "webhook.test"  # sent by hand, whatever an endpoint asked for


EVENT_OF_STATUS = {
    JobStatus.COMPLETED: WebhookEvent.JOB_COMPLETED,
    JobStatus.COMPLETED_WITH_WARNINGS: WebhookEvent.JOB_COMPLETED,
    JobStatus.FAILED: WebhookEvent.JOB_FAILED,
    JobStatus.CANCELLED: WebhookEvent.JOB_CANCELLED,
}


class DeliveryStatus(StrEnum):
    """pending -> delivered | failed; held while its endpoint is paused."""

    PENDING = "pending"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up after a day, or the receiver said that it is gone


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody to tell. Its secret is shown when it is made or rotated, and never again."""

    id: str
    url: str
    description: str
    events: tuple[WebhookEvent, ...]  # empty: every event
    previous_until: datetime | None  # until then signatures are by both secrets
    failing_since: datetime | None
    paused_at: datetime | None
    pause_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """The one moment in which the secret can be read."""

    endpoint: Endpoint
    secret: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery that is ours to make now. Signed by each of `secrets`, the newest first."""

    id: str
    token: str
    url: str
    body: str
    secrets: tuple[str, ...]
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: a status, or why there was none."""

    status: int | None
    error: str | None
    took_ms: int
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        return self.error is None

    @property
    def gone(self) -> bool:
        """410: the receiver asks never to be called again."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Try:
    at: datetime
    status: int | None
    error: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A line of the log. The id is the `webhook-id` of every try."""

    id: str
    endpoint_id: str
    job_id: JobId | None
    event: WebhookEvent
    url: str
    status: DeliveryStatus
    attempt: int
    due_at: datetime | None  # of the next try
    tries: tuple[Try, ...]  # the newest twenty
    created_at: datetime
    finished_at: datetime | None
