"""How the operator's commands show what they found: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from shared.domain.job import JobError
from shared.domain.keeping import Erasure
from shared.domain.operation import BuriedRun, JobLine, Requeued

if TYPE_CHECKING:
    from shared.store.queues import QueueState

ERROR_CHARS = 80  # of a message in a table; the JSON has all of it


def jobs(found: Sequence[JobLine], *, as_json: bool) -> None:
    if as_json:
        return _json([_plain(asdict(line)) for line in found])
    table = Table(_id("job"), "owner", "status", "stage", "%", "tries", "waits", "made", "error")
    for line in found:
        waits = "" if line.waiting_s is None else age(line.waiting_s)
        cells = (line.id, line.owner, line.status, line.stage or "", f"{line.percent:.0f}", line.attempts, waits)
        table.add_row(*map(str, cells), _moment(line.created_at), _error(line.error))
    return _table(table, found, "No job")


def buried(found: Sequence[BuriedRun], *, as_json: bool) -> None:
    if as_json:
        return _json([_plain(asdict(run)) for run in found])
    table = Table(_id("job"), "owner", "stage", "shard", "how", "tries", "when", "job is", "error")
    for run in found:
        cells = (run.job_id, run.owner, run.stage, run.shard, run.status, run.attempts, _moment(run.finished_at))
        table.add_row(*map(str, cells), run.job_status, _error(run.error))
    return _table(table, found, "No buried run")


def queues(found: Sequence["QueueState"], *, as_json: bool) -> None:
    if as_json:
        return _json([_plain(asdict(state)) | {"drained": state.drained} for state in found])
    table = Table("stage", "waiting", "later", "working", "state")
    for state in found:
        told = "open"
        if state.pause is not None:
            word = "drained" if state.drained else "paused"
            told = f"{word} since {_moment(state.pause.at)} by {state.pause.by}: {state.pause.reason}"
        table.add_row(state.stage, str(state.waiting), str(state.later), str(state.running), told)
    return _table(table, found, "No queue")


def plan(action: str, chosen: Sequence[tuple[str, str]], *, as_json: bool) -> None:
    """What would be done."""
    if as_json:
        return _json({"dry_run": True, "action": action, "jobs": [job_id for _, job_id in chosen]})
    for _, job_id in chosen:
        typer.echo(job_id)
    return typer.echo(f"Nothing was done; {action} would change {len(chosen)} jobs.", err=True)


def done(word: str, outcomes: dict[str, str], *, as_json: bool) -> None:
    well = [job_id for job_id, outcome in outcomes.items() if outcome == "ok"]
    if as_json:
        return _json({word: well, "failed": {job: told for job, told in outcomes.items() if told != "ok"}})
    for job_id, outcome in outcomes.items():
        if outcome != "ok":
            typer.echo(f"{job_id}  {outcome}", err=True)
    return typer.echo(f"{len(well)} of {len(outcomes)} jobs {word}.")


def erasure(report: Erasure, *, as_json: bool) -> None:
    """What went, by table and by kind of object."""
    if as_json:
        return _json(_plain(asdict(report)))
    table = Table("what", "how many")
    for name, count in {**report.rows, **{f"objects in {kind}/": n for kind, n in report.objects.items()}}.items():
        table.add_row(name, str(count))
    _table(table, [*report.rows, *report.objects], "Nothing of this owner was there: nothing")
    if report.finished_at is None:
        typer.echo("Not all of it is gone yet; the steward goes on.", err=True)
    return None


def requeued(found: Requeued, rung: int, *, as_json: bool) -> None:
    if as_json:
        return _json({"due": len(found.runs), "rung": rung, "woken": found.woken})
    later = f" {found.woken} need not wait for their next attempt any more." if found.woken else ""
    rest = "" if rung >= len(found.runs) else " The steward rings the others as workers get to them."
    return typer.echo(f"{len(found.runs)} runs are due, {rung} were rung.{later}{rest}")


def age(seconds: float) -> str:
    """In the largest unit that leaves two digits or so."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _id(name: str) -> Column:
    return Column(name, no_wrap=True, min_width=36)


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%m-%d %H:%M:%S")


def _error(error: JobError | None) -> str:
    return "" if error is None else f"{error.code}: {error.message[:ERROR_CHARS]}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.isoformat() if isinstance(value, datetime) else value


def _json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _table(table: Table, found: Sequence[object], nothing: str) -> None:
    if found:
        Console().print(table)
    else:
        typer.echo(f"{nothing} matches.")
