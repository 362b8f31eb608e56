"""The embedded stack keeps what it was given, listens on the loopback only, and leaves nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
import redis
from botocore.exceptions import ClientError
from pydantic import SecretStr

from cli.stack import Stack
from shared.domain.errors import SetupError
from shared.settings import Settings

pytestmark = pytest.mark.integration

HOLD_A_STACK = """
import sys, time
from pathlib import Path
from cli.stack import Stack
from shared.settings import Settings

stack = Stack.start(Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=Path(sys.argv[1])))
print(*(server.pid for server in stack.servers), flush=True)
time.sleep(600)
"""


def _alone(folder: Path) -> Settings:
    return Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=folder)


def _secret(value: SecretStr | None) -> str:
    assert value is not None
    return value.get_secret_value()


@contextlib.contextmanager
def _redis(settings: Settings) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(_secret(settings.redis_url))
    yield client
    client.close()


@contextlib.contextmanager
def _s3(settings: Settings) -> Iterator[object]:
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=_secret(settings.s3_access_key),
        aws_secret_access_key=_secret(settings.s3_secret_key),
    )
    yield client
    client.close()


def _wait(done: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _store_everywhere(settings: Settings) -> None:
    with psycopg.connect(_secret(settings.database_url)) as link:
        link.execute("CREATE TABLE kept (word text)")
        link.execute("INSERT INTO kept VALUES ('row')")
    with _redis(settings) as client:
        client.set("kept", "key")
    with _s3(settings) as client:
        client.put_object(Bucket=settings.s3_bucket, Key="kept", Body=b"object" * 1_000_000)


def test_everything_is_kept_over_a_restart(tmp_path: Path) -> None:
    """A row, a key and an object written before a stop are there after the next start, with the same passwords."""
    with Stack.start(_alone(tmp_path / "data")) as first:
        _store_everywhere(first.settings)
    with Stack.start(_alone(tmp_path / "data")) as second:
        with psycopg.connect(_secret(second.settings.database_url)) as link:
            assert link.execute("SELECT word FROM kept").fetchall() == [("row",)]
        with _redis(second.settings) as client:
            assert client.get("kept") == b"key"
        with _s3(second.settings) as client:
            body = client.get_object(Bucket=second.settings.s3_bucket, Key="kept")["Body"]
            assert body.read() == b"object" * 1_000_000
        assert second.secrets == first.secrets


def test_nothing_listens_beyond_the_loopback(servers: Stack) -> None:
    """Every listening TCP socket of every server, and of its children, is on 127.0.0.1."""
    leaders = [psutil.Process(server.pid) for server in servers.servers]
    family = [process for leader in leaders for process in [leader, *leader.children(recursive=True)]]
    sockets = [link for process in family for link in process.net_connections("inet")]
    listening = {link.laddr.ip for link in sockets if link.status == psutil.CONN_LISTEN}
    datagrams = {link.laddr.ip for link in sockets if link.status == psutil.CONN_NONE}
    assert listening == {"127.0.0.1"}
    assert datagrams <= {"127.0.0.1"}


def test_passwords_are_needed(servers: Stack) -> None:
    """Another user of the machine reaches none of the three servers without the folder's passwords."""
    settings = servers.settings
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(_secret(settings.database_url).replace(servers.secrets.postgres_password, "wrong"))
    with redis.Redis.from_url(_secret(settings.redis_url).replace(f":{servers.secrets.redis_password}@", "")) as client:
        with pytest.raises(redis.AuthenticationError):
            client.ping()
        client.connection_pool.disconnect()
    stranger = settings.model_copy(update={"s3_secret_key": SecretStr("wrong")})
    with _s3(stranger) as client, pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.put_object(Bucket=settings.s3_bucket, Key="x", Body=b"x")


def test_secrets_are_for_their_owner_alone(servers: Stack) -> None:
    """The data folder and the files with passwords can be read by nobody else."""
    private = [servers.data_dir, servers.data_dir / "secrets.json", servers.data_dir / "valkey" / "valkey.conf"]
    assert [oct(path.stat().st_mode & 0o077) for path in private] == ["0o0"] * 3


def test_passwords_are_on_no_command_line(servers: Stack) -> None:
    """`ps` shows no password of the stack."""
    shown = " ".join(word for server in servers.servers for word in psutil.Process(server.pid).cmdline())
    assert not [secret for secret in vars(servers.secrets).values() if secret in shown]


def test_two_stacks_live_side_by_side(servers: Stack, tmp_path: Path) -> None:
    """A second stack in another folder has other addresses, and its broker holds its own keys."""
    with Stack.start(_alone(tmp_path / "other"), durable=False) as other, _redis(other.settings) as client:
        assert _secret(other.settings.redis_url) != _secret(servers.settings.redis_url)
        assert other.settings.s3_endpoint_url != servers.settings.s3_endpoint_url
        assert client.dbsize() == 0


def test_a_folder_serves_one_stack_at_a_time(servers: Stack) -> None:
    """A second start on the same data folder is refused with what to do about it."""
    with pytest.raises(SetupError, match="VIBEINSIGHT_DATA_DIR"):
        Stack.start(_alone(servers.data_dir))


def test_configured_servers_are_used_instead(servers: Stack, tmp_path: Path) -> None:
    """What is configured is not started: here the database and the S3, so only a broker comes up."""
    partly = servers.settings.model_copy(update={"redis_url": None, "data_dir": tmp_path / "partly"})
    with Stack.start(partly, durable=False) as running:
        assert [server.recipe.name for server in running.servers] == ["valkey"]
        assert running.settings.database_url == servers.settings.database_url
        assert running.settings.s3_endpoint_url == servers.settings.s3_endpoint_url


def test_a_stale_lock_of_the_database_is_no_obstacle(tmp_path: Path) -> None:
    """After a crash, postmaster.pid may name a process of somebody else, here ours: the server starts all the same."""
    folder = tmp_path / "data"
    with Stack.start(_alone(folder), durable=False):
        lock = (folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    stale = folder / "postgres" / "data" / "postmaster.pid"
    stale.write_text("\n".join([str(os.getpid()), *lock[1:]]))
    with Stack.start(_alone(folder), durable=False) as again:
        assert psycopg.connect(_secret(again.settings.database_url)).close() is None


def test_the_death_of_the_parent_leaves_no_orphans(tmp_path: Path) -> None:
    """After SIGKILL to who started them all servers end, and the folder can be used again at once."""
    command = [sys.executable, "-c", HOLD_A_STACK, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        holder.send_signal(signal.SIGKILL)
    assert len(pids) == 3
    with Stack.start(_alone(tmp_path / "data")) as again:
        assert len(again.servers) == 3
        _wait(lambda: all(map(_gone, pids)))


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    """After a stop none of the servers' processes is there, and the sockets they drop elsewhere are gone."""
    with Stack.start(_alone(tmp_path / "data"), durable=False) as running:
        leaders = [psutil.Process(server.pid) for server in running.servers]
        family = [p.pid for leader in leaders for p in [leader, *leader.children(recursive=True)]]
        leftovers = [path for server in running.servers for path in server.recipe.leftovers]
    _wait(lambda: all(map(_gone, family)))
    assert [path for path in leftovers if path.exists()] == []
