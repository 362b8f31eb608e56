"""What the routes are handed: the toolbox, who calls, the ids in the path. Nothing else lives here."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Request

from api.auth import authenticate, identify
from api.schemas import EXAMPLE_JOB, EXAMPLE_UPLOAD
from shared.domain.access import Principal
from shared.domain.ids import JobId, OwnerId, UploadId, VoiceId
from shared.observe.logs import learnt
from shared.toolbox import Toolbox


async def _toolbox(request: Request) -> Toolbox:
    tools: Toolbox = request.app.state.toolbox
    return tools


async def _job_id(job_id: Annotated[UUID, Path(description="The job's id.", examples=[EXAMPLE_JOB])]) -> JobId:
    learnt(job_id=str(job_id))
    return JobId(str(job_id))


async def _upload_id(
    upload_id: Annotated[UUID, Path(description="The upload's id.", examples=[EXAMPLE_UPLOAD])],
) -> UploadId:
    return UploadId(str(upload_id))


async def _voice_id(
    voice_id: Annotated[UUID, Path(description="The voice's id.", examples=[EXAMPLE_UPLOAD])],
) -> VoiceId:
    return VoiceId(str(voice_id))


Tools = Annotated[Toolbox, Depends(_toolbox)]
Caller = Annotated[OwnerId, Depends(authenticate)]
Authenticated = Annotated[Principal, Depends(identify)]  # as Caller, with the key or user and the scopes
TheJob = Annotated[JobId, Depends(_job_id)]
TheUpload = Annotated[UploadId, Depends(_upload_id)]
TheVoice = Annotated[VoiceId, Depends(_voice_id)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same body gives the same job again; with another body, 409.",
    ),
]
