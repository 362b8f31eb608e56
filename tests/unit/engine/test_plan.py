"""The stage graph, under every order of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan import MAY_FAIL, step
from shared.domain.graph import NEEDS, Outcome, RunState, downstream
from shared.domain.job import JobStatus, RunStatus, Stage

pytestmark = pytest.mark.unit

ENDS = (RunStatus.DONE, RunStatus.FAILED, RunStatus.DEAD)
Runs = dict[tuple[Stage, int], RunStatus]


def states(runs: Runs) -> list[RunState]:
    return [RunState(stage, shard, status) for (stage, shard), status in runs.items()]


def known_shards(runs: Runs, shards: int) -> int | None:
    return shards if runs.get((Stage.PREPROCESS, 0)) is RunStatus.DONE else None


def play(data: st.DataObject, shards: int, ends: tuple[RunStatus, ...]) -> tuple[Runs, Outcome | None]:
    """Ends open runs in any order until the job ends; every creation must be a new run whose needs are met."""
    runs: Runs = {(Stage.DOWNLOAD, 0): RunStatus.QUEUED}
    for _ in range(shards + 6):
        still_open = [key for key, status in runs.items() if not status.ended]
        runs[data.draw(st.sampled_from(still_open))] = data.draw(st.sampled_from(ends))
        answer = step(states(runs), known_shards(runs, shards))
        if answer.outcome is not None:
            return runs, answer.outcome
        for stage, shard in answer.create:
            assert (stage, shard) not in runs
            assert all(status.ended for (other, _), status in runs.items() if other in NEEDS[stage])
            runs[stage, shard] = RunStatus.QUEUED
        assert any(not status.ended for status in runs.values())
    return runs, None


@given(st.data(), st.integers(0, 5))
def test_every_stage_starts_once_when_all_goes_well(data: st.DataObject, shards: int) -> None:
    """Any interleaving runs the whole graph once, each shard included, and completes the job."""
    runs, outcome = play(data, shards, (RunStatus.DONE,))
    spoken = {(Stage.TRANSCRIBE, shard) for shard in range(shards)} | ({(Stage.DIARIZE, 0)} if shards else set())
    alone = {(stage, 0) for stage in (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.ANALYZE, Stage.SYNTHESIZE)}
    assert set(runs) == spoken | alone
    assert outcome == Outcome(JobStatus.COMPLETED)


@given(st.data(), st.integers(0, 5))
def test_every_job_ends_whatever_fails(data: st.DataObject, shards: int) -> None:
    """With failures anywhere the job still ends, and fails only for a stage it cannot do without."""
    runs, outcome = play(data, shards, ENDS)
    assert outcome is not None
    fatal = [stage for (stage, _), status in runs.items() if status in ENDS[1:] and stage not in MAY_FAIL]
    assert outcome.status is (JobStatus.FAILED if fatal else JobStatus.COMPLETED)
    if outcome.cause is not None:
        assert outcome.cause.stage in fatal


@given(st.data(), st.integers(1, 4))
def test_asking_again_creates_nothing_new(data: st.DataObject, shards: int) -> None:
    """The answer depends on the runs alone, so that two stewards may ask at once."""
    runs, _ = play(data, shards, (RunStatus.DONE,))
    kept = {key: status for key, status in runs.items() if data.draw(st.booleans())} | {
        (Stage.DOWNLOAD, 0): RunStatus.DONE
    }
    first = step(states(kept), known_shards(kept, shards))
    again = kept | dict.fromkeys(first.create, RunStatus.QUEUED)
    assert step(states(again), known_shards(again, shards)).create == ()


def test_silence_is_said() -> None:
    """A recording without speech goes straight to the analysis, with a warning."""
    done = [RunState(stage, 0, RunStatus.DONE) for stage in (Stage.DOWNLOAD, Stage.PREPROCESS)]
    answer = step(done, 0)
    assert answer.create == ((Stage.ANALYZE, 0),)
    assert [warning.code for warning in answer.warnings] == ["no_speech"]


def test_a_failed_diarization_is_said() -> None:
    """The analysis goes on without speakers, with a warning."""
    done = [RunState(stage, 0, RunStatus.DONE) for stage in (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.TRANSCRIBE)]
    answer = step([*done, RunState(Stage.DIARIZE, 0, RunStatus.DEAD)], 1)
    assert answer.create == ((Stage.ANALYZE, 0),)
    assert [warning.code for warning in answer.warnings] == ["diarization_failed"]


def test_a_cancelled_run_ends_the_job() -> None:
    """No stage is started for a job that was cancelled."""
    runs = [RunState(Stage.DOWNLOAD, 0, RunStatus.DONE), RunState(Stage.PREPROCESS, 0, RunStatus.CANCELLED)]
    assert step(runs, None) == step(runs, 3)
    assert step(runs, None).outcome == Outcome(JobStatus.CANCELLED)


def test_downstream_is_everything_made_from_a_stage() -> None:
    """What a retry from a stage must forget."""
    assert downstream(Stage.DIARIZE) == {Stage.ANALYZE, Stage.SYNTHESIZE}
    assert downstream(Stage.DOWNLOAD) == set(Stage) - {Stage.DOWNLOAD}
    assert downstream(Stage.SYNTHESIZE) == set()
