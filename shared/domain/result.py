"""The result document, schema `vibeinsight.result/1`: what a client gets of a finished job."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.domain.audio import LanguageGuess
from shared.domain.ids import JobId, SpeakerId
from shared.domain.insight import Metrics, NotMeasured, Report, Speaker, SpeakerProsody, Transcript
from shared.domain.job import JobStatus, JobWarning, Stage
from shared.domain.transcript import Provenance, SpeakerTurn

RESULT_SCHEMA: Literal["vibeinsight.result/1"] = "vibeinsight.result/1"


@dataclass(frozen=True, slots=True)
class ResultJob:
    id: JobId
    session_id: str
    status: JobStatus
    warnings: tuple[JobWarning, ...]
    created_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class ResultAudio:
    """The recording as it came in; `sample_rate_hz` and `channels` are the source's."""

    duration_s: float
    sha256: str
    sample_rate_hz: int
    channels: int
    codec: str


@dataclass(frozen=True, slots=True)
class StageTiming:
    seconds: float  # worked, over all shards
    real_time_factor: float  # seconds worked a second of audio


@dataclass(frozen=True, slots=True)
class ResultDocument:
    schema: Literal["vibeinsight.result/1"]
    job: ResultJob
    audio: ResultAudio
    language: LanguageGuess | None
    report_language: str
    speakers: tuple[Speaker, ...]
    turns: tuple[SpeakerTurn, ...]
    transcript: Transcript
    metrics: Metrics
    report: Report
    not_measured: tuple[NotMeasured, ...]
    provenance: dict[Stage, Provenance]
    timings: dict[Stage, StageTiming]
    prosody: dict[SpeakerId, SpeakerProsody] | None = None  # None in documents made before it was measured too
