"""The API as it is served, and two owners with keys to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
import structlog
from pydantic import SecretStr

from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.integration.api.harness import WITHIN_S, Worker, served


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
def toolbox(stack: Stack) -> Toolbox:
    """One database and one API for all of these tests: each has owners of its own, and owners do not meet."""
    database, redis = stack.settings.database_url, stack.settings.redis_url
    assert database is not None
    assert redis is not None
    with psycopg.connect(database.get_secret_value(), autocommit=True) as link:
        link.execute("CREATE DATABASE api TEMPLATE pristine")
    own = {"database_url": _other(database, "api"), "redis_url": _other(redis, "1000")}
    return Toolbox(stack.settings.model_copy(update=own))


def _other(url: SecretStr, database: str) -> SecretStr:
    return SecretStr(urlunsplit(urlsplit(url.get_secret_value())._replace(path=f"/{database}")))


@pytest.fixture(scope="session")
def address(toolbox: Toolbox) -> Iterator[str]:
    with served(toolbox) as url:
        yield url


def _client(address: str, toolbox: Toolbox, owner: OwnerId) -> httpx.Client:
    key = toolbox.ledger.create_api_key(owner, "test")
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=WITHIN_S)


@pytest.fixture
def client(address: str, toolbox: Toolbox, owner: OwnerId) -> Iterator[httpx.Client]:
    """The owner's."""
    with _client(address, toolbox, owner) as made:
        yield made


@pytest.fixture
def stranger(address: str, toolbox: Toolbox) -> Iterator[httpx.Client]:
    """Somebody with a good key and no rights to the owner's rows."""
    with _client(address, toolbox, toolbox.ledger.create_owner("stranger")) as made:
        yield made


@pytest.fixture
def worker(toolbox: Toolbox, tmp_path: Path) -> Worker:
    return Worker(toolbox, tmp_path)


@pytest.fixture
def new_job(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """A job of the owner's, from an address that nobody fetches."""

    def create(**fields: Any) -> dict[str, Any]:
        answer = client.post("/v1/jobs", json={"source": {"url": "https://example.com/meeting.m4a"}, **fields})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    return create
