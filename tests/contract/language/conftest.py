"""One server for all: a test says what it answers."""

from collections.abc import Iterator

import pytest

from tests.language_server import LanguageServer, serving


@pytest.fixture(scope="session")
def running() -> Iterator[LanguageServer]:
    with serving(lambda asked: "") as server:
        yield server


@pytest.fixture
def server(running: LanguageServer) -> LanguageServer:
    """With nothing asked of it yet."""
    return running.reset()
