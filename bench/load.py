"""The engine under load: submits at a steady pace, watchers of events, a long queue; what gets slow, and what first.

`python bench/load.py [--json] [--queued 10000] [--watchers 500] [--rate 50] [--seconds 20]` starts servers, an API, a
steward and workers of its own. The stages are the tests' own and do nothing, so that the engine alone is measured.
Submits are sent by the clock, whether the ones before were answered or not: a server that falls behind shows it.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import cpu_s, memory_mb
from cli.servers.ports import free_ports
from cli.services import WORKER_NICENESS
from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.domain.job import Stage
from shared.settings import Settings
from shared.store.migrate import upgrade
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of
from workers.__main__ import parse, worker_command

ROOT = Path(__file__).parents[1]
BAR = 3.0  # times the idle p95: what a submit may take with the whole queue waiting
WARM_UP = 40  # submits that open connections and fill caches, and are not counted
WORKER_PROCESSES = os.cpu_count() or 2
# One owner and one address do all of it; the limits on those have tests of their own.
UNLIMITED = {
    "VIBEINSIGHT_RATE_LIMIT_PER_MINUTE": "0",
    "VIBEINSIGHT_ADDRESS_RATE_LIMIT_PER_MINUTE": "0",
    "VIBEINSIGHT_OPEN_JOBS": "10000000",
    "VIBEINSIGHT_WAITING_JOBS": "10000000",
    "VIBEINSIGHT_BUSY_JOBS": "10000000",
    "VIBEINSIGHT_BUSY_WAIT_S": "1000000",
    "VIBEINSIGHT_LOG_LEVEL": "warning",
}
FILL = """
WITH made AS (
    INSERT INTO jobs (owner_id, session_id, source, options, progress_version)
    SELECT '{owner}', '{{"shards": 1, "job": "queued-' || number || '"}}',
        '{{"kind": "url", "value": "https://lab.invalid/x", "filename": null}}',
        '{{"language": null, "report_language": null, "speakers": 2, "roles": [], "denoise": false,
           "spoken_summary": true, "on_behalf_of": null}}', 1
    FROM generate_series(1, {jobs}) AS number RETURNING id, owner_id, session_id),
told AS (
    INSERT INTO job_progress (job_id, version, session_id, owner_id, status, percent, message_key, message)
    SELECT id, 1, session_id, owner_id, 'queued', 0, 'queued', 'queued' FROM made)
