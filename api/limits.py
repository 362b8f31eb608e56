"""Requests a minute, by key and by address, with the header fields that tell a caller where they stand.

A key is known by its principal once a request of it has been answered as authenticated; until then, and for everybody
who shows none, the client's address is counted. So who tries out keys is counted as one address.
"""

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from shared.domain.access import Principal
from shared.guard.rate import Policy, RateLimiter, Verdict
from shared.settings import Settings

KNOWN_KEYS = 10_000  # of one process: 2 MB; the one unused longest is forgotten, and counted by address once
UNAUTHORIZED = 401

# What a request weighs: about what it costs us, in plain reads. The first that fits counts.
_FREE = re.compile(r"/(livez|readyz|health|metrics|openapi\.json|docs(/.*)?|assets/.*)?")
_WEIGHTS: tuple[tuple[str, re.Pattern[str], int], ...] = tuple(
    (method, re.compile(path), weight)
    for method, path, weight in (
        ("POST", r"/v1/jobs/file", 10),  # a thread and 60 MB while it comes in
        ("POST", r"/v1/jobs/batch", 20),
        ("POST", r"/v1/jobs(/[^/]+/retry)?", 5),  # minutes of work
        ("POST", r"/process-audio", 5),
        ("POST", r"/v1/uploads(/.*)?", 3),  # several calls of the object store
        ("GET", r"/v1/jobs/[^/]+/(report|transcript)", 3),  # rendered anew
        ("GET", r"/v1/jobs/[^/]+/audio", 2),
        ("DELETE", r"/v1/.*", 3),
    )
)


def weight_of(method: str, path: str) -> int:
    if method == "OPTIONS" or _FREE.fullmatch(path):
        return 0
    return next((units for verb, known, units in _WEIGHTS if verb == method and known.fullmatch(path)), 1)


def address_of(scope: Scope, trusted_header: str | None) -> str:
    """The peer's, or what a proxy says whom the operator trusts: anybody can send a header."""
    told = Headers(scope=scope).get(trusted_header, "").strip() if trusted_header else ""
    peer = scope.get("client")
    return told[:64] or (peer[0] if peer else "unknown")


@dataclass
class RateLimited:
    """ASGI middleware. Inside the observing one: a refusal has an id and is counted like any answer."""

    app: ASGIApp
    settings: Settings
    limiter: RateLimiter
    _known: OrderedDict[str, str] = field(default_factory=OrderedDict)  # digest of a secret -> whose it is

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._open(scope, receive, send)
            return
        units = weight_of(scope["method"], scope["path"]) if scope["type"] == "http" else 0
        if not units or not self.settings.rate_limit_per_minute:
            await self.app(scope, receive, send)
            return
        digest = _digest(scope)
        verdict = await self._take(scope, digest, units)
        if verdict is not None and not verdict.allowed:
            await _refuse(verdict, scope, receive, send)
            return
        await self.app(scope, receive, self._answered(scope, digest, verdict, send))

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket is counted by its address when it opens: its key stands where only its transport looks."""
        verdict = await self._take(scope, None, 1) if self.settings.rate_limit_per_minute else None
        if verdict is None or verdict.allowed:
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"retry-after", str(ceil(verdict.wait_s)).encode())]
        await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b'{"error":"Too many requests"}'})

    async def _take(self, scope: Scope, digest: str | None, units: int) -> Verdict | None:
        principal = self._known.get(digest) if digest else None
        if principal is not None:
            return await self.limiter.take(Policy("key", self.settings.rate_limit_per_minute), principal, units)
        address = address_of(scope, self.settings.client_address_header)
        return await self.limiter.take(Policy("address", self.settings.address_rate_limit_per_minute), address, units)

    def _answered(self, scope: Scope, digest: str | None, verdict: Verdict | None, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._learn(scope, digest, message["status"])
                if verdict is not None:
                    headers = MutableHeaders(scope=message)
                    headers["RateLimit-Policy"], headers["RateLimit"] = verdict.policy.header, verdict.header
            await send(message)

        return answer

    def _learn(self, scope: Scope, digest: str | None, status: int) -> None:
        """A secret that was good stands for its principal from now on; one that is not any more, no longer."""
        if digest is None:
            return
        principal = scope.get("state", {}).get("principal")
        if isinstance(principal, Principal):
            self._known[digest] = principal.actor
            self._known.move_to_end(digest)
            if len(self._known) > KNOWN_KEYS:
                self._known.popitem(last=False)
        elif status == UNAUTHORIZED:
            self._known.pop(digest, None)


def _digest(scope: Scope) -> str | None:
    """The secret itself is not kept."""
    secret = Headers(scope=scope).get("authorization")
    return hashlib.sha256(secret.encode()).hexdigest() if secret else None


async def _refuse(verdict: Verdict, scope: Scope, receive: Receive, send: Send) -> None:
    policy, wait_s = verdict.policy, ceil(verdict.wait_s)
    answer = problem(
        Request(scope),
        status=429,
        code="rate_limited",
        detail=f"More than {policy.units} units a minute for this {policy.name}; this request fits in {wait_s} s",
        more={"limit": policy.name, "allowed": policy.units, "retry_after_s": wait_s},
        headers={"Retry-After": str(wait_s), "RateLimit-Policy": policy.header, "RateLimit": verdict.header},
    )
    await answer(scope, receive, send)
