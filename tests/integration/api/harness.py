"""The API in a real uvicorn on the loopback, and a stand-in for the workers' side of a job."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import func, select, update

from api.app import create_app
from pipelines import plan, progress
from shared.domain.graph import RunState, Step
from shared.domain.ids import JobId, RunId
from shared.domain.job import JobError, RunStatus, Stage, StoredFile
from shared.domain.progress import Estimate, JobMoment
from shared.store.runs import Claim, Finished, JobFacts, RunLedger
from shared.store.tables import stage_runs
from shared.toolbox import Toolbox

WITHIN_S = 10.0


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Polls, with a deadline that says what did not happen."""
    deadline = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}"
        time.sleep(0.01)


@contextmanager
def served(toolbox: Toolbox) -> Iterator[str]:
    """The app as it runs in production, on a port of its own; gives its address."""
    config = uvicorn.Config(create_app(toolbox), host="127.0.0.1", port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), "the API starts")
    assert server.started, "the API did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WITHIN_S)
        assert not thread.is_alive(), "the API did not stop"


class _Rules:
    """What the workers hand the ledger."""

    def step(self, runs: Any, shards: int | None) -> Step:
        states: list[RunState] = list(runs)
        return plan.step(states, shards)

    def estimate(self, moment: JobMoment) -> Estimate:
        return progress.estimate(moment, processes=1)


@dataclass
class Worker:
    """Moves a job along as workers do: through the ledger, with no stage's work behind it."""

    toolbox: Toolbox
    folder: Path

    def __post_init__(self) -> None:
        self.runs = RunLedger(self.toolbox.ledger.database, _Rules())

    def claim(self, job_id: str, stage: Stage) -> Claim:
        """This very run: it is let through before whatever else waits there."""
        wanted = (stage_runs.c.job_id == job_id, stage_runs.c.stage == stage)
        first = select(func.least(func.min(stage_runs.c.turn), func.min(stage_runs.c.job_turn)) - 1).scalar_subquery()
        moved = update(stage_runs).where(*wanted).values(priority=0, turn=first, job_turn=first)
        with self.toolbox.ledger.database.begin() as connection:
            run_id = RunId(connection.execute(moved.returning(stage_runs.c.id)).scalar_one())
        claim = self.runs.claim(run_id, message_id="test", lease_s=60.0)
        assert claim is not None, f"{stage} could not be claimed"
        return claim

    def finish(self, job_id: str, stage: Stage, document: Any = None, **files: bytes) -> None:
        """`files` by name, with `_` for the dot."""
        stored = tuple(self._store(job_id, stage, name.replace("_", "."), content) for name, content in files.items())
        facts = JobFacts(audio_s=8.0, shard_s=()) if stage is Stage.PREPROCESS else JobFacts(audio_s=8.0)
        done = Finished(cache_key=f"{job_id}-{stage}", document=document or {}, files=stored, facts=facts)
        self.runs.finish(self.claim(job_id, stage), done)

    def fail(self, job_id: str, stage: Stage, code: str, message: str) -> None:
        self.runs.fail(self.claim(job_id, stage), JobError(code, message, stage), RunStatus.FAILED)

    def complete(self, job_id: str, document: Any = None, **files: bytes) -> None:
        """A recording in which nobody speaks: the shortest way through the graph. `files` are the last stage's."""
        self.finish(job_id, Stage.DOWNLOAD)
        self.finish(job_id, Stage.PREPROCESS)
        self.finish(job_id, Stage.ANALYZE)
        self.finish(job_id, Stage.SYNTHESIZE, document, **files)

    def _store(self, job_id: str, stage: Stage, name: str, content: bytes) -> StoredFile:
        path = self.folder / name
        path.write_bytes(content)
        key = f"jobs/{JobId(job_id)}/{stage}/0/{name}"
        self.toolbox.objects.put(key, path, "audio/flac")
        return StoredFile(name, key, len(content), sha256(content).hexdigest(), "audio/flac")
