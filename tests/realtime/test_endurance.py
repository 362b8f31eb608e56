"""What outlives a process, a lost database connection and two hundred sockets that do nothing."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from websockets.asyncio.client import connect

from cli.servers.ports import free_ports
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of
from tests.realtime.harness import ROOT, SECRET, SUPABASE, WITHIN_S, Api, JsClient, Told
from tests.realtime.raw import ALL, opened

pytestmark = pytest.mark.integration

NewJob = Callable[..., Told]
IDLE = 200
IDLE_S = 3.0
LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
)


@contextmanager
def api_process(settings: Settings, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m api`, ready to answer; killed at the end, without a word to anybody."""
    own = {"VIBEINSIGHT_SUPABASE_URL": SUPABASE, "VIBEINSIGHT_SUPABASE_JWT_SECRET": SECRET}
    own["VIBEINSIGHT_REALTIME_SOCKETS_PER_OWNER"] = str(IDLE)
    own["VIBEINSIGHT_RATE_LIMIT_PER_MINUTE"] = "0"  # all of these sockets come from one address
    command = [sys.executable, "-m", "api", "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment_of(settings) | own, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + WITHIN_S
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait(WITHIN_S)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_a_killed_api_loses_no_row(
    toolbox: Toolbox, key: str, new_job: NewJob, js: Callable[..., JsClient], tmp_path: Path
) -> None:
    """The process is killed and started again; what came meanwhile comes then, in order, and nothing of another's."""
    (port,) = free_ports(1)
    mine = new_job(session_id="mine")
    stranger = new_job(owner=mine.toolbox.ledger.create_owner("stranger"), session_id="mine")
    with api_process(toolbox.settings, port, tmp_path / "api.log"):
        client = js(f"http://127.0.0.1:{port}", key, {"session": "session_id=eq.mine"})
        client.wait_for(lambda: client.seen.systems, "subscribed")
        mine.tell(20)
        client.wait_for(lambda: client.seen.versions("session", mine.job_id) == mine.versions, "rows before")
    for job in (mine, stranger):
        job.tell(20)
    with api_process(toolbox.settings, port, tmp_path / "api.log"):
        client.wait_for(lambda: len(client.seen.systems) == 2, "joined again")
        for job in (stranger, mine):
            job.tell(20)
        client.wait_for(lambda: client.seen.versions("session", mine.job_id) == mine.versions, "every row")
    assert client.seen.jobs() == {mine.job_id}


def test_rows_told_while_nobody_listened_come_afterwards(api: Api, key: str, new_job: NewJob) -> None:
    """The LISTEN connection is lost: the open channel has the rows of that time, once each and in order."""
    job = new_job()
    assert api.toolbox.settings.database_url is not None

    async def steps() -> list[int]:
        async with opened(api, key) as raw:
            await raw.join(ALL | {"filter": f"job_id=eq.{job.job_id}"})
            await raw.hear()
            await asyncio.to_thread(job.tell, 5)
            rows = await raw.rows(6)
            with psycopg.connect(api.toolbox.settings.database_url.get_secret_value(), autocommit=True) as link:  # type: ignore[union-attr]
                assert link.execute(LISTENERS).fetchall()
            await asyncio.to_thread(job.tell, 10)
            await asyncio.sleep(2)
            await asyncio.to_thread(job.tell, 5)
            rows += await raw.rows(15)
            return [row["data"]["record"]["version"] for row in rows]

    assert asyncio.run(steps()) == job.versions


def test_what_two_hundred_idle_sockets_cost(
    toolbox: Toolbox, key: str, new_job: NewJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printed: memory and processor time of the API while they are open. All of them hear the next row."""
    (port,) = free_ports(1)
    job = new_job()

    async def steps(process: psutil.Process) -> str:
        api = f"ws://127.0.0.1:{port}/realtime/v1/websocket?apikey={key}&vsn=2.0.0"
        before = process.memory_info().rss
        links = [await connect(api) for _ in range(IDLE)]
        for link in links:
            await link.send(_JOIN)
            for _ in range(3):  # the reply, the system message, the one row there is
                await asyncio.wait_for(link.recv(), WITHIN_S)
        grown, used = process.memory_info().rss - before, _used(process)
        await asyncio.sleep(IDLE_S)
        share = (_used(process) - used) / IDLE_S
        began = _used(process)
        await asyncio.to_thread(job.tell, 1)
        assert all(["postgres_changes" in str(await asyncio.wait_for(link.recv(), WITHIN_S)) for link in links])
        cost = (_used(process) - began) / IDLE
        for link in links:
            link.transport.abort()
        return (
            f"{IDLE} idle sockets: {grown / IDLE / 1024:.0f} kB each, {share:.1%} of a processor;"
            f" a row costs {cost * 1e6:.0f} us a socket"
        )

    with api_process(toolbox.settings, port, tmp_path / "api.log") as child:
        said = asyncio.run(steps(psutil.Process(child.pid)))
    with capsys.disabled():
        print(f"\n{said}")


_JOIN = json.dumps(["1", "1", "realtime:x", "phx_join", {"config": {"postgres_changes": [ALL]}}])


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
