"""The operator's commands: what waits, what has failed, and how it goes on. Straight in the ledger, for every owner.

Exit codes: 0 done, 1 something could not be done, 2 misuse, 3 a drain that has not ended in the time given.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import operate_show as show
from shared.domain.access import AuditEntry
from shared.domain.errors import NotFound, SetupError, VibeInsightError
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import JobStatus, Stage
from shared.domain.operation import ENDED, Filter
from shared.settings import Settings, load_settings
from shared.toolbox import Toolbox

if TYPE_CHECKING:
    from shared.store.operate import Operator
    from shared.store.queues import QueueState

FAILED, MISUSED, NOT_YET = 1, 2, 3
LOOK_EVERY_S = 0.5  # at a queue that drains
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
MOST = 1_000_000  # "all": a purge and a replay work through whatever is chosen


_given: ContextVar[Settings | None] = ContextVar("settings", default=None)


class Buried(StrEnum):
    FAILED = "failed"
    DEAD = "dead"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
AStage = Annotated[Stage, typer.Argument(metavar="STAGE", help=f"One of: {', '.join(Stage)}.")]
OfStage = Annotated[Stage | None, typer.Option("--stage", help="Only with something to do, or failed, in this stage.")]
OfOwner = Annotated[str | None, typer.Option("--owner", help="Only of this owner: an id or a name.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="AGE", help="Only older than this: 90s, 15m, 12h, 30d.")
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Lines at most.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Jobs = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Ids of jobs.")]


def jobs(
    status: Annotated[list[JobStatus] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    stage: OfStage = None,
    owner: OfOwner = None,
    older_than: OlderThan = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs over all owners, who waits longest first. Without filters: those that have not ended."""
    statuses = _words(status) or ([] if everything else [JobStatus.QUEUED.value, JobStatus.RUNNING.value])
    with _tools() as tools:
        found = _operator(tools).jobs(Filter((), statuses, stage, owner, _age_s(older_than), limit))
    show.jobs(found, as_json=as_json)


