"""`python -m workers STAGE [STAGE ...]` becomes a Celery worker of those stages; `... steward` is the steward."""

import argparse
import os
import sys
from collections.abc import Sequence

from shared.domain.errors import VibeInsightError
from shared.domain.job import Stage
from shared.observe.counting import count_together
from shared.queue.names import queue_name
from shared.settings import Settings, load_settings
from workers.specs import specs

STEWARD = "steward"


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    try:
        if STEWARD in asked.what:
            count_together(STEWARD)
            from workers import steward

            steward.main()
        else:
            command = worker_command([Stage(stage) for stage in asked.what], asked, load_settings())
            count_together("worker")
            os.execv(command[0], command)  # noqa: S606  # the same process: signals and the exit code are Celery's own
    except VibeInsightError as error:
        sys.exit(f"workers: {error.message}")


def worker_command(stages: list[Stage], asked: argparse.Namespace, settings: Settings) -> list[str]:
    processes = asked.concurrency or sum(specs(settings)[stage].processes for stage in stages)
    name = "-".join(stages)
    return [
        sys.executable,
        *(["-P"] if sys.flags.safe_path else []),
        *["-m", "celery", "--quiet", "--app", "workers.app", "worker"],  # no banner: a log has one event a line
        *["--queues", ",".join(map(queue_name, stages))],
        *["--concurrency", str(processes)],
        *["--hostname", f"{name}.{os.getpid()}@%h"],
        *["--loglevel", settings.log_level],
        *[
            "--without-gossip",
            "--without-mingle",
        ],  # chatter between workers, which know nothing that the ledger does not
        "--events" if asked.events else "--without-heartbeat",
    ]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    choices = [*(stage.value for stage in Stage), STEWARD]
    parser.add_argument("what", nargs="+", choices=choices, help="the stages to work on, or the steward")
    parser.add_argument("--concurrency", type=int, metavar="N", help="processes; default: the sum of the stages' own")
    parser.add_argument("--events", action="store_true", help="tell Flower what happens; costs a fifth more CPU a task")
    asked = parser.parse_args(arguments)
    if STEWARD in asked.what and len(asked.what) > 1:
        parser.error("the steward is a process of its own")
    return asked


if __name__ == "__main__":
    main()
