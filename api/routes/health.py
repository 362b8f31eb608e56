"""For the machines that watch us: is the process alive, does what it needs answer, and what does it count."""

import asyncio
import time
from collections.abc import Callable

import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import Tools
from api.openapi import Responses
from api.schemas import HealthOut, PartHealth
from shared.observe.exposition import exposition
from shared.toolbox import Toolbox

CHECK_WITHIN_S = 2.0  # below the 5 s that Fly waits for an answer

router = APIRouter(tags=["health"])
log = structlog.get_logger(__name__)

_UNAVAILABLE: Responses = {503: {"model": HealthOut, "description": "`parts` says which one does not answer."}}


@router.get("/livez", operation_id="isAlive", summary="The process answers")
async def livez() -> HealthOut:
    """Asks nothing of anybody: a database that is away is no reason to restart this process."""
    return HealthOut(status="ok")


@router.get("/readyz", operation_id="isReady", summary="All it needs answers too", responses=_UNAVAILABLE)
@router.get("/health", operation_id="health", summary="As /readyz", responses=_UNAVAILABLE)
async def readyz(tools: Tools, response: Response) -> HealthOut:
    checks = _checks(tools)
    states = await asyncio.gather(*(_check(name, ping) for name, ping in checks.items()))
    parts = dict(zip(checks, states, strict=True))
    ready = all(part.ok for part in states)
    response.status_code = 200 if ready else 503
    return HealthOut(status="ok" if ready else "unavailable", parts=parts)


@router.get("/metrics", operation_id="metrics", summary="Prometheus", response_class=Response)
def metrics() -> Response:
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


def _checks(tools: Toolbox) -> dict[str, Callable[[], None]]:
    return {"database": tools.ledger.ping, "redis": tools.doorbell.ping, "objects": tools.objects.ping}


async def _check(name: str, ping: Callable[[], None]) -> PartHealth:
    began = time.perf_counter()
    error = None
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            await run_sync(ping, abandon_on_cancel=True)
    except Exception as failure:
        error = type(failure).__name__
        log.warning("part_not_ready", part=name, error=str(failure))
    return PartHealth(ok=error is None, ms=round((time.perf_counter() - began) * 1000, 1), error=error)
