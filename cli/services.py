"""The processes of VibeInsight on one machine: the API, the steward, the workers, Flower."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.servers.ports import LOOPBACK
from cli.servers.process import Recipe
from cli.stack import Stack
from shared.domain.job import Stage

# glibc gives each thread a heap of its own, which keeps what was freed: 80 MB more in two transcribers, and no faster.
FEW_HEAPS = {"MALLOC_ARENA_MAX": "2"}
WORKER_NICENESS = 5  # the API answers while every core transcribes
WORKER_GRACE_S = 8.0  # ends what takes a moment; the rest is taken up again at the next start
LIGHT = (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.ANALYZE, Stage.SYNTHESIZE)
LIGHT_PROCESSES = 2  # a long download must not keep a report waiting
FLOWER_USER = "vibeinsight"


@dataclass(frozen=True)
class Service:
    name: str
    arguments: Sequence[str]
    niceness: int = 0
    grace_s: float = 5.0
    environment: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, stack: Stack) -> Recipe:
        return Recipe(
            self.name,
            [sys.executable, "-P", "-m", *self.arguments],  # -P: no file of the current folder is taken for ours
            stack.logs / f"{self.name}.log",
            environment=stack.environment | dict(self.environment),
            folder=Path.cwd(),
            grace_s=self.grace_s,
            niceness=self.niceness,
        )


def api(port: int) -> Service:
    return Service("api", ("api", "--host", LOOPBACK, "--port", str(port)))


def workers(transcribe_processes: int, *, watched: bool) -> list[Service]:
    """Three pools: a transcription or a diarization under way holds up neither downloads nor reports."""
    return [
        Service("steward", ("workers", "steward")),
        _worker("worker-light", LIGHT, LIGHT_PROCESSES, watched=watched),
        _worker("worker-transcribe", (Stage.TRANSCRIBE,), transcribe_processes, watched=watched),
        _worker("worker-diarize", (Stage.DIARIZE,), 1, watched=watched),
    ]


def _worker(name: str, stages: Sequence[Stage], processes: int, *, watched: bool) -> Service:
    events = ("--events",) if watched else ()
    arguments = ("workers", *stages, "--concurrency", str(processes), *events)
    return Service(name, arguments, niceness=WORKER_NICENESS, grace_s=WORKER_GRACE_S, environment=FEW_HEAPS)


def flower(port: int, password: str) -> Service:
    """The password goes by the environment: a command line can be read by everybody on the machine."""
    command = ("celery", "--app", "workers.app", "flower", f"--address={LOOPBACK}", f"--port={port}")
    return Service(
        "flower", command, niceness=WORKER_NICENESS, environment={"FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"}
    )
