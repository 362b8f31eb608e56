"""What is kept of an owner and for how long: retention, legal holds, deletion of a recording or of everything."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.deps import Caller, TheJob, Tools
from api.openapi import problems
from api.owner_schemas import ErasureOut, HoldIn, HoldOut, KeptOut, RetentionIn, RetentionOut
from shared.keeping.deleting import delete_now
from shared.keeping.erasing import erase_owner

ERASE_WITHIN_S = 20.0  # some hundred jobs; what is left after that goes on without the caller

router = APIRouter(tags=["owner"])


@router.get("/v1/owner/retention", operation_id="getRetention", summary="How long is kept", responses=problems())
def get_retention(caller: Caller, tools: Tools) -> RetentionOut:
    return RetentionOut.from_domain(tools.ledger.retention(caller))


@router.put("/v1/owner/retention", operation_id="setRetention", summary="Say how long", responses=problems())
def set_retention(wanted: RetentionIn, caller: Caller, tools: Tools) -> RetentionOut:
    """Counts for jobs that have ended already too: what a shorter time lets go, goes within minutes."""
    return RetentionOut.from_domain(tools.ledger.set_retention(caller, wanted.to_domain()))


@router.get("/v1/owner/hold", operation_id="getOwnerHold", summary="The hold on everything", responses=problems())
def get_owner_hold(caller: Caller, tools: Tools) -> HoldOut:
    return HoldOut.from_domain(tools.ledger.owner_hold(caller))


@router.put("/v1/owner/hold", operation_id="holdOwner", summary="Keep everything", responses=problems())
def hold_owner(wanted: HoldIn, caller: Caller, tools: Tools) -> HoldOut:
    """Until it is lifted nothing of yours is deleted: not by time, not by hand, not by a retry."""
    return HoldOut.from_domain(tools.ledger.hold_owner(caller, wanted.reason))


@router.delete(
    "/v1/owner/hold", status_code=204, operation_id="releaseOwner", summary="Lift the hold", responses=problems()
)
def release_owner(caller: Caller, tools: Tools) -> None:
    """Holds on single jobs stay."""
    tools.ledger.release_owner(caller)


@router.delete(
    "/v1/owner/data",
    operation_id="eraseOwner",
    summary="Delete everything",
    responses={202: {"model": ErasureOut, "description": "It goes on by itself."}, **problems(409)},
)
def erase(
    caller: Caller,
    tools: Tools,
    response: Response,
    on_behalf_of: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Only what this user's jobs left.")
    ] = None,
    account: Annotated[bool, Query(description="Your keys and yourself too: this key works no longer.")] = False,
) -> ErasureOut:
    """Jobs, recordings, results, voices, webhooks: every row and every object, with a report of what went.

    202 when it takes longer than a request should, or the object store is away: it goes on by itself; ask for the
    report again. 409 `legal_hold` while a hold lies on any of it: then nothing is deleted.
    """
    report = erase_owner(
        tools.ledger.database,
        tools.objects,
        caller,
        on_behalf_of=on_behalf_of,
        account=account,
        within_s=ERASE_WITHIN_S,
    )
    response.status_code = 200 if report.finished_at else 202
    return ErasureOut.from_domain(report)


@router.get("/v1/owner/data", operation_id="getErasure", summary="What was deleted", responses=problems(404))
def get_erasure(caller: Caller, tools: Tools) -> ErasureOut:
    """The report of the newest deletion of everything."""
    return ErasureOut.from_domain(tools.ledger.erasure(caller))


@router.get("/v1/jobs/{job_id}/kept", operation_id="getKept", summary="What is still there", responses=problems(404))
def get_kept(job_id: TheJob, caller: Caller, tools: Tools) -> KeptOut:
    """And until when."""
    return KeptOut.from_domain(tools.ledger.kept(caller, job_id))


@router.put("/v1/jobs/{job_id}/hold", operation_id="holdJob", summary="Keep a job", responses=problems(404))
def hold_job(job_id: TheJob, wanted: HoldIn, caller: Caller, tools: Tools) -> KeptOut:
    """Until it is lifted nothing of the job is deleted: not by time, not by hand, not by a retry."""
    return KeptOut.from_domain(tools.ledger.hold_job(caller, job_id, wanted.reason))


@router.delete("/v1/jobs/{job_id}/hold", operation_id="releaseJob", summary="Lift a hold", responses=problems(404))
def release_job(job_id: TheJob, caller: Caller, tools: Tools) -> KeptOut:
    """A hold on everything of yours stays."""
    return KeptOut.from_domain(tools.ledger.release_job(caller, job_id))


@router.delete(
    "/v1/jobs/{job_id}/audio",
    operation_id="deleteAudio",
    summary="Delete a recording alone",
    responses=problems(404, 409),
)
def delete_audio(job_id: TheJob, caller: Caller, tools: Tools) -> KeptOut:
    """The recording and what was made of it to listen to. Transcript, report and spoken summary stay.

    Twice is no error. 409 while the job runs, or a legal hold lies on it.
    """
    kept = tools.ledger.delete_audio(caller, job_id)
    delete_now(tools.ledger.database, tools.objects, job_id=job_id)
    return KeptOut.from_domain(kept)
