"""`vibeinsight analyze`: one recording in, one report out, over the public API."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import typer
from rich.console import Console
from rich.markdown import Markdown

from cli import running
from cli.client import Address, Client
from cli.follow import follow, shown_on
from cli.installation import installed
from shared.domain.errors import VibeInsightError
from shared.domain.job import JobStatus
from shared.settings import Settings

INTERRUPTED = 130  # what a shell reports of a program ended by Ctrl-C
TRANSCRIPTS = ("srt", "vtt", "txt")
REPORTS = ("md", "html")


class Misused(VibeInsightError):
    """The command line itself is wrong: exit code 2."""

    code = "usage"


class JobFailed(VibeInsightError):
    """The job ended without a result."""

    code = "job_failed"


@dataclass(frozen=True)
class Wishes:
    """What the user asked for on the command line."""

    source: str
    language: str | None = None
    report_language: str | None = None
    speakers: str | None = None
    roles: tuple[str, ...] = ()
    as_json: bool = False
    out: Path | None = None

    @property
    def is_url(self) -> bool:
        return "://" in self.source

    @property
    def fields(self) -> dict[str, Any]:
        options = {"report_language": self.report_language} if self.report_language else None
        speakers = int(self.speakers) if self.speakers and self.speakers.isdecimal() else self.speakers
        fields = {"language": self.language, "speakers": speakers, "roles": list(self.roles), "options": options}
        return {name: value for name, value in fields.items() if value}


def analyze(wishes: Wishes, settings: Settings) -> None:
    """Runs the job and shows its result; whatever goes wrong is a VibeInsightError."""
    screen = Console(stderr=True)
    with ExitStack() as cleanup:
        file = None if wishes.is_url else cleanup.enter_context(opened(Path(wishes.source)))
        address, stays = _reach(settings, screen, cleanup)
        client = cleanup.enter_context(Client(address))
        job = _create(client, wishes, file)
        try:
            with shown_on(screen) as show:
                job = follow(client, job["id"], show)
        except KeyboardInterrupt:
            _say_how_to_go_on(screen, job["id"], stays=stays)
            raise typer.Exit(INTERRUPTED) from None
        conclude(client, job, wishes, screen)


def _create(client: Client, wishes: Wishes, file: BinaryIO | None) -> dict[str, Any]:
    if file is None:
        return client.create_from_url(wishes.source, wishes.fields)
    return client.create_from_file(Path(wishes.source), file, wishes.fields)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The recording, opened before anything is started; what is wrong with the name is said at once."""
    try:
        if path.is_dir():
            raise Misused(f"{path} is a folder; name one recording in it.")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise Misused(f"There is no file {path}.") from None
    except PermissionError:
        raise Misused(f"The file {path} may not be read by you; check its permissions.") from None


def _reach(settings: Settings, screen: Console, cleanup: ExitStack) -> tuple[Address, bool]:
    """The VibeInsight that runs, else one for this run; and whether it stays when we are done."""
    found = running.find(settings)
    if found is not None:
        return found, True
    with screen.status("Starting VibeInsight for this run …"):
        started = cleanup.enter_context(
            installed(settings, lambda line: say(screen, line), port=None, with_flower=False)
        )
    return started.address, False


def conclude(client: Client, job: dict[str, Any], wishes: Wishes, screen: Console) -> None:
    """Prints and writes what was asked for; a job without a result is a JobFailed."""
    check(job)
    for warning in job.get("warnings", []):
        say(screen, f"Warning: {warning['message']} ({warning['code']})")
    if wishes.out is not None:
        write_all(client, job["id"], wishes.out)
        say(screen, f"Written to {wishes.out}/")
    if wishes.as_json:
        print_json(client.result(job["id"]))
    else:
        print_markdown(client.report(job["id"], "md").decode())


def check(job: dict[str, Any]) -> None:
    status = JobStatus(job["status"])
    if status is JobStatus.CANCELLED:
        raise JobFailed(f"Job {job['id']} was cancelled.")
    if not status.succeeded:
        error = job.get("error") or {}
        where = f" in {error['stage']}" if error.get("stage") else ""
        failed = JobFailed(f"Job {job['id']} failed{where}: {error.get('message', 'no reason was given')}")
        failed.code = error.get("code") or failed.code
        raise failed


def print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_markdown(text: str) -> None:
    """Rendered for a reader; plain for a pipe."""
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        sys.stdout.write(text)


def write_all(client: Client, job_id: str, folder: Path) -> None:
    """result.json, report.md, report.html, transcript.srt, transcript.vtt, transcript.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(client.result(job_id), ensure_ascii=False, indent=2)
    (folder / "result.json").write_text(document + "\n", encoding="utf-8")
    for kind in REPORTS:
        (folder / f"report.{kind}").write_bytes(client.report(job_id, kind))
    for kind in TRANSCRIPTS:
        (folder / f"transcript.{kind}").write_bytes(client.transcript(job_id, kind))


def _say_how_to_go_on(screen: Console, job_id: str, *, stays: bool) -> None:
    first = "" if stays else "`vibeinsight up`, then "
    say(screen, f"\nJob {job_id} is kept. Go on with it: {first}`vibeinsight watch {job_id}`.")


def say(screen: Console, text: str) -> None:
    """A sentence as it is: names in brackets are no markup, and nothing that is copied is broken in two."""
    screen.print(text, markup=False, highlight=False, soft_wrap=True)