def dead(
    status: Annotated[list[Buried] | None, typer.Option(help="failed: for good; dead: out of attempts.")] = None,
    stage: OfStage = None,
    owner: OfOwner = None,
    older_than: OlderThan = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the runs that ended badly, with their errors."""
    with _tools() as tools:
        found = _operator(tools).buried(Filter((), _words(status), stage, owner, _age_s(older_than), limit))
    show.buried(found, as_json=as_json)


def replay(  # noqa: PLR0913, PLR0917 - one argument an option
    job_ids: Jobs = None,
    from_stage: Annotated[Stage | None, typer.Option(help="Begin here; else where it failed.")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed job that the filters leave.")] = False,
    stage: OfStage = None,
    owner: OfOwner = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Open failed jobs again, from the stage that failed or from a named one. What is done stays done."""
    if bool(job_ids) == all_failed:
        raise typer.BadParameter("Name jobs, or say --all-failed.")
    statuses = [] if job_ids else [JobStatus.FAILED.value]
    with _tools() as tools:
        chosen = _chosen(tools, Filter(job_ids or (), statuses, stage, owner, _age_s(older_than), MOST))
        if dry_run or not _agreed(f"Open {len(chosen)} jobs again?", yes=yes or len(chosen) == 1):
            return show.plan("replay", chosen, as_json=as_json)
        done = _each(chosen, lambda owner_id, job_id: _replay(tools, owner_id, job_id, from_stage))
        _audit(tools, "replay", done, from_stage=from_stage)
    return _conclude("replayed", done, as_json=as_json)


def requeue(
    job_ids: Jobs = None,
    stage: OfStage = None,
    owner: OfOwner = None,
    now: Annotated[bool, typer.Option("--now", help="Also what waits for its next attempt.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Ring again for runs that are due, as the steward does. It loses and doubles nothing."""
    with _tools() as tools:
        wanted = Filter(job_ids or (), (), stage, owner, None, MOST)
        found = _operator(tools).requeue(wanted, now=now and not dry_run)
        rung = 0 if dry_run else tools.doorbell.ring(found.runs)
        if not dry_run:
            _audit(tools, "requeue", {"rung": rung, "woken": found.woken}, stage=stage, now=now)
    show.requeued(found, rung, as_json=as_json)


def drain(
    stage: AStage,
    reason: Annotated[str, typer.Option(help="Why; whoever looks at the queue reads it.")] = "drained by the operator",
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until nobody works on it.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Pause a stage: from now on nobody takes from its queue, and what is under way ends in peace."""
    with _tools() as tools:
        tools.ledger.pause(stage, "operator", reason)
        _audit(tools, "drain", {}, stage=stage, reason=reason)
        state = _watch(tools, stage, wait_s)
    show.queues([state], as_json=as_json)
    if wait_s and not state.drained:
        raise typer.Exit(NOT_YET)


def resume(stage: AStage, as_json: AsJson = False) -> None:
    """Open a paused stage again."""
    with _tools() as tools:
        was_paused = tools.ledger.resume(stage)
        if was_paused:
            _audit(tools, "resume", {}, stage=stage)
        state = _state(tools, stage)
    show.queues([state], as_json=as_json)


def queues(as_json: AsJson = False) -> None:
    """Show what waits and who works, stage by stage, and which are paused."""
    with _tools() as tools:
        states = tools.ledger.states()
    show.queues(states, as_json=as_json)


def purge(  # noqa: PLR0913, PLR0917 - one argument an option
    job_ids: Jobs = None,
    older_than: OlderThan = None,
    owner: OfOwner = None,
    status: Annotated[list[JobStatus] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All of --owner, running jobs too.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete jobs that have ended, with their rows and objects, for good. Legal holds are kept."""
    if everything:
        return _erase(owner, dry_run=dry_run, yes=yes, as_json=as_json)
    if not (job_ids or older_than or owner):
        raise typer.BadParameter("Name jobs, --older-than AGE or --owner OWNER: not everything at once.")
    statuses = [word for word in _words(status) or [one.value for one in ENDED] if JobStatus(word).ended]
    if not statuses:
        raise typer.BadParameter("Only jobs that have ended are purged; cancel the others first.")
    with _tools() as tools:
        chosen = _chosen(tools, Filter(job_ids or (), statuses, None, owner, _age_s(older_than), MOST))
        if dry_run or not _agreed(f"Delete {len(chosen)} jobs with all that belongs to them, for good?", yes=yes):
            return show.plan("purge", chosen, as_json=as_json)
        done = _each(chosen, lambda owner_id, job_id: _purge(tools, owner_id, job_id))
        _audit(tools, "purge", done, owner=owner, older_than=older_than)
    return _conclude("purged", done, as_json=as_json)


def register(app: typer.Typer) -> None:
    for command in (jobs, dead, replay, requeue, queues, drain, resume, purge):
        app.command(rich_help_panel="For the operator")(command)


@contextmanager
def on(settings: Settings) -> Iterator[None]:
    """Commands inside work with these settings instead of the environment's."""
    token = _given.set(settings)
    try:
        yield
    finally:
        _given.reset(token)


# ---- what they are made of


@contextmanager
def _tools() -> Iterator[Toolbox]:
    """The operator is whoever may reach the database and the broker: no key, no owner."""
    settings = _given.get() or load_settings()
    if settings.database_url is None or settings.redis_url is None:
        raise SetupError(
            "The operator's commands work on the ledger itself: set VIBEINSIGHT_DATABASE_URL and VIBEINSIGHT_REDIS_URL"
        )
    tools = Toolbox(settings)
    try:
        yield tools
    finally:
        tools.close()


def _operator(tools: Toolbox) -> "Operator":
    from shared.store.operate import Operator  # here: the other commands need no database's packages

    return Operator(tools.ledger.database)


Chosen = list[tuple[OwnerId, JobId]]
Done = dict[str, str]  # job -> "ok", or the code of what stood in the way


def _chosen(tools: Toolbox, wanted: Filter) -> Chosen:
    found = {line.id: line.owner_id for line in _operator(tools).jobs(wanted)}
    for job_id in wanted.job_ids:
        if job_id.lower() not in found:
            raise NotFound(f"There is no job {job_id!r} that this can be done to; `vibeinsight jobs --all` lists them")
    return [(owner_id, job_id) for job_id, owner_id in found.items()]


def _each(chosen: Chosen, act: Callable[[OwnerId, JobId], None]) -> Done:
    """One that cannot be done keeps nobody else waiting."""
    done: Done = {}
    for owner_id, job_id in chosen:
        try:
            act(owner_id, job_id)
            done[job_id] = "ok"
        except VibeInsightError as error:
            done[job_id] = f"{error.code}: {error.message}"
    return done


def _replay(tools: Toolbox, owner_id: OwnerId, job_id: JobId, from_stage: Stage | None) -> None:
    tools.doorbell.ring(tools.ledger.retry(owner_id, job_id, from_stage).runs)


def _purge(tools: Toolbox, owner_id: OwnerId, job_id: JobId) -> None:
    """The rows first: that refuses what is held. The objects follow now, or when the store can."""
    from shared.keeping.deleting import delete_now

    tools.ledger.delete_job(owner_id, job_id)
    delete_now(tools.ledger.database, tools.objects, job_id=job_id)


def _erase(owner: str | None, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Everything of an owner but the account itself and its keys."""
    from shared.keeping.erasing import erase_owner

    if owner is None:
        raise typer.BadParameter("--everything needs --owner: of whom?")
    with _tools() as tools:
        owner_id = _operator(tools).owner_id(owner)
        if dry_run or not _agreed(f"Delete everything of owner {owner_id}, for good?", yes=yes):
            return show.plan("purge", _chosen(tools, Filter(owner=owner_id, limit=MOST)), as_json=as_json)
        report = erase_owner(tools.ledger.database, tools.objects, owner_id)
        _audit(tools, "purge", {}, owner=owner_id, everything=True)
    return show.erasure(report, as_json=as_json)


def _conclude(word: str, done: Done, *, as_json: bool) -> None:
    show.done(word, done, as_json=as_json)
    if any(outcome != "ok" for outcome in done.values()):
        raise typer.Exit(FAILED)


def _state(tools: Toolbox, stage: Stage) -> "QueueState":
    return next(state for state in tools.ledger.states() if state.stage is stage)


def _watch(tools: Toolbox, stage: Stage, wait_s: float) -> "QueueState":
    until = time.monotonic() + wait_s
    while not (state := _state(tools, stage)).drained and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    return state


def _audit(tools: Toolbox, action: str, done: dict[str, Any], **details: object) -> None:
    told = {name: str(value) for name, value in details.items() if value is not None}
    outcome = "failed" if any(isinstance(one, str) and one != "ok" for one in done.values()) else "ok"
    about: dict[str, object] = {**told, "jobs": sorted(done)[:100]} if "rung" not in done else {**told, **done}
    tools.ledger.audit(AuditEntry(actor="operator", action=action, outcome=outcome, details=about))


def _agreed(question: str, *, yes: bool) -> bool:
    """Nobody to ask, and no --yes: that is misuse, not consent."""
    if yes:
        return True
    if not typer.get_text_stream("stdin").isatty():
        raise typer.BadParameter(f"{question} Say --yes; or --dry-run to see which.")
    return typer.confirm(question, err=True)


def _words(given: list[Any] | None) -> list[str]:
    return [one.value for one in given or []]


def _age_s(given: str | None) -> float | None:
    if given is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", given.strip())
    if found is None:
        raise typer.BadParameter(f"{given!r} is no age; write 90s, 15m, 12h or 30d.")
    return float(found[1]) * UNITS_S[found[2]]
