"""Follows a job to its end on the terminal: a bar where there is one, a line for each step where not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from cli.client import ApiUnreachable, Client
from shared.domain.job import JobStatus, ProgressStatus

FINAL = {
    ProgressStatus.COMPLETED,
    ProgressStatus.COMPLETED_WITH_WARNINGS,
    ProgressStatus.ERROR,
    ProgressStatus.CANCELLED,
}
PATIENCE_S = 60.0  # an API that restarts is back in a few
PAUSE_S = 0.5

Show = Callable[[dict[str, Any]], None]


def follow(client: Client, job_id: str, show: Show) -> dict[str, Any]:
    """Shows every progress row until the job has ended; returns the job. Outlives a restart of the API."""
    last: str | None = None
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            for event in client.events(job_id, last):
                last, deadline = event.id or last, time.monotonic() + PATIENCE_S
                show(event.data)
                if event.data.get("status") in FINAL:
                    break
            job = client.job(job_id)
            if JobStatus(job["status"]).ended:
                return job
        except ApiUnreachable:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


@contextmanager
def shown_on(console: Console) -> Iterator[Show]:
    if console.is_terminal:
        with _bar(console) as progress:
            task = progress.add_task("queued", total=100.0, eta="")
            yield lambda row: progress.update(
                task, completed=row["percent"], description=row["message"], eta=eta_words(row.get("eta_s"))
            )
    else:
        yield _Lines(console)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[eta]}"))
    return Progress(*columns, TimeElapsedColumn(), console=console)


class _Lines:
    """For logs: one line whenever the stage changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def __call__(self, row: dict[str, Any]) -> None:
        if row["status"] != self._last:
            self._last = row["status"]
            line = f"{row['percent']:3.0f} %  {row['status']:<24} {row['message']}  {eta_words(row.get('eta_s'))}"
            self._console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)


def eta_words(eta_s: float | None) -> str:
    if eta_s is None:
        return ""
    minutes, seconds = divmod(round(eta_s), 60)
    return f"{minutes} min {seconds:02d} s left" if minutes else f"{seconds} s left"
