"""From probabilities to stretches of speech."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audio.vad_gate import BLOCK_S, GateSettings, VadGate, speech_spans
from shared.domain.audio import Span

pytestmark = pytest.mark.unit

probabilities = st.lists(st.floats(0, 1), max_size=400)
BARE = GateSettings(pad_s=0.0)


def _duration_s(values: list[float]) -> float:
    return len(values) * BLOCK_S


def test_one_word() -> None:
    """Speech from the first block above the onset to the last above the offset, padded on both sides."""
    values = [0.0] * 20 + [0.9] * 10 + [0.4] * 5 + [0.0] * 40
    assert speech_spans(values, _duration_s(values)) == (Span(0.54, 1.22),)


def test_a_short_pause_belongs_to_the_sentence() -> None:
    """Nine blocks are 288 ms, ten are 320 ms."""
    together = [0.9] * 5 + [0.0] * 9 + [0.9] * 5
    apart = [0.9] * 5 + [0.0] * 10 + [0.9] * 5
    assert len(speech_spans(together, _duration_s(together))) == 1
    assert len(speech_spans(apart, _duration_s(apart))) == 2


def test_the_middle_neither_begins_nor_ends_speech() -> None:
    """Between offset and onset the gate stays as it is."""
    assert speech_spans([0.4] * 50, 1.6) == ()
    kept = [0.6] + [0.4] * 49
    assert speech_spans(kept, 1.6) == (Span(0.0, 1.6),)


def test_a_live_gate_says_that_someone_speaks_and_when_they_stopped() -> None:
    """The span comes back with the block that makes the silence long enough, not later."""
    gate = VadGate()
    assert [gate.push(value) for value in [0.9] * 3] == [None] * 3
    assert gate.speaking
    answers = [gate.push(0.0) for _ in range(10)]
    assert answers[:-1] == [None] * 9
    assert answers[-1] == Span(0.0, 0.196)
    assert not gate.speaking


@given(probabilities)
def test_spans_ascend_and_never_touch(values: list[float]) -> None:
    """Inside the recording, longer than nothing, and apart."""
    spans = speech_spans(values, _duration_s(values))
    edges = [edge for span in spans for edge in (span.start_s, span.end_s)]
    assert edges == sorted(set(edges))
    assert all(0 <= edge <= _duration_s(values) + 1e-6 for edge in edges)


@given(probabilities)
def test_all_sure_speech_is_inside(values: list[float]) -> None:
    """Every block at or above the onset lies in a span."""
    spans = speech_spans(values, _duration_s(values), BARE)
    for number, value in enumerate(values):
        if value >= BARE.onset:
            middle_s = (number + 0.5) * BLOCK_S
            assert any(span.start_s <= middle_s <= span.end_s for span in spans)


@given(probabilities)
def test_every_silence_between_is_long_enough(values: list[float]) -> None:
    """Without padding, no gap is below the least silence."""
    spans = speech_spans(values, _duration_s(values), BARE)
    assert all(later.start_s - earlier.end_s >= BARE.min_silence_s - 1e-6 for earlier, later in pairwise(spans))


@given(probabilities)
def test_live_and_whole_agree(values: list[float]) -> None:
    """Pushing one by one gives what the whole recording gives."""
    gate = VadGate()
    live = [span for value in values if (span := gate.push(value))]
    last = gate.finish(_duration_s(values))
    assert tuple(live + ([last] if last else [])) == speech_spans(values, _duration_s(values))
