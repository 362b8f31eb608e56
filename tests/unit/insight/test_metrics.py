"""Properties that hold for every conversation, however odd."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.insight.conversation import Conversation
from pipelines.insight.intervals import Speech
from pipelines.insight.metrics import gini_coefficient, measure_metrics
from pipelines.insight.roles import assign_roles
from shared.domain.ids import SpeakerId
from shared.domain.insight import Metrics
from tests.insight_samples import COACHING, COACHING_JA, conversation_of

pytestmark = pytest.mark.unit

S1, S2, S3 = SpeakerId("S1"), SpeakerId("S2"), SpeakerId("S3")
NAMES = (S1, S2, S3)


def _speech(names: tuple[SpeakerId, ...]) -> st.SearchStrategy[list[Speech]]:
    """Stretches of speech in ten minutes; every one of `names` speaks."""
    stretch = st.builds(
        lambda start, length, speaker: Speech(start, start + length, speaker),
        st.integers(0, 600_000),
        st.integers(1, 30_000),
        st.sampled_from(names),
    )
    each = st.tuples(st.integers(0, 600_000), st.integers(1, 5_000))
    everybody = st.tuples(*(each for _ in names)).map(
        lambda pairs: [Speech(start, start + length, name) for (start, length), name in zip(pairs, names, strict=True)]
    )
    return st.builds(lambda a, b: a + b, st.lists(stretch, max_size=25), everybody)


def _measure(speech: list[Speech], coach: SpeakerId = S1) -> Metrics:
    conversation = Conversation(tuple(speech), (), "en")
    roles = ["coach" if speaker == coach else "client" for speaker in conversation.speakers]
    return measure_metrics(conversation, assign_roles(conversation, roles, {}))


@given(_speech(NAMES))
@settings(max_examples=150, deadline=None)
def test_shares_sum_to_one(speech: list[Speech]) -> None:
    """Whoever speaks, over whom, the shares of all are the whole; so are those of each window with speech."""
    metrics = _measure(speech)
    assert metrics.per_speaker is not None
    assert sum(own.share for own in metrics.per_speaker.values()) == pytest.approx(1)
    for window in metrics.timeline:
        assert not window.shares or sum(window.shares.values()) == pytest.approx(1)


@given(_speech(NAMES))
@settings(max_examples=150, deadline=None)
def test_nothing_is_negative(speech: list[Speech]) -> None:
    """Only the floor transfer offset may be below zero: it is so when people overlap."""
    plain = asdict(_measure(speech))
    plain.pop("median_floor_transfer_offset_s")
    assert [number for number in _numbers(plain) if number < 0] == []


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, list | tuple):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, int | float) else []


@given(_speech((S1, S2)))
@settings(max_examples=150, deadline=None)
def test_time_is_spent_once(speech: list[Speech]) -> None:
    """Speech of both, less what overlaps, and silence make up the span from first to last word."""
    metrics, conversation = _measure(speech), Conversation(tuple(speech), (), "en")
    assert metrics.per_speaker is not None
    assert metrics.overlap_s is not None
    assert metrics.silence_s is not None
    spoken_s = sum(own.speaking_s for own in metrics.per_speaker.values()) - metrics.overlap_s
    assert spoken_s + metrics.silence_s == pytest.approx(conversation.span_ms / 1000)


@given(_speech(NAMES), st.integers(0, 10_000_000))
@settings(max_examples=150, deadline=None)
def test_shift_in_time_changes_nothing(speech: list[Speech], shift_ms: int) -> None:
    """A recording that starts later has the same metrics; only the moments move along."""
    later = [replace(s, start_ms=s.start_ms + shift_ms, end_ms=s.end_ms + shift_ms) for s in speech]
    now, then = _measure(speech), _measure(later)
    assert replace(now, timeline=(), reflective_silences=()) == replace(then, timeline=(), reflective_silences=())
    assert [w.shares for w in now.timeline] == [w.shares for w in then.timeline]
    for before, after in zip(now.reflective_silences, then.reflective_silences, strict=True):
        assert after.start_s - before.start_s == pytest.approx(shift_ms / 1000)


@given(_speech((S1, S2)))
@settings(max_examples=200, deadline=None)
def test_relabelling_swaps_and_changes_nothing_else(speech: list[Speech]) -> None:
    """Who is called S1 changes the names in the figures, and no figure."""
    own = {name: sorted(s.bounds for s in speech if s.speaker == name) for name in (S1, S2)}
    assume(own[S1] != own[S2])  # two who always speak at once cannot be told apart by anything
    other = {S1: S2, S2: S1}
    swapped = [replace(s, speaker=other[s.speaker]) for s in speech]
    before, after = _measure(speech, coach=S1), _measure(swapped, coach=S2)
    assert before.per_speaker is not None
    assert after.per_speaker is not None
    assert {other[speaker]: figures for speaker, figures in before.per_speaker.items()} == after.per_speaker
    figures_apart = {"per_speaker": None, "timeline": (), "reflective_silences": ()}
    assert replace(before, **figures_apart) == replace(after, **figures_apart)


def test_gini_of_three() -> None:
    """An equal split is 0, one who does all the talking among three is 2/3, and one alone has no split."""
    assert gini_coefficient([10, 10, 10]) == 0
    assert gini_coefficient([30, 0, 0]) == 0.6667
    assert gini_coefficient([30]) is None


def test_words_are_counted_in_words_or_characters() -> None:
    """English counts words, Japanese counts characters, and the unit says so."""
    english, japanese = (
        measure_metrics(c, assign_roles(c, (), {}))
        for c in (conversation_of(COACHING), conversation_of(COACHING_JA, "ja"))
    )
    assert english.per_speaker is not None
    assert japanese.per_speaker is not None
    assert (english.word_unit, english.per_speaker[S1].words) == ("word", 35)
    assert (japanese.word_unit, japanese.per_speaker[S2].words) == ("character", 66)


def test_pace_is_of_own_speech() -> None:
    """35 words in 18.1 s of the coach's own speech are 116.0 a minute, not of the recording's."""
    conversation = conversation_of(COACHING)
    metrics = measure_metrics(conversation, assign_roles(conversation, (), {}))
    assert metrics.per_speaker is not None
    assert metrics.per_speaker[S1].words_per_minute == 116.0


def test_reflective_silences_say_who_breaks_them() -> None:
    """Four seconds after S1, broken by S2, are one; two seconds are none."""
    speech = [Speech(0, 5000, S1), Speech(9000, 12000, S2), Speech(14000, 15000, S1)]
    (silence,) = _measure(speech).reflective_silences
    assert (silence.start_s, silence.duration_s, silence.after, silence.broken_by) == (5.0, 4.0, S1, S2)


def test_windows_cover_the_conversation() -> None:
    """Ten minutes give windows every 30 s, the last of which reaches the end."""
    speech = [Speech(n * 20_000, n * 20_000 + 18_000, S1 if n % 2 else S2) for n in range(30)]
    timeline = _measure(speech).timeline
    assert [window.start_s for window in timeline[:3]] == [0.0, 30.0, 60.0]
    assert timeline[-1].end_s == 598.0
    assert all(window.end_s - window.start_s <= 150.0 for window in timeline)
