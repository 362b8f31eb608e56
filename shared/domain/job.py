"""Jobs and stage runs: their states, and what a caller may ask for."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import JobId, OwnerId, RunId


class Stage(StrEnum):
    """The six stages. The same word names the file, the queue, the metric and the test."""

    DOWNLOAD = "download"
    PREPROCESS = "preprocess"
    TRANSCRIBE = "transcribe"
    DIARIZE = "diarize"
    ANALYZE = "analyze"
    SYNTHESIZE = "synthesize"


class RunStatus(StrEnum):
    """A stage run: queued -> running -> done | failed | dead | cancelled; running -> queued again on a retry."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # the stage said that another try cannot help
    DEAD = "dead"  # every attempt was used up
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_WARNINGS = "completed_with_warnings"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)

    @property
    def succeeded(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS)


class ProgressStatus(StrEnum):
    """The words that clients of the progress rows know."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    PREPROCESSING = "preprocessing"
    TRANSCRIBING = "transcribing"
    DIARIZATION = "diarization"
    ANALYZING = "analyzing"
    SYNTHESIZING = "synthesizing"
    SAVING = "saving"
    COMPLETED = "completed"
    COMPLETED_WITH_WARNINGS = "completed_with_warnings"
    ERROR = "error"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """Who goes first. Every tenth turn is given to what would otherwise wait for ever."""

    INTERACTIVE = "interactive"  # somebody looks at the screen
    NORMAL = "normal"
    BULK = "bulk"  # tomorrow will do

    @property
    def rank(self) -> int:
        """Smaller goes first."""
        return list(Priority).index(self)


class SourceKind(StrEnum):
    UPLOAD = "upload"  # value: the upload's id
    S3 = "s3"  # value: a key in our bucket
    URL = "url"  # value: an https address


@dataclass(frozen=True, slots=True)
class Source:
    kind: SourceKind
    value: str
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the caller may choose. `None` means: find out."""

    language: str | None = None  # ISO 639-1 (ja, en, zh …); zh-TW and zh-CN also choose the script
    report_language: str | None = None  # ja, en or zh-TW; None: the recording's
    speakers: int | None = 2  # 1-on-1 unless said otherwise; None: estimate
    roles: tuple[str, ...] = ()  # roles in order of first speech, or of channel: ("coach", "client")
    denoise: bool = False  # afftdn before recognition
    spoken_summary: bool = True
    remember_clients: bool = False  # keep the client's voice, to find them again in this owner's other recordings
    terms: tuple[str, ...] = ()  # names and words of this recording, beside the owner's glossary
    on_behalf_of: str | None = None  # whom the owner's service asked for; may read the job's row and progress


@dataclass(frozen=True, slots=True)
class JobWarning:
    """Something that a reader must know of a result that is otherwise there."""

    code: str
    message: str
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class JobError:
    code: str
    message: str
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Job:
    id: JobId
    owner_id: OwnerId
    session_id: str
    status: JobStatus
    source: Source
    options: JobOptions
    webhook: str | None
    stage: Stage | None
    percent: float
    eta_s: float | None
    attempts: int
    error: JobError | None
    warnings: tuple[JobWarning, ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    priority: Priority = Priority.INTERACTIVE
    deduped_from: JobId | None = None  # the job of the same owner whose result this one was given
    micro_usd: int = 0  # what providers' calls have cost, by our price list


@dataclass(frozen=True, slots=True)
class StageRun:
    id: RunId
    job_id: JobId
    stage: Stage
    shard: int
    status: RunStatus
    attempt: int
    cache_key: str | None = None
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a stage left in the object store."""

    name: str
    key: str
    bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """What one finished stage run left: a document, and files in the object store."""

    stage: Stage
    shard: int
    cache_key: str
    document: dict[str, object]
    files: tuple[StoredFile, ...] = field(default_factory=tuple)
