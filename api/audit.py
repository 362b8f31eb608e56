"""Every change that a caller makes, or tries to make, is written into the audit log before the answer leaves.

One place sees all of them, so that no route can forget it. A route that writes its entry within its own transaction
takes it from `entry_of` and says so with `was_recorded`.
"""

import structlog
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import address_of
from shared.domain.access import AuditEntry, Principal
from shared.domain.errors import VibeInsightError
from shared.store.ledger import Ledger

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = frozenset({401, 403, 404, 429})

log = structlog.get_logger(__name__)


def entry_of(request: Request, outcome: str = "ok", status: int | None = None) -> AuditEntry:
    """What the request itself tells; the object is the first id of its path, unless the caller knows better."""
    return _entry(request.scope, outcome, status, None)


def was_recorded(request: Request) -> None:
    request.state.audited = True


class Audited:
    """ASGI middleware, inside the one that gives requests their ids."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READING:
            await self.app(scope, receive, send)
            return

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await _record(scope, message["status"], Headers(raw=message.get("headers", [])).get("location"))
            await send(message)

        try:
            await self.app(scope, receive, recorded)
        except Exception:
            await _record(scope, 500, None)
            raise


async def _record(scope: Scope, status: int, location: str | None) -> None:
    """An entry that cannot be written goes into the log: the change has been made, and its maker must hear so."""
    state = scope.get("state", {})
    if "principal" not in state or state.get("audited"):
        return
    state["audited"] = True
    entry = _entry(scope, _outcome(status), status, location)
    ledger: Ledger = scope["app"].state.toolbox.ledger
    try:
        await run_sync(ledger.audit, entry)
    except VibeInsightError as error:
        log.error("audit_entry_lost", action=entry.action, actor=entry.actor, outcome=entry.outcome, error=error.code)


def _entry(scope: Scope, outcome: str, status: int | None, location: str | None) -> AuditEntry:
    state, route = scope["state"], scope.get("route")
    principal: Principal = state["principal"]
    of_path = next((str(value) for value in scope.get("path_params", {}).values()), None)
    of_answer = (location or "").rstrip("/").rpartition("/")[2] or None
    return AuditEntry(
        actor=principal.actor,
        action=getattr(route, "operation_id", None) or scope["method"].lower(),
        outcome=outcome,
        owner_id=principal.owner_id,
        object_id=of_path or of_answer,
        request_id=state.get("request_id"),
        address=address_of(scope, scope["app"].state.toolbox.settings.client_address_header),
        status=status,
    )


def _outcome(status: int) -> str:
    if status < 400:
        return "ok"
    return "refused" if status in _REFUSED else "failed"
