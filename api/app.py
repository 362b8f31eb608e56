"""Puts the API together. `uvicorn --factory api.app:create_app` and the tests begin here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.audit import Audited
from api.errors import install_error_handlers
from api.hosts import KnownHosts
from api.key_use import KeyUse
from api.limits import RateLimited
from api.live import realtime
from api.live.hub import Hub
from api.live.places import Places
from api.observe import HTTPS_ONLY, MAX_JSON_BYTES, SECURITY_HEADERS, ApiMetrics, BodyCap, Observed
from api.openapi import DESCRIPTION, TITLE, install_openapi
from api.pace import BodyPace
from api.receive import UPLOADS_AT_ONCE
from api.routes import (
    audit,
    batches,
    events,
    glossary,
    health,
    home,
    jobs,
    keys,
    owner,
    process_audio,
    results,
    speakers,
    uploads,
    usage,
    voices,
    webhooks,
)
from shared.guard.rate import RateLimiter
from shared.observe.service import begin_service, end_service
from shared.settings import Settings, load_settings
from shared.store.feed import ProgressFeed
from shared.store.listen import ProgressBell
from shared.toolbox import Toolbox
from shared.version import VERSION

PREFLIGHT_S = 86_400  # one preflight a day
EXPOSED = (
    *("Location", "X-Request-ID", "Content-Range", "ETag", "Idempotency-Replayed"),
    *("RateLimit", "RateLimit-Policy", "Retry-After"),
)


def create_app(toolbox: Toolbox | None = None) -> FastAPI:
    """Opens nothing: the servers are asked for when the app starts. Who brings a toolbox has set up logs already."""
    if toolbox is None:
        begin_service("api", load_settings())
    tools = toolbox or Toolbox(load_settings())
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.toolbox = tools
    app.state.metrics = ApiMetrics()
    app.state.rates = RateLimiter(tools.settings)
    _surround(app, tools.settings)
    install_error_handlers(app)
    for part in (
        home,
        health,
        batches,
        uploads,
        jobs,
        events,
        results,
        process_audio,
        keys,
        audit,
        speakers,
        voices,
        glossary,
        webhooks,
        usage,
        owner,
        realtime,
    ):
        app.include_router(part.router)
    install_openapi(app)
    return app


def _surround(app: FastAPI, settings: Settings) -> None:
    """What is added last stands outermost."""
    streamed = frozenset({jobs.FILE_PATH, voices.FILE_PATH})
    app.add_middleware(BodyCap, max_bytes=MAX_JSON_BYTES, exempt=streamed, larger={batches.PATH: batches.MAX_BYTES})
    app.add_middleware(BodyPace, first_s=settings.body_wait_s)
    app.add_middleware(Audited)
    app.add_middleware(RateLimited, settings=settings, limiter=app.state.rates)
    if settings.allowed_hosts:
        app.add_middleware(KnownHosts, hosts=settings.allowed_hosts)
    https = settings.public_url.startswith("https:")
    headers = SECURITY_HEADERS | (HTTPS_ONLY if https else {})
    app.add_middleware(Observed, metrics=app.state.metrics, headers=headers)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_S,
        )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    tools: Toolbox = app.state.toolbox
    await run_sync(_open, tools)
    app.state.upload_slots = CapacityLimiter(UPLOADS_AT_ONCE)
    app.state.bell = ProgressBell(tools.settings)
    app.state.key_use = KeyUse(tools.ledger)
    app.state.live = Hub(ProgressFeed(tools.ledger.database), Places(tools.settings))
    app.state.bell.tell(app.state.live.ring)
    lasting = (app.state.bell, app.state.key_use, app.state.live)
    tasks = [asyncio.create_task(one.run()) for one in lasting]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await app.state.rates.close()
    await run_sync(app.state.key_use.write)
    await run_sync(tools.ledger.close)
    await run_sync(end_service)


def _open(tools: Toolbox) -> None:
    """In one thread, once: a missing setting ends the process with its message, not the first request."""
    _ = tools.ledger, tools.doorbell, tools.objects
