"""The wire: what goes in and out, field by field, and how it becomes domain and back."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.domain.job import (
    Job,
    JobError,
    JobOptions,
    JobStatus,
    JobWarning,
    Priority,
    ProgressStatus,
    SourceKind,
    Stage,
)
from shared.domain.languages import REPORTED, spoken_language
from shared.domain.limits import MICRO
from shared.domain.progress import ProgressRow

MAX_SPEAKERS = 10  # beyond that nobody can tell the voices of one microphone apart
MAX_URL_CHARS = 4096  # a signed address has about 600
EXAMPLE_JOB = "0b9c3c3e-4f43-4f0e-9a51-5d1f6a3f7f10"
EXAMPLE_UPLOAD = "5c1f2f64-8a0f-4a3e-8a6e-2f4b8a6c9d01"


class Wire(BaseModel):
    """Unknown fields are refused: a misspelt option must not pass for a chosen one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _spoken(tag: str) -> str:
    code = spoken_language(tag)
    if code is None:
        raise ValueError(f"{tag!r} is not a language that can be recognised; give ISO 639-1 such as ja, en or zh")
    return code


def _speakers(value: object) -> object:
    """Forms have no null, so that "auto" means it everywhere."""
    return None if value == "auto" else value


def _no_control_characters(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("control characters are not allowed")
    return text


PlainText = AfterValidator(_no_control_characters)
Language = Annotated[str, Field(max_length=35), AfterValidator(_spoken)]
Role = Literal["coach", "client"]
Term = Annotated[str, Field(min_length=2, max_length=60), PlainText]
SessionId = Annotated[str, Field(min_length=1, max_length=200), PlainText]
Filename = Annotated[str, Field(min_length=1, max_length=255), PlainText]


class SourceIn(Wire):
    """Where the recording is. Exactly one of the three."""

    upload_id: Annotated[
        str | None, Field(max_length=36, description="A completed upload of yours.", examples=[EXAMPLE_UPLOAD])
    ] = None
    url: Annotated[
        str | None,
        Field(max_length=MAX_URL_CHARS, description="An https address that answers without asking who we are."),
    ] = None
    s3_key: Annotated[
        str | None,
        Field(max_length=1024, description="A key in our bucket below `uploads/<you>/` or `imports/<you>/`."),
    ] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.upload_id, self.url, self.s3_key)) != 1:
            raise ValueError("give exactly one of upload_id, url and s3_key")
        return self


class OptionsIn(Wire):
    report_language: Annotated[
        Literal["ja", "en", "zh-TW"] | None,
        Field(description=f"Language of the report: {', '.join(REPORTED)}. Without it: the recording's."),
    ] = None
    denoise: Annotated[bool, Field(description="Reduce steady noise before recognition.")] = False
    spoken_summary: Annotated[bool, Field(description="Also make the summary as speech.")] = True
    remember_clients: Annotated[
        bool,
        Field(
            description="Keep the client's voice, so that they are recognised in your other recordings. Their consent."
        ),
    ] = False
    terms: Annotated[
        tuple[Term, ...],
        Field(
            max_length=100, description="Names and words of this recording, beside your glossary.", examples=[["GROW"]]
        ),
    ] = ()


class JobFields(Wire):
    """What a caller may say of a recording, however the recording comes."""

    session_id: Annotated[
        SessionId | None, Field(description="Your own name for the conversation; without it, the job's id.")
    ] = None
    language: Annotated[
        Language | None,
        Field(
            description="Language spoken, as ISO 639-1; zh-TW or zh-CN also choose the script. Without it: detected.",
            examples=["ja"],
        ),
    ] = None
    speakers: Annotated[
        Annotated[int, Field(ge=1, le=MAX_SPEAKERS)] | None,
        BeforeValidator(_speakers),
        Field(description='How many people speak, 1 to 10; null or "auto": find out.', examples=[2]),
    ] = 2
    roles: Annotated[
        tuple[Role, ...],
        Field(
            description="Who they are, in the order in which they first speak (or by channel). Without it: judged.",
            examples=[["coach", "client"]],
        ),
    ] = ()
    options: Annotated[OptionsIn, Field(description="What is made of the recording.")] = OptionsIn()
    priority: Annotated[
        Priority | None,
        Field(description="Who goes first when there is much to do. Without it: interactive; in a batch: bulk."),
    ] = None
    webhook: Annotated[
        str | None,
        Field(
            max_length=MAX_URL_CHARS,
            description="An https address to tell when the job has ended; see `POST /v1/webhooks/signing-secret`.",
        ),
    ] = None

    @model_validator(mode="after")
    def _roles_have_speakers(self) -> Self:
        if len(self.roles) > (self.speakers or MAX_SPEAKERS):
            raise ValueError("roles names more people than speakers")
        return self

    def to_options(self, on_behalf_of: str | None = None) -> JobOptions:
        return JobOptions(
            language=self.language,
            report_language=self.options.report_language,
            speakers=self.speakers,
            roles=self.roles,
            denoise=self.options.denoise,
            spoken_summary=self.options.spoken_summary,
            remember_clients=self.options.remember_clients,
            terms=self.options.terms,
            on_behalf_of=on_behalf_of,
        )


