"""What a Supabase Edge Function calls: begin the analysis of a recording for one of its own users.

The API key says whose job it is: the service's that calls. `user_id` is its word for whom it asks; it is kept with the
job (`on_behalf_of`) and lets that user of Supabase read the job and follow its progress, and nothing else: a key must
not be able to write into another owner's rows.
"""

import hashlib

from fastapi import APIRouter, BackgroundTasks

from api.deps import Caller, Tools
from api.intake import body_hash, unsigned, url_source
from api.openapi import problems
from api.schemas import JobFields, ProcessAudioIn, ProcessAudioOut
from shared.domain.ids import OwnerId
from shared.domain.job import JobStatus
from shared.domain.records import Created
from shared.toolbox import Toolbox

router = APIRouter(tags=["webhooks in"])

_DID_NOT_WORK = (JobStatus.FAILED, JobStatus.CANCELLED)


@router.post(
    "/process-audio",
    status_code=202,
    operation_id="processAudio",
    summary="Analyse a recording for a user of yours",
    responses=problems(409),
)
def process_audio(wanted: ProcessAudioIn, caller: Caller, tools: Tools, after: BackgroundTasks) -> ProcessAudioOut:
    """The same session and recording give the same job, however often it is asked for and however the address is
    signed. After a job that failed or was cancelled, asking again begins a new one.
    """
    created = _create_once(tools, caller, wanted)
    after.add_task(tools.doorbell.ring, created.runs)
    return ProcessAudioOut(message="Processing started", session_id=wanted.session_id, job_id=created.job.id)


def _create_once(tools: Toolbox, owner: OwnerId, wanted: ProcessAudioIn) -> Created:
    source = url_source(tools, wanted.audio_url)
    asked = body_hash(wanted.session_id, unsigned(wanted.audio_url))
    key = asked
    while True:
        created = tools.ledger.create_job(
            owner,
            source=source,
            options=JobFields().to_options(on_behalf_of=wanted.user_id),
            session_id=wanted.session_id,
            idempotency_key=f"process-audio:{key}",
            body_hash=asked,
        )
        if created.fresh or created.job.status not in _DID_NOT_WORK:
            return created
        key = hashlib.sha256(f"{key}{created.job.id}".encode()).hexdigest()  # the try that follows that one
