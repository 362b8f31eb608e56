"""Which names the API answers to. A page of somebody else's that makes its own name point here is refused."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem

# Machines that watch us ask by address.
_WATCHED = frozenset({"/livez", "/readyz", "/health", "/metrics"})


class KnownHosts:
    """ASGI middleware. `*.example.com` stands for every name below example.com."""

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self.app = app
        self._exact = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self._below = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in _WATCHED or self._known(scope):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is accepted: the server answers 403
            return
        detail = "No service of this name is here; the operator's VIBEINSIGHT_ALLOWED_HOSTS lists the names."
        answer = problem(Request(scope), status=421, code="unknown_host", detail=detail)
        await answer(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        named = Headers(scope=scope).get("host", "").lower()
        name = named.rsplit(":", 1)[0] if not named.endswith("]") else named
        return name in self._exact or name.endswith(self._below)
