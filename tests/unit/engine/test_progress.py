"""Percent, ETA and the words of a progress row."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.progress import MOST, PRIORS, WORDS, estimate
from shared.domain.job import ProgressStatus, RunStatus, Stage
from shared.domain.messages import catalogue, message
from shared.domain.progress import JobMoment, RunMoment

pytestmark = pytest.mark.unit

PROCESSES = 2
SHARDS_S = (300.0, 310.0, 290.0, 300.0)
AUDIO_S = sum(SHARDS_S)


def moment(*runs: RunMoment, elapsed_s: float = 0.0, audio_s: float | None = AUDIO_S) -> JobMoment:
    return JobMoment(audio_s, SHARDS_S if audio_s else None, elapsed_s, runs, PRIORS)


Lane = list[tuple[Stage, int, float]]  # runs that one process does one after the other: stage, shard, seconds of audio
ALONE: dict[Stage, list[Lane]] = {stage: [[(stage, 0, AUDIO_S)]] for stage in Stage}
BESIDE: list[Lane] = [
    [(Stage.TRANSCRIBE, 0, SHARDS_S[0]), (Stage.TRANSCRIBE, 2, SHARDS_S[2])],
    [(Stage.TRANSCRIBE, 1, SHARDS_S[1]), (Stage.TRANSCRIBE, 3, SHARDS_S[3])],
    [(Stage.DIARIZE, 0, AUDIO_S)],
]
PHASES = [ALONE[Stage.DOWNLOAD], ALONE[Stage.PREPROCESS], BESIDE, ALONE[Stage.ANALYZE], ALONE[Stage.SYNTHESIZE]]


def lane_after(lane: Lane, spent_s: float, slowness: float) -> Iterator[RunMoment]:
    """What a process has done of its runs after `spent_s`."""
    for stage, shard, audio_s in lane:
        takes_s = PRIORS[stage] * audio_s * slowness
        status = RunStatus.DONE if spent_s >= takes_s else RunStatus.RUNNING if spent_s >= 0 else RunStatus.QUEUED
        yield RunMoment(stage, shard, status, audio_s * min(1.0, max(0.0, spent_s / takes_s)))
        spent_s -= takes_s


def history(slowness: float) -> Iterator[tuple[float, JobMoment]]:
    """(seconds elapsed, moment) of a job that takes `slowness` times what was predicted."""
    done: list[RunMoment] = []
    clock_s = 0.0
    for phase in PHASES:
        takes_s = max(sum(PRIORS[stage] * audio_s for stage, _, audio_s in lane) for lane in phase) * slowness
        for part in range(20):
            spent_s = takes_s * part / 20
            runs = [run for lane in phase for run in lane_after(lane, spent_s, slowness)]
            yield clock_s + spent_s, moment(*done, *runs, elapsed_s=clock_s + spent_s)
        done += [run for lane in phase for run in lane_after(lane, takes_s * 2, slowness)]
        clock_s += takes_s
    yield clock_s, moment(*done, elapsed_s=clock_s)


@pytest.mark.parametrize("slowness", [0.5, 1.0, 2.0])
def test_percent_is_near_the_share_of_time_that_has_passed(slowness: float) -> None:
    """Within 10 points at every moment, on a fast and on a slow machine."""
    seen = list(history(slowness))
    whole_s = seen[-1][0]
    for now_s, at in seen[:-1]:
        assert abs(estimate(at, PROCESSES).percent - 100 * now_s / whole_s) <= 10


@pytest.mark.parametrize("slowness", [0.5, 1.0, 2.0])
def test_the_eta_is_good_after_a_third(slowness: float) -> None:
    """From 30 % on the ETA is within a fifth of what is left, or of 5 s."""
    seen = list(history(slowness))
    whole_s = seen[-1][0]
    for now_s, at in seen:
        shown = estimate(at, PROCESSES)
        if now_s >= 0.3 * whole_s:
            left_s = whole_s - now_s
            assert shown.eta_s is not None
            assert abs(shown.eta_s - left_s) <= max(5.0, 0.2 * left_s)


def test_percent_rises_with_the_work() -> None:
    """Never falls while runs go on."""
    shown = [estimate(at, PROCESSES).percent for _, at in history(1.0)]
    assert shown == sorted(shown)


@given(
    st.lists(st.tuples(st.sampled_from(Stage), st.integers(0, 3), st.sampled_from(RunStatus), st.floats(0, 1e5))),
    st.floats(0, 1e6),
    st.one_of(st.none(), st.floats(0.1, 1e5)),
)
def test_percent_and_eta_are_always_in_range(
    runs: list[tuple[Stage, int, RunStatus, float]], elapsed_s: float, audio_s: float | None
) -> None:
    """Whatever the ledger holds, what is shown makes sense."""
    shown = estimate(moment(*(RunMoment(*run) for run in runs), elapsed_s=elapsed_s, audio_s=audio_s), PROCESSES)
    assert 0 <= shown.percent <= MOST
    assert shown.eta_s is None or shown.eta_s >= 0


def test_no_eta_before_the_length_is_known() -> None:
    """A guess about a recording nobody has seen would be invented."""
    download = RunMoment(Stage.DOWNLOAD, 0, RunStatus.RUNNING, 0)
    assert estimate(moment(download, audio_s=None), PROCESSES).eta_s is None


def test_work_from_the_cache_counts_for_nothing() -> None:
    """What is left decides, and how fast the cache answered does not shorten the ETA."""
    before = (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.DIARIZE)
    free = [RunMoment(stage, 0, RunStatus.DONE, 0, free=True) for stage in before]
    free += [RunMoment(Stage.TRANSCRIBE, shard, RunStatus.DONE, 0, free=True) for shard in range(len(SHARDS_S))]
    shown = estimate(moment(*free, RunMoment(Stage.ANALYZE, 0, RunStatus.RUNNING, 0), elapsed_s=0.2), PROCESSES)
    assert shown.percent == 0
    assert shown.eta_s == pytest.approx((PRIORS[Stage.ANALYZE] + PRIORS[Stage.SYNTHESIZE]) * AUDIO_S, rel=0.1)


def test_transcribing_is_shown_before_diarization() -> None:
    """Two stages run side by side; the word changes when the first of them is done."""
    at_work = [RunMoment(stage, 0, RunStatus.RUNNING, 0) for stage in (Stage.TRANSCRIBE, Stage.DIARIZE)]
    assert estimate(moment(*at_work), PROCESSES).status is ProgressStatus.TRANSCRIBING
    done = RunMoment(Stage.TRANSCRIBE, 0, RunStatus.DONE, 300)
    assert estimate(moment(done, at_work[1]), PROCESSES).status is ProgressStatus.DIARIZATION


def test_every_word_has_a_message_in_three_languages() -> None:
    """Nobody sees an empty progress row."""
    assert set(catalogue()) == set(ProgressStatus)
    assert set(WORDS) == set(Stage)
    for texts in catalogue().values():
        assert set(texts) == {"en", "ja", "zh-TW"}
        assert all(texts.values())


@pytest.mark.parametrize(
    ("asked", "shown"), [("ja", "ja"), ("zh", "zh-TW"), ("zh-TW", "zh-TW"), ("de", "en"), (None, "en")]
)
def test_messages_fall_back_to_english(asked: str | None, shown: str) -> None:
    """A language that we do not speak is answered in English."""
    assert message("completed", asked) == catalogue()["completed"][shown]