INSERT INTO stage_runs (job_id, owner_id, stage, shard, ring_at)
SELECT id, owner_id, 'download', 0, now() FROM made
"""


@dataclass(frozen=True)
class Latency:
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float], failed: int) -> "Latency":
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(len(seconds), failed, *(round(1000 * cuts[at - 1], 1) for at in (50, 95, 99)))


@dataclass
class Phase:
    """One stretch of the bench: what was asked, how it was answered, and who was busy."""

    name: str
    submit: Latency
    read: Latency
    cores: dict[str, float]  # of CPU, by part
    waiting: int  # runs in the queue at its end
    done_a_second: float
    events: int = 0


@dataclass
class Report:
    rate: float
    watchers: int
    queued: int
    phases: list[Phase] = field(default_factory=list)
    memory_mb: dict[str, float] = field(default_factory=dict)

    @property
    def times_idle(self) -> float:
        by_name = {phase.name: phase.submit.p95_ms for phase in self.phases}
        return round(by_name["queue"] / by_name["idle"], 2)


class Machine:
    """Everything under test, with the process ids of each part."""

    def __init__(self, stack: Stack, folder: Path, cleanup: ExitStack) -> None:
        self.settings, self._folder, self._cleanup = stack.settings, folder, cleanup
        self.tools = Toolbox(stack.settings)
        cleanup.callback(self.tools.close)
        self.owner = OwnerId(self.tools.ledger.create_owner("load"))
        self.key = self.tools.ledger.create_api_key(self.owner, "load")
        self.parts = {child.recipe.name: child.pid for child in stack.servers}
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._start("api", [sys.executable, "-m", "api", "--port", str(port)])
        self._start("steward", [sys.executable, "-m", "workers", "steward"])

    def start_workers(self) -> None:
        """In a group of their own and nicer than the API, as `vibeinsight up` starts them."""
        stages = list(Stage)
        command = worker_command(stages, parse([*stages, "--concurrency", str(WORKER_PROCESSES)]), self.settings)
        command[command.index("workers.app")] = "tests.engine_lab_app"
        self._start("workers", command)
        os.setpriority(os.PRIO_PROCESS, self.parts["workers"], WORKER_NICENESS)

    def fill(self, jobs: int) -> None:
        self._execute(FILL.format(owner=self.owner, jobs=jobs))

    def count(self, status: str) -> int:
        return int(self._execute(f"SELECT count(*) FROM stage_runs WHERE status = '{status}'")[0][0])

    def some_jobs(self, number: int) -> list[str]:
        rows = self._execute(
            f"SELECT id::text FROM jobs WHERE finished_at IS NULL ORDER BY created_at DESC LIMIT {number}"
        )
        return [str(row[0]) for row in rows]

    def _execute(self, statement: str) -> list[tuple[Any, ...]]:
        with self.tools.ledger.database.begin() as connection:
            done = connection.exec_driver_sql(statement)
            return [tuple(row) for row in done] if done.returns_rows else []

    def _start(self, name: str, command: list[str]) -> None:
        environment = environment_of(self.settings) | UNLIMITED
        with (self._folder / f"{name}.log").open("w") as log:
            process = psutil.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.parts[name] = process.pid
        self._cleanup.callback(_end, process)


def _end(process: psutil.Popen) -> None:
    family = [process, *process.children(recursive=True)] if process.is_running() else [process]
    for member in family:
        if member.is_running():
            member.kill()
    process.wait(10)


class Client:
    """One asyncio program that submits, reads and watches."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._headers = {"Authorization": f"Bearer {machine.key}"}
        self._number = 0
        self.events = 0
        self._watching: list[asyncio.Task[None]] = []

    async def phase(self, name: str, rate: float, seconds: float) -> Phase:
        machine = self._machine
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        async with httpx.AsyncClient(base_url=machine.url, headers=self._headers, timeout=30, limits=limits) as api:
            await self._pace(api, rate, WARM_UP / rate, reads=False)
            before, done, events = _cpu(machine.parts), machine.count("done"), self.events
            began = time.monotonic()
            submits, reads = await self._pace(api, rate, seconds, reads=True)
            took_s = time.monotonic() - began
        after = _cpu(machine.parts)
        cores = {part: round((after[part] - before.get(part, 0.0)) / took_s, 2) for part in after}
        finished = (machine.count("done") - done) / took_s
        events = self.events - events
        return Phase(name, submits, reads, cores, machine.count("queued"), round(finished, 1), events)

    async def _pace(
        self, api: httpx.AsyncClient, rate: float, seconds: float, *, reads: bool
    ) -> tuple[Latency, Latency]:
        """One submit a tick, and a read of an earlier job every fifth."""
        submits: list[asyncio.Task[float | None]] = []
        looks: list[asyncio.Task[float | None]] = []
        began, known = time.monotonic(), self._machine.some_jobs(50)
        for tick in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + tick / rate - time.monotonic()))
            submits.append(asyncio.create_task(self._submit(api)))
            if reads and known and tick % 5 == 0:
                looks.append(asyncio.create_task(_timed(api, "GET", f"/v1/jobs/{known[tick % len(known)]}", 200)))
        return _latency(await asyncio.gather(*submits)), _latency(await asyncio.gather(*looks))

    async def _submit(self, api: httpx.AsyncClient) -> float | None:
        self._number += 1
        script = json.dumps({"shards": 1, "job": f"submitted-{self._number}"})
        body = {"source": {"url": "https://lab.invalid/x.wav"}, "session_id": script}
        return await _timed(api, "POST", "/v1/jobs", 202, json=body)

    async def watch(self, jobs: Sequence[str], watchers: int) -> None:
        """Event streams over bare sockets: the server is measured, not the client."""
        self._watching = [asyncio.create_task(self._follow(jobs[at % len(jobs)])) for at in range(watchers)]
        await asyncio.sleep(5.0)

    async def leave(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _follow(self, job: str) -> None:
        place = urlsplit(self._machine.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        lines = [f"GET /v1/jobs/{job}/events HTTP/1.1", f"Host: {place.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            while line := await reader.readline():
                self.events += line.startswith(b"event: progress")
        finally:
            writer.close()


async def _timed(api: httpx.AsyncClient, method: str, path: str, good: int, **more: object) -> float | None:
    """Seconds; None when it failed."""
    began = time.perf_counter()
    try:
        answer = await api.request(method, path, **more)  # type: ignore[arg-type]
    except httpx.HTTPError:
        return None
    return time.perf_counter() - began if answer.status_code == good else None


def _latency(found: Sequence[float | None]) -> Latency:
    good = [seconds for seconds in found if seconds is not None]
    return Latency.of(good, len(found) - len(good)) if len(good) > 1 else Latency(len(good), len(found), 0.0, 0.0, 0.0)


def _cpu(parts: dict[str, int]) -> dict[str, float]:
    own = psutil.Process().cpu_times()
    return {name: cpu_s(pid) for name, pid in parts.items()} | {"this client": own.user + own.system}


@contextmanager
def machine() -> Iterator[Machine]:
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="vibeinsight-load-")))
        bare = Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=folder / "data")
        stack = cleanup.enter_context(Stack.start(bare))
        upgrade(stack.settings)
        made = Machine(stack, folder, cleanup)
        _await_api(made.url)
        yield made


