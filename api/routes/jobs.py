"""Jobs: begin one from an upload, an address or a form; look, cancel, retry, delete."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, BackgroundTasks, Body, Query, Request, Response

from api.deps import Caller, IdempotencyKey, TheJob, Tools
from api.intake import body_hash, find_source
from api.openapi import problems
from api.receive import Received, Receiver, discard_upload
from api.schemas import FILE_FORM, JobIn, JobOut, JobPageOut, RetryIn
from api.webhook_address import check_address
from shared.domain.errors import Conflict, LimitReached
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import JobStatus, Priority, Source, SourceKind
from shared.domain.records import Created
from shared.keeping.deleting import delete_now
from shared.toolbox import Toolbox

PAGE_JOBS = 50
MOST_PAGE_JOBS = 200

FILE_PATH = "/v1/jobs/file"

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post(
    "",
    status_code=202,
    operation_id="createJob",
    summary="Analyse an uploaded recording or an address",
    responses=problems(404, 409, 413),
)
def create_job(
    wanted: JobIn,
    caller: Caller,
    tools: Tools,
    after: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobOut:
    """Answers at once; follow the job by `GET /v1/jobs/{id}` or its events."""
    created = tools.ledger.create_job(
        caller,
        source=find_source(tools, caller, wanted.source),
        options=wanted.to_options(),
        session_id=wanted.session_id,
        webhook=None if wanted.webhook is None else check_address(tools, wanted.webhook),
        idempotency_key=idempotency_key,
        body_hash=body_hash(wanted),
        priority=wanted.priority or Priority.INTERACTIVE,
    )
    return accepted(tools, created, after, response)


@router.post(
    "/file",
    status_code=202,
    operation_id="createJobFromFile",
    summary="Analyse a recording sent as a form",
    responses=problems(400, 408, 409, 413),
    openapi_extra=FILE_FORM,
)
async def create_job_from_file(
    request: Request,
    caller: Caller,
    tools: Tools,
    after: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobOut:
    """`curl -H "Authorization: Bearer $KEY" -F file=@meeting.m4a -F language=ja …/v1/jobs/file`

    The file is streamed into the object store. `roles` is a list (`coach,client`) or JSON, `options` is JSON.
    """
    receiver = Receiver(tools, caller, request.app.state.upload_slots)
    received = await receiver.receive(request)
    try:
        created = await run_sync(_create_from_upload, tools, caller, received, idempotency_key)
    except (Conflict, LimitReached):
        await receiver.discard()
        raise
    return accepted(tools, created, after, response)


def _create_from_upload(tools: Toolbox, owner: OwnerId, received: Received, idempotency_key: str | None) -> Created:
    created = tools.ledger.create_job(
        owner,
        source=Source(SourceKind.UPLOAD, received.upload.id, received.upload.filename),
        options=received.fields.to_options(),
        session_id=received.fields.session_id,
        webhook=received.fields.webhook,
        idempotency_key=idempotency_key,
        body_hash=body_hash(received.fields, received.sha256),
        priority=received.fields.priority or Priority.INTERACTIVE,
    )
    if not created.fresh:  # the job of then has its own copy
        discard_upload(tools, received.upload)
    return created


def accepted(tools: Toolbox, created: Created, after: BackgroundTasks, response: Response) -> JobOut:
    """The ring waits until the caller has been answered: a broker that hangs must not keep anybody waiting."""
    after.add_task(tools.doorbell.ring, created.runs)
    response.headers["Location"] = f"/v1/jobs/{created.job.id}"
    if not created.fresh:
        response.headers["Idempotency-Replayed"] = "true"
    return JobOut.from_domain(created.job)


@router.get("", operation_id="listJobs", summary="Your jobs, newest first", responses=problems())
def list_jobs(
    caller: Caller,
    tools: Tools,
    limit: Annotated[int, Query(ge=1, le=MOST_PAGE_JOBS, description="Jobs a page.")] = PAGE_JOBS,
    cursor: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
) -> JobPageOut:
    page = tools.ledger.list_jobs(caller, limit=limit, cursor=cursor, status=status)
    return JobPageOut(jobs=[JobOut.from_domain(job) for job in page.jobs], next_cursor=page.next_cursor)


@router.get("/{job_id}", operation_id="getJob", summary="How far a job is", responses=problems(404))
def get_job(job_id: TheJob, caller: Caller, tools: Tools) -> JobOut:
    return JobOut.from_domain(tools.ledger.get_job(caller, job_id))


@router.post("/{job_id}/cancel", operation_id="cancelJob", summary="Stop a job", responses=problems(404, 409))
def cancel_job(job_id: TheJob, caller: Caller, tools: Tools) -> JobOut:
    """The job is cancelled at once, and whoever works on it stops within 5 seconds. 409 when it has already ended."""
    return JobOut.from_domain(tools.ledger.cancel(caller, job_id))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    operation_id="retryJob",
    summary="Do again what failed",
    responses=problems(404, 409, 410),
)
def retry_job(
    job_id: TheJob,
    caller: Caller,
    tools: Tools,
    after: BackgroundTasks,
    wanted: Annotated[RetryIn | None, Body()] = None,
) -> JobOut:
    """What is done stays done. `from_stage` does a stage that had succeeded again, with all that follows from it."""
    created = tools.ledger.retry(caller, job_id, wanted.from_stage if wanted else None)
    after.add_task(tools.doorbell.ring, created.runs)
    return JobOut.from_domain(created.job)


@router.delete(
    "/{job_id}",
    status_code=204,
    operation_id="deleteJob",
    summary="Delete a job with everything of it",
    responses=problems(404, 409),
)
def delete_job(job_id: TheJob, caller: Caller, tools: Tools) -> None:
    """Rows, results and objects; the recording too, unless another job of yours uses it. A running job is stopped.

    409 `legal_hold` while a hold lies on it. Objects that the store cannot delete just now go as soon as it can.
    """
    tools.ledger.require_free(caller, job_id)
    _stop(tools, caller, job_id)
    tools.ledger.delete_job(caller, job_id)
    delete_now(tools.ledger.database, tools.objects, job_id=job_id)


def _stop(tools: Toolbox, owner: OwnerId, job_id: JobId) -> None:
    if not tools.ledger.get_job(owner, job_id).status.ended:
        try:
            tools.ledger.cancel(owner, job_id)
        except Conflict:
            return  # it ended in this very moment
