"""Requests a minute at the served API: by key, by address, and what a caller is told."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
from pydantic import SecretStr

from api.limits import address_of, weight_of
from shared.guard.rate import Policy, RateLimiter
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.integration.api.harness import served

pytestmark = pytest.mark.integration

URL = {"source": {"url": "https://example.com/meeting.m4a"}}


class Served:
    """An API with limits of this test's, and callers with keys of their own."""

    def __init__(self, settings: Settings, **changed: Any) -> None:
        self.toolbox = Toolbox(settings.model_copy(update=changed))
        self._served = served(self.toolbox)
        self.address = self._served.__enter__()
        self.clients: list[httpx.Client] = []

    def key(self) -> dict[str, str]:
        owner = self.toolbox.ledger.create_owner("test")
        return {"Authorization": f"Bearer {self.toolbox.ledger.create_api_key(owner, 'test')}"}

    def get(self, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.get(f"{self.address}/v1/jobs", headers=headers, timeout=20.0)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self._served.__exit__(None, None, None)


Serve = Callable[..., Served]


@pytest.fixture
def serve(settings: Settings, memory: "redis.Redis") -> Iterator[Serve]:
    opened: list[Served] = []

    def begin(**changed: Any) -> Served:
        opened.append(Served(settings, **changed))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_a_key_has_a_bucket_of_its_own(serve: Serve) -> None:
    """The fourth read in a minute of three is refused as a problem with a time to come back; another key reads on."""
    api = serve(rate_limit_per_minute=3)
    key, other = api.key(), api.key()
    api.get(key), api.get(other)  # each is counted by address once, and known from then on
    answers = [api.get(key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refusal = answers[-1]
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["code"] == "rate_limited"
    assert refusal.json()["request_id"] == refusal.headers["x-request-id"]
    assert 1 <= int(refusal.headers["retry-after"]) <= 21
    assert api.get(other).status_code == 200


def test_answers_say_where_one_stands(serve: Serve) -> None:
    """RateLimit-Policy and RateLimit, as the draft of the IETF has them; heavier requests take more."""
    api = serve(rate_limit_per_minute=60)
    key = api.key()
    assert api.get(key).headers["ratelimit-policy"] == '"address";q=600;w=60'
    answer = api.get(key)
    assert answer.headers["ratelimit-policy"] == '"key";q=60;w=60'
    assert left(answer) == 59
    submitted = httpx.post(f"{api.address}/v1/jobs", headers=key, json=URL)
    assert submitted.status_code == 202
    assert left(submitted) in (54, 55)  # five units, and what has refilled meanwhile


def left(answer: httpx.Response) -> int:
    said = re.fullmatch(r'"(?:key|address)";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert said is not None, answer.headers["ratelimit"]
    return int(said[1])


def test_who_tries_out_keys_is_one_address(serve: Serve) -> None:
    """Each wrong key would be a new bucket; they are counted by where they come from, and good keys read on."""
    api = serve(address_rate_limit_per_minute=5)
    key = api.key()
    assert api.get(key).status_code == 200
    wrong = [api.get({"Authorization": f"Bearer vi_wrong_{number}"}).status_code for number in range(6)]
    assert wrong == [401] * 4 + [429] * 2
    assert api.get().status_code == 429
    assert api.get(key).status_code == 200


def test_a_proxy_is_believed_only_when_it_is_named(serve: Serve) -> None:
    """Anybody can send a header: without the setting it means nothing."""
    plain = serve(address_rate_limit_per_minute=2)
    forged = [plain.get({"Fly-Client-IP": f"10.0.0.{number}"}).status_code for number in range(3)]
    assert forged == [401, 401, 429]
    behind = serve(address_rate_limit_per_minute=2, client_address_header="Fly-Client-IP")
    told = [behind.get({"Fly-Client-IP": f"10.0.1.{number}"}).status_code for number in range(3)]
    assert told == [401, 401, 401]


def test_health_is_never_refused(serve: Serve) -> None:
    """The machines that watch us share an address with everybody behind it."""
    api = serve(address_rate_limit_per_minute=1)
    assert {httpx.get(f"{api.address}/livez").status_code for _ in range(5)} == {200}


def test_without_redis_requests_are_answered(serve: Serve, free_port: int) -> None:
    """Open, without header fields that would be invented; a redis that comes back counts again."""
    api = serve(redis_url=SecretStr(f"redis://127.0.0.1:{free_port}/0"), rate_limit_per_minute=1)
    key = api.key()
    answers = [api.get(key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "ratelimit" not in answers[-1].headers


async def _two(settings: Settings, memory: "redis.Redis") -> int:
    limiter = RateLimiter(settings)
    await limiter.take(Policy("key", 10), "warm", 1)
    before = memory.info("commandstats")
    await limiter.take(Policy("key", 10), "a", 1)
    await limiter.take(Policy("key", 10), "b", 1)
    await limiter.close()
    after = memory.info("commandstats")
    return int(after["cmdstat_evalsha"]["calls"]) - int(before["cmdstat_evalsha"]["calls"])


def test_one_round_trip_a_request(settings: Settings, memory: "redis.Redis") -> None:
    """Two requests are two calls of the script, and nothing else of Redis."""
    import asyncio

    assert asyncio.run(_two(settings, memory)) == 2


async def _race(settings: Settings) -> int:
    import asyncio

    limiter = RateLimiter(settings)
    taken = await asyncio.gather(*(limiter.take(Policy("key", 10), "x", 1) for _ in range(40)))
    await limiter.close()
    return sum(verdict is not None and verdict.allowed for verdict in taken)


def test_a_burst_at_once_gets_the_limit_and_no_more(settings: Settings, memory: "redis.Redis") -> None:
    """Forty at the same moment for ten: ten."""
    import asyncio

    assert asyncio.run(_race(settings)) == 10


@pytest.mark.parametrize(
    ("method", "path", "units"),
    [
        ("GET", "/v1/jobs", 1),
        ("POST", "/v1/jobs", 5),
        ("POST", "/v1/jobs/0b9c3c3e/retry", 5),
        ("POST", "/v1/jobs/0b9c3c3e/cancel", 1),
        ("POST", "/v1/jobs/file", 10),
        ("GET", "/v1/jobs/0b9c3c3e/report", 3),
        ("OPTIONS", "/v1/jobs", 0),
        ("GET", "/livez", 0),
        ("GET", "/", 0),
    ],
)
def test_what_a_request_weighs(method: str, path: str, units: int) -> None:
    """About what it costs us."""
    assert weight_of(method, path) == units


def test_a_client_s_address_is_short_and_there() -> None:
    """A header of any length must not become a key of that length."""
    scope = {"type": "http", "headers": [(b"fly-client-ip", b"x" * 500)], "client": None}
    assert len(address_of(scope, "Fly-Client-IP")) == 64
    assert address_of({"type": "http", "headers": [], "client": None}, "Fly-Client-IP") == "unknown"