def _await_api(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/livez", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the API did not come up")


async def measure(made: Machine, asked: argparse.Namespace) -> Report:
    report, client = Report(asked.rate, asked.watchers, asked.queued), Client(made)
    report.phases.append(await client.phase("idle", asked.rate, asked.seconds))
    made.fill(asked.queued)
    report.phases.append(await client.phase("queue", asked.rate, asked.seconds))
    await client.watch(made.some_jobs(asked.watchers), asked.watchers)
    report.phases.append(await client.phase("queue, watchers", asked.rate, asked.seconds))
    made.start_workers()
    while not made.count("done"):
        await asyncio.sleep(0.5)
    report.phases.append(await client.phase("queue, watchers, workers", asked.rate, asked.seconds))
    await client.leave()
    report.memory_mb = {name: round(memory_mb(pid), 1) for name, pid in made.parts.items()}
    return report


def shown(report: Report) -> str:
    lines = [f"{report.rate:g} submits a second, {report.queued} jobs queued, {report.watchers} watchers", ""]
    lines += [
        "| phase | submit p50 | p95 | p99 | failed | read p95 | events | runs/s | busiest |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for phase in report.phases:
        busiest = sorted(phase.cores.items(), key=lambda part: -part[1])[:3]
        used = ", ".join(f"{name} {cores:.2f}" for name, cores in busiest)
        submit = phase.submit
        figures = f"{submit.p50_ms} | {submit.p95_ms} | {submit.p99_ms} | {submit.failed} | {phase.read.p95_ms}"
        lines.append(f"| {phase.name} | {figures} | {phase.events} | {phase.done_a_second} | {used} |")
    lines += ["", "MB: " + ", ".join(f"{name} {used:.0f}" for name, used in report.memory_mb.items())]
    lines.append(f"p95 of a submit with the queue: {report.times_idle} times idle (bar: {BAR:g})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=500)
    asked = parser.parse_args()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    with machine() as made:
        report = asyncio.run(measure(made, asked))
    print(json.dumps(asdict(report) | {"times_idle": report.times_idle}) if asked.json else shown(report))
    sys.exit(0 if report.times_idle <= BAR else 1)


if __name__ == "__main__":
    main()
