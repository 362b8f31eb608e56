"""The broker's configuration, loaded by a real server: what the file promises is what the server does."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cli.servers import wheels

pytestmark = pytest.mark.integration

CONFIG = Path(__file__).parents[3] / "infra/fly/redis.conf"
PASSWORD = "only-for-this-test"


def _client(port: int, password: str | None) -> "redis.Redis":
    return redis.Redis(host="127.0.0.1", port=port, password=password, socket_timeout=2, decode_responses=True)


def _wait_for_it(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            _client(port, PASSWORD).ping()
            return
        except redis.exceptions.ConnectionError:
            assert time.monotonic() < deadline, "the server does not start with this file"
            time.sleep(0.05)


@pytest.fixture
def port(tmp_path: Path, free_port: int) -> Iterator[int]:
    """The file as the platform uses it, with the password in a second one; only place and address differ."""
    auth = tmp_path / "auth.conf"
    auth.write_text(f"requirepass {PASSWORD}\n")
    here = ["--include", auth, "--port", str(free_port), "--bind", "127.0.0.1", "--dir", tmp_path]
    server = subprocess.Popen(
        [wheels.valkey_server(), CONFIG, *here], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        _wait_for_it(free_port)
        yield free_port
    finally:
        server.terminate()
        server.wait(10)


def test_nobody_is_served_without_the_password(port: int) -> None:
    """The password of the second file is in force."""
    with pytest.raises(redis.exceptions.AuthenticationError):
        _client(port, None).ping()


def test_a_ring_is_kept_and_never_evicted(port: int) -> None:
    """Append-only file each second, no snapshots, no eviction, a limit on memory."""
    asked = ["appendonly", "appendfsync", "save", "maxmemory-policy", "maxmemory"]
    found = {name: value for name in asked for value in _client(port, PASSWORD).config_get(name).values()}
    assert found == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(160 * 1024**2),
    }


def test_a_full_server_refuses(port: int) -> None:
    """More than the limit is an error for who writes, and what is there stays."""
    client = _client(port, PASSWORD)
    client.set("ring", "kept")
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("another", "refused")
    assert client.get("ring") == "kept"
