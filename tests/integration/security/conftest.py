"""An API that knows users of Supabase, the issuer of their tokens, two owners, and somebody with nothing."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import jwt
import psycopg
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from cli.stack import Stack
from shared.toolbox import Toolbox
from tests.integration.api.harness import WITHIN_S, served
from tests.media_servers import ScriptedServer, scripted

SHARED_SECRET = "a-shared-secret-of-the-project-that-nobody-guesses"


@dataclass
class Issuer:
    """Signs tokens as Supabase does, and serves its public keys. `broken` answers nothing of use."""

    server: ScriptedServer | None = None
    broken: bool = False
    rsa: Any = field(default_factory=lambda: rsa.generate_private_key(65_537, 2048))
    curve: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    published: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.published = [
            jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"},
            jwt.algorithms.ECAlgorithm.to_jwk(self.curve.public_key(), as_dict=True) | {"kid": "ec", "use": "sig"},
        ]

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://{self.server.host}"

    @property
    def body(self) -> bytes:
        return json.dumps({"keys": self.published}).encode()

    def claims(self, user: str | None = None, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": f"{self.url}/auth/v1", "aud": "authenticated", "role": "authenticated"}
        return usual | {"sub": user or str(uuid.uuid4()), "iat": now, "exp": now + 3600} | changes

    def token(self, user: str | None = None, *, algorithm: str = "ES256", **changes: Any) -> str:
        key, kid = {
            "HS256": (SHARED_SECRET, None),
            "RS256": (self.rsa, "rsa"),
            "ES256": (self.curve, "ec"),
        }[algorithm]
        return jwt.encode(self.claims(user, **changes), key, algorithm, headers={"kid": kid} if kid else {})


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with scripted(lambda to, n: to.whole(b"?", 500) if made.broken else to.whole(made.body)) as server:
        made.server = server
        yield made


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """As in production: an exception is a text. structlog's default paints it with every local, for seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.stdlib.render_to_log_kwargs,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


@pytest.fixture(scope="session")
def toolbox(stack: Stack, issuer: Issuer) -> Iterator[Toolbox]:
    """One database and one API for these tests; they do not look at each other's owners."""
    database, redis = stack.settings.database_url, stack.settings.redis_url
    assert database is not None
    assert redis is not None
    with psycopg.connect(database.get_secret_value(), autocommit=True) as link:
        link.execute("CREATE DATABASE security TEMPLATE pristine")
    tools = Toolbox(
        stack.settings.model_copy(
            update={
                "database_url": _other(database, "security"),
                "redis_url": _other(redis, "1001"),
                "supabase_url": issuer.url,
                "supabase_jwt_secret": SecretStr(SHARED_SECRET),
            }
        )
    )
    yield tools
    tools.close()


def _other(url: SecretStr, database: str) -> SecretStr:
    return SecretStr(urlunsplit(urlsplit(url.get_secret_value())._replace(path=f"/{database}")))


@pytest.fixture(scope="session")
def address(toolbox: Toolbox) -> Iterator[str]:
    with served(toolbox) as url:
        yield url


@dataclass
class Caller:
    """Somebody who calls the API with a key or a token, or with nothing."""

    address: str
    bearer: str | None = None

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return httpx.request(method, self.address + path, headers=headers, timeout=WITHIN_S, **more)


@pytest.fixture
def mine(address: str, toolbox: Toolbox) -> Caller:
    return Caller(address, toolbox.ledger.create_api_key(toolbox.ledger.create_owner("me"), "mine"))


@pytest.fixture
def theirs(address: str, toolbox: Toolbox) -> Caller:
    return Caller(address, toolbox.ledger.create_api_key(toolbox.ledger.create_owner("them"), "theirs"))


@pytest.fixture
def nobody(address: str) -> Caller:
    return Caller(address)


@pytest.fixture
def user(address: str, issuer: Issuer) -> Caller:
    """A user of Supabase whom the API has never seen."""
    return Caller(address, issuer.token())
