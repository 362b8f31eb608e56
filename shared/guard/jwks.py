"""The public keys of an issuer of tokens: fetched when first needed, kept, and fetched again when they may be old.

The address is the operator's own; still the fetch is bounded in time and size, follows no redirect and connects to the
address that was checked.
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import jwt
import structlog

from shared.domain.errors import SetupError, StorageUnavailable, VibeInsightError
from shared.guard.addresses import AddressGuard, Resolver, resolve_by_system
from shared.guard.transport import Deadline, GuardedTransport

FETCH_S = 5.0  # the whole of it: a request waits for this
MOST_BYTES = 64 * 1024  # an issuer has two or three keys of below a kilobyte each
FRESH_S = 600.0  # Supabase keeps them as long at its own edge; a key taken back is refused after that
AGAIN_S = 30.0  # between two fetches, whatever is asked for: made-up key ids must not become traffic

log = structlog.get_logger(__name__)


class KeySet:
    """Thread-safe. Keys that could not be fetched anew stay good: an issuer that is away locks nobody out."""

    def __init__(
        self, url: str, *, resolve: Resolver = resolve_by_system, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = httpx.URL(url)
        if self._url.scheme not in ("https", "http") or not self._url.host:
            raise SetupError("VIBEINSIGHT_SUPABASE_JWKS_URL is no address of http or https; correct it")
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._guard = AddressGuard((f"{self._url.host}:{port}",), resolve)
        self._now, self._lock = now, threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -float("inf")

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Raises StorageUnavailable while there never was an answer."""
        with self._lock:
            stale = self._now() - self._fetched_at > FRESH_S
            if (stale or key_id not in self._keys) and self._now() - self._tried_at > AGAIN_S:
                self._refresh()
            if self._fetched_at == -float("inf"):
                raise StorageUnavailable("The sign-in service does not answer, so no token can be checked; try again")
            return self._keys.get(key_id)

    def _refresh(self) -> None:
        self._tried_at = self._now()
        try:
            self._keys = _read(self._fetch())
            self._fetched_at = self._now()
        except (httpx.HTTPError, VibeInsightError, ValueError, jwt.PyJWTError) as error:
            log.warning("signing_keys_not_fetched", host=self._url.host, error=type(error).__name__)

    def _fetch(self) -> bytes:
        transport = GuardedTransport(self._guard, Deadline.after(FETCH_S))
        with (
            httpx.Client(transport=transport, timeout=FETCH_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"status {answer.status_code}")
            body = b""
            for piece in answer.iter_raw():
                body += piece
                if len(body) > MOST_BYTES:
                    raise ValueError("too long for a key set")
            return body


def _read(body: bytes) -> dict[str, jwt.PyJWK]:
    """Keys for signatures, by their id. A secret key that stands there by mistake is no public key: left out."""
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("keys"), list):
        raise ValueError("not a key set")
    found = {}
    for entry in answer["keys"]:
        usable = isinstance(entry, dict) and entry.get("kty") in ("RSA", "EC") and entry.get("use", "sig") == "sig"
        if usable and isinstance(entry.get("kid"), str):
            with suppress(jwt.PyJWTError, ValueError, TypeError):  # one that cannot be read spoils no other
                found[entry["kid"]] = jwt.PyJWK.from_dict(entry)
    return found
