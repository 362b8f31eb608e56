"""The shards' words become one transcript: every word once, in order, at its own time, whatever the cuts."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.stages.transcribe import transcribe
from pipelines.text.attribution import attribute
from pipelines.text.segments import build_transcript
from shared.domain.audio import SAMPLE_RATE_HZ, Shard, Span
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Provenance, SpeakerTurn, Transcription, Word
from shared.ports.speech import Recognised
from shared.ports.tick import no_tick

pytestmark = pytest.mark.fuzz

ORDERS = int(os.environ.get("VIBEINSIGHT_FUZZ_ORDERS", "100"))  # `make fuzz`: 5,000
EXACT_S = 0.001  # times are kept to the millisecond
MADE_BY = Provenance("test", "test", "1")
thorough = settings(max_examples=ORDERS, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Reads:
    """Recognises what it is told to, at times relative to the shard's own start."""

    provenance = MADE_BY

    def __init__(self, words: tuple[Word, ...]) -> None:
        self._words = words

    def transcribe(self, audio: Path, **_: object) -> Recognised:
        return Recognised(self._words, None, 0)

    def detect_language(self, audio: Path, speech: object) -> None:
        return None


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[tuple[Shard, tuple[Word, ...]]], list[Word]]:
    """Shards that meet exactly, with words in them that have names of their own; and all the words on the time line."""
    shards, told, start = [], list[Word](), 0
    for index in range(draw(st.integers(1, 5))):
        samples = draw(st.integers(1_600, 40 * SAMPLE_RATE_HZ))
        shard = Shard(index, f"{index}", None, start, samples, (Span(0.0, samples / SAMPLE_RATE_HZ),))
        words = draw(_words(f"w{index}", samples / SAMPLE_RATE_HZ))
        shards.append((shard, words))
        begins_s = start / SAMPLE_RATE_HZ
        told += [Word(begins_s + word.start_s, begins_s + word.end_s, word.text, 1.0) for word in words]
        start += samples
    return shards, told


@st.composite
def _words(draw: st.DrawFn, name: str, length_s: float) -> tuple[Word, ...]:
    """Up to the very edges of the shard: the border is where words would be lost or doubled."""
    moment = st.sampled_from((0.0, length_s)) | st.floats(0.0, length_s, allow_nan=False)
    moments = sorted(draw(st.lists(moment, max_size=12)))
    ends = [*moments[1:], length_s][: len(moments)]
    stops = draw(st.lists(st.sampled_from(("", ".", "?")), min_size=len(moments), max_size=len(moments)))
    return tuple(
        Word(start_s, end_s, f" {name}x{number}{stop}", 1.0)
        for number, (start_s, end_s, stop) in enumerate(zip(moments, ends, stops, strict=True))
    )


@st.composite
def turns(draw: st.DrawFn, length_s: float = 200.0) -> list[SpeakerTurn]:
    edges = sorted(draw(st.lists(st.floats(0.0, length_s, allow_nan=False), max_size=10)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [SpeakerTurn(a, b, SpeakerId(draw(st.sampled_from(("S1", "S2"))))) for a, b in pairs if b > a]


def merged(shards: list[tuple[Shard, tuple[Word, ...]]], order: list[int], said: list[SpeakerTurn]) -> list[Word]:
    """Through the stages' own code, with the shards done in any order."""
    done: list[Transcription] = []
    for at in order:
        shard, words = shards[at]
        done.append(transcribe(shard, Path(), language=None, transcriber=Reads(words), tick=no_tick))
    return [spoken.word for spoken in attribute(done, said, {})]


@thorough
@given(st.data(), conversations(), turns())
def test_every_word_once_and_in_its_place(
    data: st.DataObject, made: tuple[list[tuple[Shard, tuple[Word, ...]]], list[Word]], said: list[SpeakerTurn]
) -> None:
    """No word is lost, none is doubled, none moves: at the borders of shards neither."""
    shards, told = made
    order = data.draw(st.permutations(range(len(shards))))
    words = merged(shards, list(order), said)
    assert Counter(word.text for word in words) == Counter(word.text for word in told)
    at = {word.text: word for word in words}
    for word in told:
        assert abs(at[word.text].start_s - word.start_s) <= EXACT_S
        assert abs(at[word.text].end_s - word.end_s) <= EXACT_S
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)


@thorough
@given(conversations(), turns())
def test_segments_hold_every_word(
    made: tuple[list[tuple[Shard, tuple[Word, ...]]], list[Word]], said: list[SpeakerTurn]
) -> None:
    """The readable transcript drops nothing and says nothing twice; segments follow each other in time."""
    shards, told = made
    done = [transcribe(shard, Path(), language=None, transcriber=Reads(words), tick=no_tick) for shard, words in shards]
    transcript = build_transcript(attribute(done, said, {}))
    held = Counter(word.text for segment in transcript.segments for word in segment.words)
    assert held == Counter(word.text for word in told)
    starts = [segment.start_s for segment in transcript.segments]
    assert starts == sorted(starts)
    assert all(transcript.text.count(word.text.strip()) >= 1 for word in told)


@thorough
@given(st.data(), conversations())
def test_the_order_of_work_does_not_show(
    data: st.DataObject, made: tuple[list[tuple[Shard, tuple[Word, ...]]], list[Word]]
) -> None:
    """Shards are done in any order, some of them twice after a kill: the transcript is the same."""
    shards, _ = made
    one = data.draw(st.permutations(range(len(shards))))
    assert merged(shards, list(one), []) == merged(shards, list(range(len(shards))), [])
