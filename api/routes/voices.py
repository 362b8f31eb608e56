"""Voices that are known: enrolled from a sample or from a speaker of a finished job, listed, deleted."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Literal, Self

from anyio.to_thread import run_sync
from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, model_validator

from api.deps import Caller, TheVoice, Tools
from api.intake import header_bytes
from api.openapi import problems
from api.receive import Receiver
from api.schemas import EXAMPLE_UPLOAD, JobFields, PlainText, Wire
from shared.domain.errors import Conflict, InvalidInput, PayloadTooLarge
from shared.domain.ids import JobId, OwnerId, SpeakerId, UploadId
from shared.domain.insight import Role
from shared.domain.job import Stage
from shared.domain.records import Upload
from shared.domain.speakers import Voice, VoiceOrigin, VoiceStatus
from shared.domain.transcript import Diarization
from shared.store.rows import from_json
from shared.store.voices import NewVoice, print_of_speaker
from shared.toolbox import Toolbox

FILE_PATH = "/v1/voices/file"
MOST_SAMPLE_BYTES = 64 * 1024**2  # 90 s as uncompressed 48 kHz stereo has 17 MB

router = APIRouter(prefix="/v1/voices", tags=["speakers"])


class VoiceFields(Wire):
    label: Annotated[
        str, Field(min_length=1, max_length=100, description="Whose voice it is; the speaker's name."), PlainText
    ]
    role: Annotated[
        Literal["coach", "client", "unknown"],
        Field(description="Who this person is in conversations; unknown: only the name is used."),
    ] = "coach"


class VoiceIn(VoiceFields):
    """A completed upload with 10 to 60 s of one person's speech, or a speaker of a finished job."""

    upload_id: Annotated[
        str | None, Field(max_length=36, description="A completed upload of yours.", examples=[EXAMPLE_UPLOAD])
    ] = None
    job_id: Annotated[str | None, Field(max_length=36, description="A finished job of yours.")] = None
    speaker: Annotated[str | None, Field(pattern=r"^S[0-9]{1,2}$", description="Of that job's result.")] = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.job_id is None) != (self.speaker is None) or (self.upload_id is None) == (self.job_id is None):
            raise ValueError("give either upload_id, or job_id and speaker")
        return self


@dataclass
class SampleReceiver(Receiver):
    """A form whose fields are a voice's."""

    wanted: VoiceFields = field(init=False)  # with the first look at the form's fields

    def _checked(self) -> JobFields:
        self.wanted = _parse_fields(self.fields)
        return JobFields()


class VoiceErrorOut(BaseModel):
    code: Annotated[str, Field(description="Stable; for programs.", examples=["voice_too_short"])]
    message: Annotated[str, Field(description="What was wrong, and what to do better.")]


class VoiceOut(BaseModel):
    id: Annotated[str, Field(description="As `voice_id` in results.")]
    label: Annotated[str, Field(description="As it was given.")]
    role: Annotated[Role, Field(description="coach, client or unknown.")]
    status: Annotated[VoiceStatus, Field(description="pending: not listened to yet; ready; refused: see `error`.")]
    origin: Annotated[VoiceOrigin, Field(description="sample, speaker of a job, or remembered from a job.")]
    model: Annotated[str | None, Field(description="Which network the voice is known by; others cannot use it.")]
    speech_s: Annotated[float | None, Field(description="Seconds of speech that it was made of.")]
    error: Annotated[VoiceErrorOut | None, Field(description="Why the sample was refused.")]
    job_id: Annotated[str | None, Field(description="Of a remembered voice: it ends with this job.")]
    created_at: Annotated[datetime, Field(description="When.")]

    @classmethod
    def from_domain(cls, voice: Voice) -> Self:
        plain = {name: getattr(voice, name) for name in cls.model_fields if name != "error"}
        error = VoiceErrorOut(code=voice.error.code, message=voice.error.message) if voice.error else None
        return cls(**plain, error=error)


class VoicesOut(BaseModel):
    voices: Annotated[list[VoiceOut], Field(description="Newest first.")]


