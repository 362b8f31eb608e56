"""The transcribe stage: a shard's words on the recording's time line."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.stages.transcribe import transcribe
from shared.domain.audio import LanguageGuess, Shard, Span
from shared.domain.transcript import Provenance, Word
from shared.ports.speech import Recognised
from shared.ports.tick import Tick, no_tick

pytestmark = pytest.mark.unit

PROVENANCE = Provenance("scripted", "none", "1")


class Scripted:
    """Says the words it was given, and remembers what it was asked."""

    provenance = PROVENANCE

    def __init__(self, *words: Word) -> None:
        self._words = words
        self.asked: tuple[Sequence[Span], str | None] | None = None
        self.terms: tuple[str, ...] = ()

    def detect_language(self, audio: Path, speech: Sequence[Span]) -> LanguageGuess | None:
        return None

    def transcribe(
        self, audio: Path, *, speech: Sequence[Span], language: str | None, tick: Tick, terms: Sequence[str] = ()
    ) -> Recognised:
        self.asked, self.terms = (speech, language), tuple(terms)
        return Recognised(self._words, LanguageGuess("ja", 0.98), dropped=3)


SHARD = Shard(
    index=2, file="shard-2.flac", channel=1, start_sample=1_600_160, samples=160_000, speech=(Span(0.5, 9.0),)
)


def test_words_move_to_the_recording_s_time_line() -> None:
    """The shard starts at 100.01 s exactly, counted in samples; the words keep their text and probability."""
    written = transcribe(
        SHARD, Path("shard-2.flac"), language=None, transcriber=Scripted(Word(0.5, 0.9, " はい", 0.8)), tick=no_tick
    )
    assert written.words == (Word(pytest.approx(100.51), pytest.approx(100.91), " はい", 0.8),)
    assert (written.shard, written.channel, written.dropped, written.provenance) == (2, 1, 3, PROVENANCE)
    assert written.language == LanguageGuess("ja", 0.98)


def test_no_word_leaves_its_shard() -> None:
    """A word that a recogniser puts past the end stays within the shard, so that the next one's words come after it."""
    written = transcribe(
        SHARD, Path("shard-2.flac"), language=None, transcriber=Scripted(Word(9.9, 10.4, " end", 0.8)), tick=no_tick
    )
    assert written.words[0].end_s == SHARD.start_s + SHARD.duration_s


def test_the_recogniser_hears_of_speech_and_language() -> None:
    """Voice activity is not run again, and a language that is known is not guessed again."""
    scripted = Scripted()
    transcribe(SHARD, Path("shard-2.flac"), language="ja", transcriber=scripted, tick=no_tick)
    assert scripted.asked == (SHARD.speech, "ja")


def test_the_recogniser_hears_of_terms() -> None:
    """Names that may be said are handed on."""
    scripted = Scripted()
    transcribe(SHARD, Path("a.flac"), language="ja", transcriber=scripted, tick=no_tick, terms=["GROW"])
    assert scripted.terms == ("GROW",)


def test_what_nobody_said_is_dropped_and_counted() -> None:
    """Thanks for watching, written by any engine over the silence of a shard's end."""
    words = (Word(0.5, 0.9, "はい", 0.8), Word(6.0, 8.0, "ご視聴ありがとうございました", 0.9))
    written = transcribe(SHARD, Path("a.flac"), language="ja", transcriber=Scripted(*words), tick=no_tick)
    assert [word.text for word in written.words] == ["はい"]
    assert written.dropped == 4
