"""A job's progress as Server-Sent Events. The event's id is the row's version, so a stream can be taken up again."""

from collections.abc import AsyncIterator
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.deps import Caller, TheJob, Tools
from api.follow import follow
from api.observe import ApiMetrics
from api.openapi import Responses, problems
from api.schemas import ProgressOut
from shared.domain.progress import ProgressRow
from shared.store.listen import ProgressBell

PING_S = 15  # below the 60 s after which proxies cut a silent connection

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EVENT = {
    "type": "object",
    "description": "One event.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "The row's version."},
        "event": {"const": "progress"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/ProgressOut"},
        },
    },
}
_STREAM: Responses = {
    200: {
        "description": "Events named `progress`; the last one tells how the job ended, then the stream closes.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    204: {"description": "The job has ended and there is nothing behind Last-Event-ID: do not come back."},
}


@router.get(
    "/{job_id}/events",
    operation_id="followJob",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses={**_STREAM, **problems(404)},
)
async def follow_job(
    request: Request,
    job_id: TheJob,
    caller: Caller,
    tools: Tools,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, le=2**31 - 1, description="Begin behind this version.")
    ] = 0,
) -> Response:
    job = await run_sync(tools.ledger.get_job, caller, job_id)
    if job.status.ended and not await run_sync(tools.ledger.progress_since, caller, job_id, last_event_id):
        return Response(status_code=204)
    bell: ProgressBell = request.app.state.bell
    rows = follow(tools.ledger, bell, caller, job_id, after=last_event_id)
    return EventSourceResponse(_events(rows, request.app.state.metrics), ping=PING_S, sep="\n")


async def _events(rows: AsyncIterator[ProgressRow], metrics: ApiMetrics) -> AsyncIterator[ServerSentEvent]:
    with metrics.streams.track_inprogress():
        async for row in rows:
            shown = ProgressOut.from_domain(row)
            yield ServerSentEvent(id=str(row.version), event="progress", data=shown.model_dump_json())
