"""The `vibeinsight` command: parses, calls, and turns every error into a sentence and an exit code."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from cli import analyze as analysis
from cli import keys, limits, operate, running
from cli.client import Client
from cli.follow import follow, shown_on
from cli.installation import Installation, installed
from cli.services import FLOWER_USER
from cli.stack import SECRETS
from shared.domain.errors import VibeInsightError
from shared.settings import load_settings

FAILED, MISUSED = 1, 2
DEFAULT_PORT = 8080  # what public_url and the documentation say

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Conversations in, insight out."
)
app.add_typer(keys.app, name="keys")
app.add_typer(limits.app, name="limits")
operate.register(app)
Job = Annotated[str, typer.Argument(metavar="JOB", help="The id that analyze and status print.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]


class ReportFormat(StrEnum):
    MD = "md"
    HTML = "html"
    JSON = "json"


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Where the API listens, on 127.0.0.1; 0: any free port.")] = DEFAULT_PORT,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    everything = installed(load_settings(), typer.echo, port=port, with_flower=True)
    with _ended_by_signals(exit_code=0), everything as installation:
        typer.echo(_where_it_is(installation))
        threading.Event().wait()


@app.command()
def analyze(
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="A recording, or the https address of one.")],
    language: Annotated[str | None, typer.Option(help="ja, en, zh …; found out when not given.")] = None,
    report_language: Annotated[str | None, typer.Option(help="ja, en or zh-TW; else the recording's.")] = None,
    speakers: Annotated[str, typer.Option(metavar="N|auto", help="How many people speak.")] = "2",
    roles: Annotated[str, typer.Option(help="Roles in order of first speech: coach,client.")] = "",
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Also write result, report and transcripts here.")] = None,
) -> None:
    """Turn a recording into a coaching report."""
    wishes = analysis.Wishes(
        source=source,
        language=language,
        report_language=report_language,
        speakers=speakers,
        roles=tuple(filter(None, (role.strip() for role in roles.split(",")))),
        as_json=as_json,
        out=out,
    )
    with _ended_by_signals(analysis.INTERRUPTED):
        analysis.analyze(wishes, load_settings())


@app.command()
def watch(job_id: Job) -> None:
    """Follow a job to its end, then print its report."""
    screen = Console(stderr=True)
    with Client(running.find_or_say_how(load_settings())) as client:
        with shown_on(screen) as show:
            job = follow(client, job_id, show)
        analysis.conclude(client, job, analysis.Wishes(source=""), screen)


@app.command()
def status(job_id: Annotated[str | None, typer.Argument(metavar="[JOB]")] = None, as_json: AsJson = False) -> None:
    """Show one job, or the latest ones."""
    with Client(running.find_or_say_how(load_settings())) as client:
        jobs = [client.job(job_id)] if job_id else client.jobs()
    if as_json:
        typer.echo(json.dumps(jobs[0] if job_id else jobs, ensure_ascii=False, indent=2))
    else:
        Console().print(_table(jobs))


@app.command()
def report(
    job_id: Job, kind: Annotated[ReportFormat, typer.Option("--format", help="md, html or json.")] = ReportFormat.MD
) -> None:
    """Print a finished job's report."""
    with Client(running.find_or_say_how(load_settings())) as client:
        text = client.report(job_id, kind).decode()
    if kind is ReportFormat.MD:
        analysis.print_markdown(text)
    else:
        typer.echo(text)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part and say how to mend what is broken."""
    from cli import doctor as examination

    checks = examination.examine(load_settings())
    if as_json:
        typer.echo(examination.as_json(checks))
    else:
        Console().print(examination.as_table(checks))
    if any(check.state is examination.State.BROKEN for check in checks):
        raise typer.Exit(FAILED)


def _where_it_is(installation: Installation) -> str:
    data_dir, url = installation.stack.data_dir, installation.address.url
    lines = (
        ("API", url),
        ("described at", f"{url}/docs"),
        ("API key in", data_dir / running.KEY),
        ("Flower", f"{installation.flower_url} (user {FLOWER_USER}, flower_password in {data_dir / SECRETS})"),
        ("logs in", installation.stack.logs),
        ("next", "vibeinsight analyze FILE, in another terminal; Ctrl-C here stops everything"),
    )
    return "\n".join(f"{name:<14}{value}" for name, value in lines)


def _table(jobs: list[dict[str, object]]) -> Table:
    table = Table(Column("job", no_wrap=True, min_width=36), "status", "stage", "%", "created", "error")
    for job in jobs:
        error = job.get("error")
        told = f"{error['code']}: {error['message']}" if isinstance(error, dict) else ""
        percent = f"{float(str(job.get('percent') or 0)):.0f}"
        cells = (job["id"], job["status"], job.get("stage") or "", percent, str(job.get("created_at"))[:19], told)
        table.add_row(*map(str, cells))
    return table


@contextlib.contextmanager
def _ended_by_signals(exit_code: int) -> Iterator[None]:
    """SIGTERM and a closed terminal end us as Ctrl-C does; while we stop, a second signal changes nothing."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> NoReturn:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped.")
        raise typer.Exit(exit_code) from None


def _complain(error: VibeInsightError) -> NoReturn:
    Console(stderr=True).print(f"[bold red]Error[/] ({error.code}): ", end="")
    Console(stderr=True).print(error.message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(MISUSED if isinstance(error, analysis.Misused) else FAILED)


def main() -> None:
    try:
        app()
    except VibeInsightError as error:
        _complain(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; that is no error of ours
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
