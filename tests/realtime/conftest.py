"""One API with users of Supabase, two owners, and the npm packages of the real JavaScript client."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import structlog
from pydantic import SecretStr

from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.realtime.harness import CLIENT, DENO, SECRET, SUPABASE, Api, JsClient, Told, deno_environment, running


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
def toolbox(stack: Stack) -> Iterator[Toolbox]:
    """One database and one API for these tests: each has owners of its own. Tokens end when they say, and the one
    address that all of them come from may open as many sockets as they like.
    """
    database, redis = stack.settings.database_url, stack.settings.redis_url
    assert database is not None
    assert redis is not None
    with psycopg.connect(database.get_secret_value(), autocommit=True) as link:
        link.execute("CREATE DATABASE realtime TEMPLATE pristine")
    own = {"database_url": _other(database, "realtime"), "redis_url": _other(redis, "1002")}
    users = {
        "supabase_url": SUPABASE,
        "supabase_jwt_secret": SecretStr(SECRET),
        "jwt_leeway_s": 0.0,
        "rate_limit_per_minute": 0,
    }
    tools = Toolbox(stack.settings.model_copy(update=own | users))
    yield tools
    tools.close()


def _other(url: SecretStr, database: str) -> SecretStr:
    return SecretStr(urlunsplit(urlsplit(url.get_secret_value())._replace(path=f"/{database}")))


@pytest.fixture(scope="session")
def api(toolbox: Toolbox) -> Iterator[Api]:
    with running(toolbox) as served:
        yield served


@pytest.fixture
def key(toolbox: Toolbox, owner: OwnerId) -> str:
    return toolbox.ledger.create_api_key(owner, "realtime")


@pytest.fixture
def new_job(toolbox: Toolbox, owner: OwnerId) -> Callable[..., Told]:
    """The owner's, unless it says whose."""
    return lambda **more: Told(toolbox, **({"owner": owner} | more))


@pytest.fixture(scope="session")
def _npm() -> None:
    """The locked packages are in Deno's cache; after this no test needs the network."""
    command = [DENO, "install", "--frozen"]
    ran = subprocess.run(
        command, cwd=CLIENT, env=deno_environment(), capture_output=True, text=True, timeout=240, check=False
    )
    if ran.returncode and "error sending request" in ran.stderr:
        pytest.skip("the npm registry does not answer, and supabase-js is not in Deno's cache: run this with network")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def js(_npm: None) -> Iterator[Callable[..., JsClient]]:
    started: list[JsClient] = []

    def start(*arguments: Any, **more: Any) -> JsClient:
        started.append(JsClient.start(*arguments, **more))
        return started[-1]

    yield start
    for client in started:
        client.stop()