def _form() -> dict[str, object]:
    texts = {
        name: {"type": "string", "description": field.get("description", "")}
        for name, field in VoiceFields.model_json_schema()["properties"].items()
    }
    file = {"type": "string", "format": "binary", "description": "10 to 60 s of one person's speech."}
    form = {"type": "object", "required": ["file", "label"], "properties": {"file": file, **texts}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@router.post(
    "",
    status_code=202,
    operation_id="enrolVoice",
    summary="Make a voice known",
    responses=problems(404, 409),
)
def enrol_voice(wanted: VoiceIn, caller: Caller, tools: Tools, after: BackgroundTasks) -> VoiceOut:
    """A sample is listened to in the background: look again until `status` is ready or refused. A speaker of a
    finished job is ready at once. What is kept is a vector, with the name of the network that made it; no sound."""
    if wanted.job_id is not None:
        return VoiceOut.from_domain(_from_speaker(tools, caller, wanted))
    upload = tools.ledger.get_upload(caller, UploadId(wanted.upload_id or ""))
    if not upload.completed:
        raise Conflict(f"Upload {upload.id} has not been completed yet")
    return _begin(tools, caller, wanted, upload, after, own_sample=False)


@router.post(
    "/file",
    status_code=202,
    operation_id="enrolVoiceFromFile",
    summary="Make a voice known by a sample sent as a form",
    responses=problems(400, 408, 413),
    openapi_extra=_form(),
)
async def enrol_voice_from_file(request: Request, caller: Caller, tools: Tools, after: BackgroundTasks) -> VoiceOut:
    """`curl -H "Authorization: Bearer $KEY" -F label=Ana -F role=coach -F file=@ana.m4a …/v1/voices/file`

    The sample is deleted as soon as it has been listened to.
    """
    if (header_bytes(request.headers) or 0) > MOST_SAMPLE_BYTES:
        raise PayloadTooLarge(f"A sample has at most {MOST_SAMPLE_BYTES} bytes; 10 to 60 s of speech are enough")
    receiver = SampleReceiver(tools, caller, request.app.state.upload_slots)
    upload = (await receiver.receive(request)).upload
    return await run_sync(partial(_begin, tools, caller, receiver.wanted, upload, after, own_sample=True))


@router.get("", operation_id="listVoices", summary="The voices that are known", responses=problems())
def list_voices(caller: Caller, tools: Tools) -> VoicesOut:
    return VoicesOut(voices=[VoiceOut.from_domain(voice) for voice in tools.ledger.list_voices(caller)])


@router.get("/{voice_id}", operation_id="getVoice", summary="One voice", responses=problems(404))
def get_voice(voice_id: TheVoice, caller: Caller, tools: Tools) -> VoiceOut:
    return VoiceOut.from_domain(tools.ledger.get_voice(caller, voice_id))


@router.delete(
    "/{voice_id}", status_code=204, operation_id="deleteVoice", summary="Forget a voice", responses=problems(404)
)
def delete_voice(voice_id: TheVoice, caller: Caller, tools: Tools) -> None:
    """The vector is gone at once. Results that were made before keep the voice's id and name."""
    tools.ledger.delete_voice(caller, voice_id)


def _begin(
    tools: Toolbox, owner: OwnerId, wanted: VoiceFields, upload: Upload, after: BackgroundTasks, *, own_sample: bool
) -> VoiceOut:
    new = NewVoice(
        label=wanted.label,
        role=Role(wanted.role),
        origin=VoiceOrigin.SAMPLE,
        sample_key=upload.key,
        drop_sample=upload.id if own_sample else None,
    )
    voice = tools.ledger.create_voice(owner, new)
    after.add_task(tools.doorbell.ring_voices, [voice.id])
    return VoiceOut.from_domain(voice)


def _from_speaker(tools: Toolbox, owner: OwnerId, wanted: VoiceIn) -> Voice:
    job_id, speaker = JobId(wanted.job_id or ""), SpeakerId(wanted.speaker or "")
    tools.ledger.result(owner, job_id)
    made = [made for made in tools.ledger.artefacts(owner, job_id) if made.stage is Stage.DIARIZE]
    heard = from_json(Diarization, made[0].document) if made else None
    if heard is None or heard.embedding_model is None or speaker not in heard.embeddings:
        raise InvalidInput(f"Too little clear speech of {speaker} is known in job {job_id}; send a sample instead")
    spoken_s = sum(turn.duration_s for turn in heard.turns if turn.speaker == speaker)
    known = print_of_speaker(heard.embeddings[speaker], heard.embedding_model, spoken_s)
    return tools.ledger.create_voice(owner, NewVoice(wanted.label, Role(wanted.role), VoiceOrigin.SPEAKER), known)


def _parse_fields(fields: dict[str, str]) -> VoiceFields:
    try:
        return VoiceFields.model_validate({name: text for name, text in fields.items() if text != ""})
    except ValidationError as error:
        raise RequestValidationError(
            [{**found, "loc": ("body", *found["loc"])} for found in error.errors(include_url=False)]
        ) from error
