"""What most tests stand on: real servers for the whole run, and a fresh, migrated database for each test."""

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.secret_watch import _no_secret_in_any_log, pytest_runtest_makereport  # noqa: F401 - at work in every test

PRISTINE = "pristine"  # migrated once, then only copied
RECORDINGS = Path(__file__).parents[2] / "shared" / "audio"
_numbers = itertools.count(1)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _administer(settings: Settings, statement: str, *names: str) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as link:
        link.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]


def on_database(settings: Settings, name: str) -> Settings:
    """The same servers with another database."""
    assert settings.database_url is not None
    url = _with_database(settings.database_url.get_secret_value(), name)
    return settings.model_copy(update={"database_url": SecretStr(url)})


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """A proxy of the machine is not for servers on the loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey, PostgreSQL and an S3 server as they come up, without a schema."""
    own = Settings(
        database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=tmp_path_factory.mktemp("stack") / "data"
    )
    with Stack.start(own, durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def stack(servers: Stack) -> Stack:
    """The servers with a migrated database: `.settings` and, for child processes, `.environment`."""
    from shared.store.migrate import upgrade  # here: tests without servers need not load the database's packages

    _administer(servers.settings, "CREATE DATABASE {}", PRISTINE)
    upgrade(on_database(servers.settings, PRISTINE))
    upgrade(servers.settings)
    return servers


@pytest.fixture
def settings(stack: Stack, tmp_path: Path) -> Iterator[Settings]:
    """Settings on a database of this test's own, and a broker database of its own too."""
    number = next(_numbers)
    name = f"test_{number}"
    _administer(stack.settings, "CREATE DATABASE {} TEMPLATE {}", name, PRISTINE)
    assert stack.settings.redis_url is not None
    broker = _with_database(stack.settings.redis_url.get_secret_value(), str(number))
    yield on_database(stack.settings, name).model_copy(
        update={"redis_url": SecretStr(broker), "data_dir": tmp_path / "data"}
    )
    _administer(stack.settings, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def toolbox(settings: Settings) -> Iterator[Toolbox]:
    """Every port, over this test's settings."""
    tools = Toolbox(settings)
    yield tools
    tools.close()


@pytest.fixture
def owner(toolbox: Toolbox) -> OwnerId:
    """Somebody who owns rows in this test's database."""
    return toolbox.ledger.create_owner("test")


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """Real recordings with references, where the machine has them."""
    folder = Path(os.environ.get("VIBEINSIGHT_AUDIO", RECORDINGS))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder.name}; VIBEINSIGHT_AUDIO names another folder")
    return folder


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
