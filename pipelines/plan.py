"""What is next for a job: the rules over the stage graph. Pure, so that every order of events can be tested."""

from collections.abc import Iterator, Sequence

from shared.domain.graph import Outcome, RunState, Step
from shared.domain.job import JobStatus, JobWarning, RunStatus, Stage

NO_SPEECH = JobWarning("no_speech", "No speech was found in the recording", Stage.PREPROCESS)
NO_SPEAKERS = JobWarning("diarization_failed", "The speakers could not be told apart", Stage.DIARIZE)
BROKEN = (RunStatus.FAILED, RunStatus.DEAD)
MAY_FAIL = (Stage.DIARIZE,)  # a transcript without speakers is worth having


def step(runs: Sequence[RunState], shards: int | None) -> Step:
    """`runs` are all runs of a job, `shards` the number of its transcribe runs, known once preprocess is done."""
    warnings = tuple(_warnings(runs, shards))
    outcome = _outcome(runs)
    if outcome is not None:
        return Step(outcome=outcome, warnings=warnings)
    return Step(create=tuple(_missing(runs, shards)), warnings=warnings)


def _outcome(runs: Sequence[RunState]) -> Outcome | None:
    fatal = [run for run in runs if run.status in BROKEN and run.stage not in MAY_FAIL]
    if fatal:
        return Outcome(JobStatus.FAILED, fatal[0])
    if any(run.status is RunStatus.CANCELLED for run in runs):
        return Outcome(JobStatus.CANCELLED)
    if _done(runs, Stage.SYNTHESIZE) == 1:
        return Outcome(JobStatus.COMPLETED)
    return None


def _missing(runs: Sequence[RunState], shards: int | None) -> Iterator[tuple[Stage, int]]:
    """Runs whose needs are met and that do not exist."""
    known = {(run.stage, run.shard) for run in runs}
    return (wanted for wanted in _wanted(runs, shards) if wanted not in known)


def _wanted(runs: Sequence[RunState], shards: int | None) -> Iterator[tuple[Stage, int]]:
    yield Stage.DOWNLOAD, 0
    if _done(runs, Stage.DOWNLOAD):
        yield Stage.PREPROCESS, 0
    if not _done(runs, Stage.PREPROCESS) or shards is None:
        return
    yield from ((Stage.TRANSCRIBE, shard) for shard in range(shards))
    if shards:
        yield Stage.DIARIZE, 0
    if _done(runs, Stage.TRANSCRIBE) == shards and (not shards or _ended(runs, Stage.DIARIZE)):
        yield Stage.ANALYZE, 0
    if _done(runs, Stage.ANALYZE):
        yield Stage.SYNTHESIZE, 0


def _warnings(runs: Sequence[RunState], shards: int | None) -> Iterator[JobWarning]:
    if shards == 0 and _done(runs, Stage.PREPROCESS):
        yield NO_SPEECH
    if any(run.stage is Stage.DIARIZE and run.status in BROKEN for run in runs):
        yield NO_SPEAKERS


def _done(runs: Sequence[RunState], stage: Stage) -> int:
    return sum(run.stage is stage and run.status is RunStatus.DONE for run in runs)


def _ended(runs: Sequence[RunState], stage: Stage) -> bool:
    return any(run.stage is stage and run.status.ended for run in runs)
