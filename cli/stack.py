"""The embedded stack: every server that is not configured is started from its wheel, in one data folder.

A data folder holds `secrets.json`, `lock`, `logs/` and one folder a server. One stack at a time uses it; the lock
says which. Whatever ends this process, the watchdog ends the servers.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from cli.servers import postgres, seaweed, valkey
from cli.servers.identity import identity, lives
from cli.servers.process import Child, Guard
from cli.servers.secrets import StackSecrets, load_or_draw
from shared.domain.errors import SetupError
from shared.settings import Settings

SECRETS = "secrets.json"
LOCK_WAIT_S = 20.0  # what the watchdog of a supervisor that was killed needs at most to end its servers
LOCK_POLL_S = 0.1
START_TRIES = 3  # a port may be taken between our looking and the server's binding

T = TypeVar("T")


@dataclass
class Stack:
    """Servers that run, and the settings to reach them."""

    settings: Settings
    data_dir: Path
    secrets: StackSecrets
    guard: Guard
    servers: list[Child] = field(default_factory=list)
    _lock: int = -1

    @classmethod
    def start(cls, settings: Settings, *, durable: bool = True) -> "Stack":
        """Starts what `settings` leaves open. `durable` off trades safety of the data for speed: for tests."""
        data_dir = _private_folder(settings.data_dir)
        lock = _take_lock(data_dir)
        stack = cls(settings, data_dir, load_or_draw(data_dir / SECRETS), Guard(lock), _lock=lock)
        try:
            stack._start_servers(durable=durable)
        except BaseException:
            stack.stop()
            raise
        return stack

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to use this stack."""
        return os.environ | _server_variables(self.settings) | {"NO_PROXY": _no_proxy(), "no_proxy": _no_proxy()}

    def stop(self) -> None:
        """All at once, then one after the other waited for."""
        for server in self.servers:
            server.ask_to_stop()
        for server in reversed(self.servers):
            server.stop()
        self.servers.clear()
        self.guard.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_servers(self, *, durable: bool) -> None:
        """The slowest first, so that it comes up while the others are started."""
        found: dict[str, object] = {}
        finish_objects = self._begin_objects(found) if self.settings.s3_endpoint_url is None else None
        if self.settings.redis_url is None:
            found["redis_url"] = SecretStr(_retried(lambda: self._run_valkey(durable=durable)))
        if self.settings.database_url is None:
            found["database_url"] = SecretStr(_retried(lambda: self._run_postgres(durable=durable)))
        if finish_objects is not None:
            finish_objects()
        self.settings = self.settings.model_copy(update={**found, "data_dir": self.data_dir})

    def _run_valkey(self, *, durable: bool) -> str:
        folder = self.data_dir / "valkey"
        child, url = valkey.start(folder, self.logs, self.secrets.redis_password, self.guard, durable=durable)
        child.wait_until(lambda: valkey.probe(url))
        self.servers.append(child)
        return url

    def _run_postgres(self, *, durable: bool) -> str:
        folder = _private_folder(self.data_dir / "postgres")
        child, url = postgres.start(folder, self.logs, self.secrets.postgres_password, self.guard, durable=durable)
        child.wait_until(lambda: postgres.probe(folder, child))
        self.servers.append(child)
        return url

    def _begin_objects(self, found: dict[str, object]) -> Callable[[], None]:
        """Starts the object store; what is returned waits for it and writes down where it is."""
        first = self._start_seaweed()

        def finish() -> None:
            attempts = iter([first])
            endpoint = _retried(lambda: self._await_seaweed(*(next(attempts, None) or self._start_seaweed())))
            found["s3_endpoint_url"] = endpoint.url
            found["s3_access_key"] = SecretStr(endpoint.access_key)
            found["s3_secret_key"] = SecretStr(endpoint.secret_key)

        return finish

    def _start_seaweed(self) -> tuple[Child, seaweed.S3Endpoint]:
        folder = _private_folder(self.data_dir / "seaweedfs")
        child, endpoint = seaweed.start(folder, self.logs, self.secrets, self.settings.s3_bucket, self.guard)
        self.servers.append(child)
        return child, endpoint

    def _await_seaweed(self, child: Child, endpoint: seaweed.S3Endpoint) -> seaweed.S3Endpoint:
        child.wait_until(lambda: seaweed.probe(endpoint))
        return endpoint


def _private_folder(path: Path) -> Path:
    path = path.absolute()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _take_lock(data_dir: Path) -> int:
    """The kernel frees it when we and the watchdog are gone; the text inside says who we are."""
    (data_dir / "logs").mkdir(exist_ok=True)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while not _locked(descriptor):
        if time.monotonic() > deadline or lives(os.pread(descriptor, 64, 0).decode()):
            os.close(descriptor)
            raise SetupError(
                f"Another stack uses the data folder {data_dir.name}. Stop it, or set VIBEINSIGHT_DATA_DIR to another."
            )
        time.sleep(LOCK_POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, identity(os.getpid()).encode(), 0)
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _retried(start: Callable[[], T]) -> T:
    for _ in range(START_TRIES - 1):
        with contextlib.suppress(SetupError):
            return start()
    return start()


def _no_proxy() -> str:
    """The machine's proxy is not for its own loopback."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    return ",".join(filter(None, [known, "127.0.0.1", "localhost"]))


def _server_variables(settings: Settings) -> dict[str, str]:
    def shown(secret: SecretStr | None) -> str:
        return secret.get_secret_value() if secret else ""

    variables = {
        "VIBEINSIGHT_DATABASE_URL": shown(settings.database_url),
        "VIBEINSIGHT_REDIS_URL": shown(settings.redis_url),
        "VIBEINSIGHT_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "VIBEINSIGHT_S3_ACCESS_KEY": shown(settings.s3_access_key),
        "VIBEINSIGHT_S3_SECRET_KEY": shown(settings.s3_secret_key),
        "VIBEINSIGHT_DATA_DIR": str(settings.data_dir),
        "VIBEINSIGHT_PUBLIC_URL": settings.public_url,
    }
    return {name: value for name, value in variables.items() if value}