class JobIn(JobFields):
    source: Annotated[SourceIn, Field(description="Where the recording is.")]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": {"url": "https://example.com/meeting.m4a"}, "language": "ja", "roles": ["coach", "client"]},
                {"source": {"upload_id": EXAMPLE_UPLOAD}, "speakers": 2, "options": {"report_language": "en"}},
            ]
        }
    )


def _form_schema() -> dict[str, Any]:
    """For the one body that is read as a stream, so that the framework does not see it."""
    fields = JobFields.model_json_schema()["properties"]
    texts = {name: {"type": "string", "description": field.get("description", "")} for name, field in fields.items()}
    file = {"type": "string", "format": "binary", "description": "The recording: any audio or video file."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **texts}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


FILE_FORM = _form_schema()


class RetryIn(Wire):
    from_stage: Annotated[
        Stage | None, Field(description="Do this stage and what follows again. Without it: only what failed.")
    ] = None


class ProcessAudioIn(BaseModel):
    """Takes further fields without complaint: its callers are written against an older service."""

    session_id: Annotated[SessionId, Field(description="The caller's name for the conversation.")]
    audio_url: Annotated[str, Field(max_length=MAX_URL_CHARS, description="An https address of the recording.")]
    user_id: Annotated[
        str,
        Field(min_length=1, max_length=200, description="For whom the caller asks; kept as `on_behalf_of`."),
        PlainText,
    ]


class ProcessAudioOut(BaseModel):
    message: Annotated[str, Field(description="For people.", examples=["Processing started"])]
    session_id: Annotated[str, Field(description="As it was given.")]
    status: Annotated[Literal["processing"], Field(description="Always this word.")] = "processing"
    job_id: Annotated[str, Field(description="For /v1/jobs/{id}.", examples=[EXAMPLE_JOB])]


class UploadIn(Wire):
    filename: Annotated[Filename, Field(description="As the user knows it.", examples=["meeting.m4a"])]
    content_type: Annotated[
        str,
        Field(
            pattern=r"^[\w.+-]{1,100}/[\w.+-]{1,100}$",
            description="Sent again as the header of the PUT.",
            examples=["audio/mp4"],
        ),
    ] = "application/octet-stream"
    bytes: Annotated[int, Field(ge=0, description="The file's size; checked when the upload is completed.")]


class PartOut(BaseModel):
    number: Annotated[int, Field(description="From 1, in the file's order.")]
    url: Annotated[str, Field(description="PUT this part's bytes here and keep the ETag of the answer.")]
    first_byte: Annotated[int, Field(description="Where the part begins in the file, from 0.")]
    last_byte: Annotated[int, Field(description="Where it ends, inclusive.")]


class UploadOut(BaseModel):
    id: Annotated[str, Field(description="For `source.upload_id`.", examples=[EXAMPLE_UPLOAD])]
    filename: Annotated[str, Field(description="As it was given.")]
    content_type: Annotated[str, Field(description="As it was given.")]
    bytes: Annotated[int, Field(description="As it was declared.")]
    completed: Annotated[bool, Field(description="The bytes are there, and a job may begin.")]
    method: Annotated[
        Literal["put", "multipart"] | None,
        Field(description="put: one PUT to `url`. multipart: one PUT a part, then complete with the ETags."),
    ] = None
    url: Annotated[str | None, Field(description="Signed; needs no key.")] = None
    headers: Annotated[dict[str, str], Field(description="Send these with the PUT.")] = {}
    parts: Annotated[list[PartOut], Field(description="Of a multipart upload.")] = []
    expires_at: Annotated[datetime | None, Field(description="After this the addresses are refused.")] = None


class CompleteIn(Wire):
    etags: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        Field(max_length=10_000, description="Of a multipart upload: each part's ETag, in order."),
    ] = []


class JobErrorOut(BaseModel):
    code: Annotated[str, Field(description="Stable; for programs.", examples=["no_audio_track"])]
    message: Annotated[str, Field(description="For people.")]
    stage: Annotated[Stage | None, Field(description="Where it happened.")]

    @classmethod
    def from_domain(cls, error: JobError | JobWarning) -> Self:
        return cls(code=error.code, message=error.message, stage=error.stage)


