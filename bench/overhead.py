"""What a stage costs beside its own work: message, claim, commit and the next message, with stages that do nothing.

    python bench/overhead.py [--json] [--jobs 40]

Real PostgreSQL, Valkey and a prefork worker. Wall: from the commit of a stage to the commit of the next one, by the
ledger's own clock. CPU: of the worker's processes. Beside it stands the physical bound, taken in the same run: two bare
commits (a claim and a finish cannot be fewer) and one bare message through a Redis list.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from rich.console import Console
from rich.table import Table

from bench.measure import cpu_s
from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.domain.job import JobOptions, Source, SourceKind, Stage
from shared.settings import Settings
from shared.store.migrate import upgrade
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of
from workers.__main__ import parse, worker_command

JOBS, WARM_UP = 40, 5
ROOT = Path(__file__).parents[1]
BEFORE = {
    "preprocess": "download",
    "transcribe": "preprocess",
    "diarize": "preprocess",
    "analyze": "transcribe",
    "synthesize": "analyze",
}
ENDS = "SELECT stage, finished_at FROM stage_runs WHERE job_id = %s"
STATEMENTS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
# A 60-minute recording in shards of 150 s, supposed to take a quarter of its length with two or three runs at a time.
HOUR_SHARDS, HOUR_WALL_S, AT_ONCE = 24, 900.0, 2.5
LOOK_SHARE, REPORT_SHARE, REPORTS_A_S = 1 / 32, 1 / 5, 1 / 5  # of a stage's own cost; measured side by side


@contextmanager
def worker(settings: Settings, log: Path) -> Iterator[psutil.Popen]:
    command = worker_command(list(Stage), parse([*Stage, "--concurrency", "2"]), settings)
    command[command.index("workers.app")] = "bench.overhead_app"
    with log.open("w") as output:
        process = psutil.Popen(
            command, cwd=ROOT, env=environment_of(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def run_job(tools: Toolbox, owner: OwnerId) -> str:
    created = tools.ledger.create_job(
        owner, source=Source(SourceKind.URL, "https://lab.invalid/x"), options=JobOptions()
    )
    tools.doorbell.ring(created.runs)
    until = time.monotonic() + 60
    while not tools.ledger.get_job(owner, created.job.id).status.ended:
        if time.monotonic() > until:
            raise SystemExit("a job did not end within 60 s")
        time.sleep(0.02)
    return created.job.id


def gaps_ms(link: psycopg.Connection[Any], job_id: str) -> list[float]:
    ended = dict(link.execute(ENDS, (job_id,)).fetchall())
    return [1000 * (ended[stage] - ended[before]).total_seconds() for stage, before in BEFORE.items()]


def bare_commits_ms(link: psycopg.Connection[Any], times: int) -> list[float]:
    taken = []
    link.execute("CREATE TABLE IF NOT EXISTS bare (id int PRIMARY KEY, n int)")
    link.execute("INSERT INTO bare VALUES (1, 0) ON CONFLICT DO NOTHING")
    for _ in range(times):
        began = time.perf_counter()
        link.execute("UPDATE bare SET n = n + 1 WHERE id = 1")  # autocommit: one round trip, one commit
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def bare_messages_ms(url: str, times: int) -> list[float]:
    """From the push in one thread to the pop in another, which waits for it."""
    taken: list[float] = []
    with redis.Redis.from_url(url) as sender, redis.Redis.from_url(url) as receiver:

        def receive() -> None:
            for _ in range(times):
                _, sent = receiver.brpop(["bare"], timeout=10)
                taken.append(1000 * (time.perf_counter() - float(sent)))

        thread = threading.Thread(target=receive)
        thread.start()
        for _ in range(times):
            sender.lpush("bare", repr(time.perf_counter()))
            time.sleep(0.002)
        thread.join()
    return taken


def measure(tools: Toolbox, log: Path, jobs: int) -> dict[str, Any]:
    settings, owner = tools.settings, tools.ledger.create_owner("bench")
    assert settings.database_url is not None
    assert settings.redis_url is not None
    with (
        worker(settings, log) as process,
        psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as link,
    ):
        for _ in range(WARM_UP):
            run_job(tools, owner)
        commits, cpu = link.execute(STATEMENTS).fetchall()[0][0], cpu_s(process.pid)
        made = [run_job(tools, owner) for _ in range(jobs)]
        cpu_ms = 1000 * (cpu_s(process.pid) - cpu) / (jobs * len(Stage))
        time.sleep(1.5)  # the server publishes its counts once a second
        commits = link.execute(STATEMENTS).fetchall()[0][0] - commits
        gaps = [gap for job_id in made for gap in gaps_ms(link, job_id)]
        bare_commit = statistics.median(bare_commits_ms(link, 200))
        bare_message = statistics.median(bare_messages_ms(settings.redis_url.get_secret_value(), 200))
    return {
        "stages": jobs * len(Stage),
        "load": round(os.getloadavg()[0], 1),  # of the machine: on a busy one the wall says little
        "commits_per_stage": round(commits / (jobs * len(Stage)), 1),  # with those of the bench that looks on
        "wall_ms": _spread(gaps),
        "worker_cpu_ms": round(cpu_ms, 2),
        "bound_ms": round(2 * bare_commit + bare_message, 3),
        "bare_commit_ms": round(bare_commit, 3),
        "bare_message_ms": round(bare_message, 3),
        "wall_over_bound": round(statistics.median(gaps) / (2 * bare_commit + bare_message), 1),
        "hour_share_percent": round(100 * _hour_s(cpu_ms) / HOUR_WALL_S, 3),
    }


def _hour_s(cpu_ms: float) -> float:
    """Of a 60-minute job: every run's cost, and its heartbeat's look each second and report every five."""
    runs = HOUR_SHARDS + len(Stage) - 1
    beats = AT_ONCE * HOUR_WALL_S * (LOOK_SHARE + REPORT_SHARE * REPORTS_A_S)
    return (runs + beats) * cpu_ms / 1000


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50": round(cuts[9], 2), "p95": round(cuts[18], 2)}


def report(figures: dict[str, Any], console: Console) -> None:
    table = Table("", "", title="A stage's cost beside its work", title_justify="left", show_header=False)
    for name, value in figures.items():
        table.add_row(name, str(value))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        empty = Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=Path(folder) / "data")
        with Stack.start(empty, durable=True) as stack:
            upgrade(stack.settings)
            tools = Toolbox(stack.settings)
            figures = measure(tools, Path(folder) / "worker.log", asked.jobs)
            tools.close()
    print(json.dumps(figures)) if asked.json else report(figures, Console())


if __name__ == "__main__":
    sys.exit(main())
