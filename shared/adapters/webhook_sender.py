"""Webhooks over HTTP, signed as Standard Webhooks says. The receiver is somebody else's machine: nothing that it does
holds us up for long, nothing of its answer is read beyond the status, and it cannot send us anywhere.
"""

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Sequence

import httpx

from shared.domain.errors import SourceNotFound, SourceRefused, SourceUnavailable
from shared.domain.webhooks import Answer, Letter
from shared.guard.addresses import AddressGuard, Resolver, resolve_by_system
from shared.guard.transport import Deadline, GuardedTransport
from shared.settings import Settings

TOTAL_S = 15.0  # from the look-up of the name to the answer's status, however slowly it trickles
SILENCE_S = 10.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - marks a secret, is none
_ASKS_FOR_TIME = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


def sign(letter_id: str, timestamp_s: int, body: str, secrets: Sequence[str]) -> str:
    """One signature a secret, so that a receiver may know either."""
    content = f"{letter_id}.{timestamp_s}.{body}".encode()
    return " ".join(f"v1,{_signature(secret, content)}" for secret in secrets)


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


class WebhookSender:
    """One try of one delivery. Never raises for what a receiver does."""

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolver = resolve_by_system,
        certificates: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._total_s = total_s
        self._guard = AddressGuard(settings.fetch_allow_hosts, resolve)
        self._certificates = certificates or httpx.create_ssl_context()

    def send(self, letter: Letter) -> Answer:
        began = time.monotonic()
        status, error, retry_after_s = self._try(letter)
        return Answer(status, error, round(1000 * (time.monotonic() - began)), retry_after_s)

    def _try(self, letter: Letter) -> tuple[int | None, str | None, float | None]:
        """(status, what was wrong, how long to wait)."""
        try:
            content, headers = letter.body.encode(), _headers(letter)
            with (
                self._client() as client,
                client.stream("POST", letter.url, content=content, headers=headers) as response,
            ):
                return response.status_code, _wrong(response.status_code), _asked_s(response)
        except SourceRefused:
            return None, "address_refused", None
        except SourceNotFound:
            return None, "no_such_host", None
        except httpx.TimeoutException:
            return None, "timed_out", None
        except (SourceUnavailable, httpx.HTTPError, httpx.InvalidURL):
            return None, "no_connection", None

    def _client(self) -> httpx.Client:
        transport = GuardedTransport(self._guard, Deadline.after(self._total_s), self._certificates)
        return httpx.Client(transport=transport, timeout=SILENCE_S, follow_redirects=False, trust_env=False)


def _headers(letter: Letter) -> dict[str, str]:
    now_s = int(time.time())
    return {
        "Content-Type": "application/json",
        "User-Agent": "VibeInsight",
        "webhook-id": letter.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": sign(letter.id, now_s, letter.body, letter.secrets),
    }


def _wrong(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirected" if 300 <= status < 400 else "refused_by_receiver" if status < 500 else "receiver_failed"


def _asked_s(response: httpx.Response) -> float | None:
    """Of Retry-After the seconds; as a date it is so rare that our own waits will do."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if response.status_code in _ASKS_FOR_TIME and asked.isdecimal() and len(asked) < 8 else None