class JobOut(BaseModel):
    id: Annotated[str, Field(description="For every call on this job.", examples=[EXAMPLE_JOB])]
    session_id: Annotated[str, Field(description="Your name for the conversation; the id, if you gave none.")]
    status: Annotated[JobStatus, Field(description="queued, running, or how it ended.")]
    stage: Annotated[Stage | None, Field(description="What is being done now.")]
    percent: Annotated[float, Field(description="0 to 100; never falls while the job runs.")]
    eta_s: Annotated[float | None, Field(description="Seconds to the end, from measured speed; null: not known.")]
    attempts: Annotated[int, Field(description="Most tries that any of its stages needed.")]
    error: Annotated[JobErrorOut | None, Field(description="Why it failed.")]
    warnings: Annotated[list[JobErrorOut], Field(description="What to know of a result that is otherwise there.")]
    source: Annotated[SourceKind, Field(description="How the recording came; its address is not repeated.")]
    filename: Annotated[str | None, Field(description="The recording's, where it is known.")]
    on_behalf_of: Annotated[str | None, Field(description="The user_id given to /process-audio.")]
    created_at: Annotated[datetime, Field(description="When it was accepted.")]
    updated_at: Annotated[datetime, Field(description="When it last moved.")]
    finished_at: Annotated[datetime | None, Field(description="When it ended; null while it has not.")]
    priority: Annotated[Priority, Field(description="As it was asked for.")]
    deduped_from: Annotated[
        str | None,
        Field(description="The job of yours that had the same recording and options, and whose result this is."),
    ]
    cost_usd: Annotated[float, Field(description="What providers' calls for it have cost, by our price list.")]

    @classmethod
    def from_domain(cls, job: Job) -> Self:
        return cls(
            id=job.id,
            session_id=job.session_id,
            status=job.status,
            stage=job.stage,
            percent=job.percent,
            eta_s=job.eta_s,
            attempts=job.attempts,
            error=JobErrorOut.from_domain(job.error) if job.error else None,
            warnings=[JobErrorOut.from_domain(warning) for warning in job.warnings],
            source=job.source.kind,
            filename=job.source.filename,
            on_behalf_of=job.options.on_behalf_of,
            created_at=job.created_at,
            updated_at=job.updated_at,
            finished_at=job.finished_at,
            priority=job.priority,
            deduped_from=job.deduped_from,
            cost_usd=job.micro_usd / MICRO,
        )


class JobPageOut(BaseModel):
    jobs: Annotated[list[JobOut], Field(description="Newest first.")]
    next_cursor: Annotated[str | None, Field(description="Give it as `cursor` for the next page; null: the last.")]


class ProgressOut(BaseModel):
    """One event of the stream, and one row of the `job_progress` table."""

    job_id: Annotated[str, Field(description="Whose step this is.")]
    session_id: Annotated[str, Field(description="The job's.")]
    version: Annotated[int, Field(description="Grows by one; the event's id.")]
    status: Annotated[ProgressStatus, Field(description="What is being done, or how it ended.")]
    stage: Annotated[Stage | None, Field(description="The stage behind the word.")]
    percent: Annotated[float, Field(description="0 to 100; never falls until a retry.")]
    eta_s: Annotated[float | None, Field(description="Seconds to the end; null: not known.")]
    message_key: Annotated[str, Field(description="Stable; for your own wording.")]
    message: Annotated[str, Field(description="For people, in the report's language.")]
    updated_at: Annotated[datetime, Field(description="When it was so.")]

    @classmethod
    def from_domain(cls, row: ProgressRow) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class PartHealth(BaseModel):
    ok: Annotated[bool, Field(description="It answered in time.")]
    ms: Annotated[float, Field(description="How long the check took.")]
    error: Annotated[str | None, Field(description="The kind of failure; the log has the rest.")] = None


class HealthOut(BaseModel):
    status: Annotated[Literal["ok", "unavailable"], Field(description="unavailable: at least one part is not ok.")]
    parts: Annotated[dict[str, PartHealth], Field(description="database, redis and objects.")] = {}


class Problem(BaseModel):
    """RFC 9457. `code` is stable, `detail` is for people."""

    type: Annotated[str, Field(description="Names the kind.", examples=["urn:vibeinsight:problem:not_found"])]
    title: Annotated[str, Field(description="The kind in words.", examples=["Not found"])]
    status: Annotated[int, Field(description="As in the answer's first line.", examples=[404])]
    detail: Annotated[str, Field(description="What happened, to what, and what to do.")]
    code: Annotated[str, Field(description="Stable; for programs.", examples=["not_found"])]
    instance: Annotated[str, Field(description="The path that was asked.")]
    request_id: Annotated[str | None, Field(description="Also in the X-Request-ID header and in our log.")]
    errors: Annotated[list[dict[str, Any]] | None, Field(description="Of 422: `field` and `message` of each.")] = None
