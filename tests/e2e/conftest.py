"""One VibeInsight for all end-to-end tests, with limits small enough to be reached in seconds."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import speech_fixtures
from tests.e2e.machine import Machine, bare_environment
from tests.e2e.servers import misbehaving

MAX_DURATION_S = 120
MAX_BYTES = 8 * 1024**2


@pytest.fixture(scope="session")
def hostile() -> Iterator[str]:
    """The address of a web server that misbehaves; the one private address that may be fetched from."""
    with misbehaving() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, hostile: str) -> Iterator[Machine]:
    """`vibeinsight up` in a folder of its own, and the means to use it."""
    from cli.servers.ports import free_ports

    folder = tmp_path_factory.mktemp("machine")
    environment = bare_environment(
        VIBEINSIGHT_DATA_DIR=str(folder / "data"),
        VIBEINSIGHT_MAX_DURATION_S=str(MAX_DURATION_S),
        VIBEINSIGHT_MAX_UPLOAD_BYTES=str(MAX_BYTES),
        VIBEINSIGHT_FETCH_TIMEOUT_S="2",
        VIBEINSIGHT_FETCH_TOTAL_S="6",
        VIBEINSIGHT_RETRY_BASE_S="0.2",
        VIBEINSIGHT_FETCH_ALLOW_HOSTS=json.dumps([hostile.removeprefix("http://")]),
    )
    machine = Machine(folder, environment, free_ports(1)[0])
    machine.up()
    yield machine
    if machine.process is not None and machine.process.poll() is None:
        machine.down()


@pytest.fixture(scope="session")
def conversation() -> Path:
    """A made coaching conversation of about a minute: coach and client, in English."""
    return speech_fixtures.dialogue("en")[0]


@pytest.fixture(scope="session")
def spoken_words() -> set[str]:
    """The words of its script."""
    lines = speech_fixtures.dialogue("en")[1]
    return set(re.findall(r"[a-z']+", " ".join(line.text for line in lines).lower()))
