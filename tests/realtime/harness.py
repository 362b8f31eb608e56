"""An API whose sockets can be cut, rows told as workers tell them, and the two real clients."""

import asyncio
import json
import os
import subprocess
import sysconfig
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import jwt
import uvicorn

from api.app import create_app
from api.live.patience import PatientWebSockets
from cli.servers.ports import free_ports
from shared.domain.ids import OwnerId
from shared.domain.job import JobOptions, ProgressStatus, Source, SourceKind, Stage
from shared.store.progress import Notice, lock_job, post
from shared.toolbox import Toolbox
from tests.integration.api.harness import wait_until

SECRET = "a-shared-secret-of-the-project-that-nobody-guesses"
SUPABASE = "http://127.0.0.1:9"  # whose tokens they are; nobody asks it anything
WITHIN_S = 40.0  # clients wait up to ten seconds before they come back, and the machine is shared
CLIENT = Path(__file__).parent / "client"
DENO = Path(sysconfig.get_path("scripts")) / "deno"
ROOT = Path(__file__).parents[2]


def token(user: str, lasts_s: float = 3600.0, **changes: Any) -> str:
    """As Supabase signs it for somebody who has signed in."""
    now = int(time.time())
    claims = {"iss": f"{SUPABASE}/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": user, "iat": now}
    return jwt.encode(claims | {"exp": int(now + lasts_s)} | changes, SECRET, "HS256")


def new_user() -> str:
    return str(uuid.uuid4())


@dataclass
class Api:
    """The app in a real uvicorn of this process. `cut` ends every socket as a crash would: without a word."""

    toolbox: Toolbox
    port: int
    app: Any = None
    server: uvicorn.Server | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/realtime/v1/websocket"

    @property
    def sockets(self) -> int:
        return len(self.app.state.live.members)

    def cut(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._abort)

    async def a_minute_later(self, minutes: int = 1) -> None:
        """Keys are asked about as if so much time had passed."""
        assert self.loop is not None
        for member in list(self.app.state.live.members):
            asked = member.ask_again(time.time() + 61 * minutes)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, self.loop))

    def look_in(self, seconds: float) -> None:
        """Sockets are looked at as if so much time had passed."""
        assert self.loop is not None
        for member in list(self.app.state.live.members):
            self.loop.call_soon_threadsafe(member.look, time.time() + seconds)

    def _abort(self) -> None:
        assert self.server is not None
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr]


@contextmanager
def running(toolbox: Toolbox) -> Iterator[Api]:
    (port,) = free_ports(1)
    api = Api(toolbox, port, create_app(toolbox))
    config = uvicorn.Config(
        api.app, host="127.0.0.1", port=port, log_config=None, access_log=False, ws=PatientWebSockets
    )
    api.server = server = uvicorn.Server(config)

    async def serve() -> None:
        api.loop = asyncio.get_running_loop()
        await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), "the API starts")
    try:
        yield api
    finally:
        server.should_exit = True
        thread.join(WITHIN_S)
        assert not thread.is_alive(), "the API did not stop"


@dataclass
class Told:
    """A job of somebody's, whose progress the test tells. `rows` are all there are."""

    toolbox: Toolbox
    owner: OwnerId
    session_id: str = "s"
    on_behalf_of: str | None = None
    job_id: str = ""
    rows: int = 1

    def __post_init__(self) -> None:
        source = Source(SourceKind.URL, "https://example.com/a.m4a")
        options = JobOptions(on_behalf_of=self.on_behalf_of)
        made = self.toolbox.ledger.create_job(self.owner, source=source, options=options, session_id=self.session_id)
        self.job_id = made.job.id

    def tell(self, count: int, pause_s: float = 0.0) -> None:
        for _ in range(count):
            notice = Notice(ProgressStatus.TRANSCRIBING, Stage.TRANSCRIBE, percent=self.rows / 10, always=True)
            with self.toolbox.ledger.database.begin() as connection:
                lock_job(connection, self.job_id)
                post(connection, self.job_id, notice)
            self.rows += 1
            time.sleep(pause_s)

    @property
    def versions(self) -> list[int]:
        return list(range(1, self.rows + 1))


@dataclass
class Seen:
    """What a client has reported, by channel, as a page would keep it: each row once, by its version."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    systems: list[tuple[str, str, str]] = field(default_factory=list)
    repeated: int = 0

    def row(self, channel: str, row: dict[str, Any]) -> None:
        kept = self.rows.setdefault(channel, [])
        known = max((other["version"] for other in kept if other["job_id"] == row["job_id"]), default=0)
        if row["version"] <= known:
            self.repeated += 1
        else:
            kept.append(row)

    def versions(self, channel: str, job_id: str) -> list[int]:
        return [row["version"] for row in self.rows.get(channel, []) if row["job_id"] == job_id]

    def jobs(self) -> set[str]:
        return {row["job_id"] for rows in self.rows.values() for row in rows}


def deno_environment(**more: str) -> dict[str, str]:
    cache = os.environ.get("DENO_DIR", str(ROOT / ".cache/deno"))
    return os.environ | {"DENO_DIR": cache, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"} | more


@dataclass
class JsClient:
    """client/follow.ts in a process of its own: supabase-js as npm has it."""

    process: subprocess.Popen[str]
    seen: Seen = field(default_factory=Seen)
    _lines: "Queue[str]" = field(default_factory=Queue)

    @classmethod
    def start(cls, url: str, key: str, channels: dict[str, str], access_token: str | None = None) -> Self:
        asked = json.dumps({"url": url, "key": key, "channels": channels, "token": access_token})
        rights = ["--frozen", "--cached-only", "--allow-env", "--allow-net=127.0.0.1"]
        command = [DENO, "run", "--config", CLIENT / "deno.json", *rights, CLIENT / "follow.ts"]
        client = cls(
            subprocess.Popen(
                command, env=deno_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CLIENT
            )
        )
        client.say(asked)
        threading.Thread(target=client._read, daemon=True).start()
        return client

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, happened: Any, what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not happened():
            assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}; seen: {self.seen}"
            assert self.process.poll() is None, f"the client ended: {self.seen}"
            try:
                self._take(json.loads(self._lines.get(timeout=0.1)))
            except Empty:
                continue

    def _take(self, said: dict[str, Any]) -> None:
        match said["kind"]:
            case "row":
                self.seen.row(said["channel"], said["row"])
            case "status":
                self.seen.statuses.append((said["channel"], said["status"]))
            case "system":
                self.seen.systems.append((said["channel"], said["status"], said["message"]))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WITHIN_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
