"""The Realtime channel: what Supabase's clients find at /realtime/v1/websocket, served from our own progress rows.

The same supabase-js code works here and on a hosted project. `apikey` in the address is an API key (`vi_…`), a user's
token, or, where users come from Supabase, the project's public key: then each channel brings the user's token.
"""

from functools import partial
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from api.live.callers import Caller, identify
from api.live.frames import OBJECTS, VERSIONS
from api.live.hub import Hub
from api.live.joins import handle
from api.live.places import NOBODY, Place, TooMany
from api.live.socket import Socket
from shared.domain.errors import Unauthorized, VibeInsightError
from shared.settings import Settings
from shared.store import keys
from shared.toolbox import Toolbox

PATH = "/realtime/v1/websocket"
router = APIRouter()


class Refused(Exception):
    """Before the socket opens: an HTTP answer with Supabase's words."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@router.websocket(PATH)
async def realtime(websocket: WebSocket) -> None:
    tools: Toolbox = websocket.app.state.toolbox
    hub: Hub = websocket.app.state.live
    try:
        vsn, caller = await _admit(websocket, tools)
        place = _place(hub, caller)
    except Refused as refused:
        await websocket.send_denial_response(JSONResponse({"error": refused.why}, refused.status))
        return
    with place, websocket.app.state.metrics.streams.track_inprogress():
        await websocket.accept()
        socket = Socket(websocket, vsn, tools, hub, caller, place, note=websocket.app.state.key_use.note)
        await socket.run(partial(handle, socket))


async def _admit(websocket: WebSocket, tools: Toolbox) -> tuple[str, Caller | None]:
    """Raises Refused. The address's query is forgotten here, so that no log has the key."""
    query = websocket.query_params
    key, vsn = query.get("apikey") or websocket.headers.get("x-api-key"), query.get("vsn", OBJECTS)
    websocket.scope["query_string"] = b""
    if not origin_known(websocket.headers.get("origin"), websocket.headers.get("host", ""), tools.settings):
        raise Refused(403, "Pages of this origin are not let in; the operator's VIBEINSIGHT_CORS_ORIGINS lists those")
    if not key:
        raise Refused(401, "API key is missing")
    if vsn not in VERSIONS:
        raise Refused(400, f"vsn is one of {', '.join(sorted(VERSIONS))}")
    try:
        return vsn, await run_sync(identify, tools, key)
    except Unauthorized as error:
        if key.startswith(keys.PREFIX) or not tools.tokens.taken:
            raise Refused(401, error.message) from None
        return vsn, None  # a project's public key
    except VibeInsightError as error:
        raise Refused(error.http_status, error.message) from None


def origin_known(origin: str | None, host: str, settings: Settings) -> bool:
    """A browser says whose page asks. Its own, or one of those that may call the API."""
    if origin is None or "*" in settings.cors_origins or origin in settings.cors_origins:
        return True
    return urlsplit(origin).netloc == host or origin == settings.public_url.rstrip("/")


def _place(hub: Hub, caller: Caller | None) -> Place:
    try:
        return hub.places.take(caller.owner_id if caller else NOBODY)
    except TooMany as error:
        raise Refused(429, str(error)) from None
