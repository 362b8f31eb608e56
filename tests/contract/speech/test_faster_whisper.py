"""The built-in recogniser, as the Transcriber port promises it, on speech made by the installed voices."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.audio.vad_gate import speech_spans
from shared.adapters.faster_whisper import FasterWhisper
from shared.adapters.silero import SileroVad
from shared.adapters.weights.whisper_base import whisper_base
from shared.domain.audio import SAMPLE_RATE_HZ, Span
from shared.domain.errors import Cancelled, ProviderRejected
from shared.ports.tick import no_tick
from shared.settings import Settings
from tests.speech_fixtures import dialogue_16k, spoken

pytestmark = pytest.mark.contract

QUESTION = "What would you like to talk about today? Take your time."


@pytest.fixture(scope="module")
def port() -> FasterWhisper:
    return FasterWhisper(Settings())


@pytest.fixture(scope="module")
def speech_in() -> Callable[[Path], tuple[Span, ...]]:
    voice_activity = SileroVad(Settings())

    def find(path: Path) -> tuple[Span, ...]:
        samples, _ = soundfile.read(path, dtype="float32")
        return speech_spans(voice_activity.probabilities(iter([samples])), len(samples) / SAMPLE_RATE_HZ)

    return find


def plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def test_words_of_a_sentence(port: FasterWhisper, speech_in: Callable[[Path], tuple[Span, ...]]) -> None:
    """Joined, the words are the sentence; they ascend, and each lies where somebody speaks."""
    audio = spoken(QUESTION)
    speech = speech_in(audio)
    heard = port.transcribe(audio, speech=speech, language="en", tick=no_tick)
    assert plain("".join(word.text for word in heard.words)) == plain(QUESTION)
    starts = [word.start_s for word in heard.words]
    assert starts == sorted(starts)
    assert all(any(s.start_s <= w.start_s <= w.end_s <= s.end_s for s in speech) for w in heard.words)
    assert all(0.0 <= word.probability <= 1.0 for word in heard.words)
    assert heard.dropped == 0


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", QUESTION),
        ("ja", "今日はどんなことを話したいですか。ゆっくり考えてください。"),
        ("zh", "您今天想谈什么?请慢慢想一想。"),
    ],
)
def test_the_language_is_heard(
    port: FasterWhisper, speech_in: Callable[[Path], tuple[Span, ...]], language: str, text: str
) -> None:
    """Each language is told from speech alone."""
    audio = spoken(text, language)
    guess = port.detect_language(audio, speech_in(audio))
    assert guess is not None
    assert guess.code == language
    assert 0.0 < guess.confidence <= 1.0


def test_without_speech_nothing_is_said(port: FasterWhisper, tmp_path: Path) -> None:
    """No language is guessed and no word invented where voice activity found nobody."""
    path = tmp_path / "noise.flac"
    soundfile.write(path, np.random.default_rng(7).normal(0, 0.05, 6 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert port.detect_language(path, ()) is None
    assert port.transcribe(path, speech=(), language=None, tick=no_tick).words == ()


@pytest.mark.parametrize("loudness", [0.0, 0.02])
def test_silence_and_noise_taken_for_speech(port: FasterWhisper, tmp_path: Path, loudness: float) -> None:
    """Even where voice activity errs, the recogniser's own doubt keeps it from making up a sentence."""
    path = tmp_path / "noise.flac"
    soundfile.write(path, np.random.default_rng(7).normal(0, loudness, 6 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    heard = port.transcribe(path, speech=(Span(0.5, 5.5),), language="en", tick=no_tick)
    assert heard.words == ()


def test_a_conversation_is_written_down_to_its_end(
    port: FasterWhisper, speech_in: Callable[[Path], tuple[Span, ...]]
) -> None:
    """Over a minute, in several windows: progress ascends to the end, and the last words are there, in their place."""
    audio, lines = dialogue_16k("en")
    ticks: list[float] = []
    heard = port.transcribe(audio, speech=speech_in(audio), language=None, tick=ticks.append)
    assert heard.language is not None
    assert heard.language.code == "en"
    assert ticks == sorted(ticks)
    assert ticks[-1] == pytest.approx(soundfile.info(audio).duration, abs=0.01)
    said, written = " ".join(line.text for line in lines).split(), "".join(word.text for word in heard.words).split()
    assert len(written) == pytest.approx(len(said), rel=0.05)
    assert plain(written[-1]) == plain(max(lines, key=lambda line: line.end_s).text.split()[-1])
    assert heard.words[-1].end_s == pytest.approx(max(line.end_s for line in lines), abs=0.5)


def test_twice_the_same(port: FasterWhisper, speech_in: Callable[[Path], tuple[Span, ...]]) -> None:
    """A retried stage writes what the first try would have written, to the millisecond."""
    audio = spoken(QUESTION)
    first, second = (port.transcribe(audio, speech=speech_in(audio), language="en", tick=no_tick) for _ in range(2))
    assert first == second


def test_it_stops_when_told(port: FasterWhisper) -> None:
    """What the tick raises ends the work."""

    def cancelled(done_s: float) -> None:
        raise Cancelled("The job was cancelled")

    with pytest.raises(Cancelled):
        port.transcribe(spoken(QUESTION), speech=(Span(0.4, 3.0),), language="en", tick=cancelled)


def test_a_language_that_the_model_lacks(port: FasterWhisper) -> None:
    """Refused by name, with what to do."""
    with pytest.raises(ProviderRejected, match="'tlh'"):
        port.transcribe(spoken(QUESTION), speech=(Span(0.4, 3.0),), language="tlh", tick=no_tick)


def test_provenance_tells_what_made_the_words() -> None:
    """The model, and each setting that changes its output, without loading it."""
    fast, thorough = (FasterWhisper(Settings(whisper_beam_size=size)).provenance for size in (1, 8))
    assert (fast.provider, fast.model) == ("faster-whisper", "whisper-base")
    assert fast != thorough


def test_a_model_is_taken_by_its_folder(speech_in: Callable[[Path], tuple[Span, ...]]) -> None:
    """Any size by path: the same weights give the same words, and provenance tells folders apart by their weights."""
    folder = whisper_base(Settings())
    named = FasterWhisper(Settings(whisper_model=str(folder)))
    audio = spoken(QUESTION)
    heard = named.transcribe(audio, speech=speech_in(audio), language="en", tick=no_tick)
    assert plain("".join(word.text for word in heard.words)) == plain(QUESTION)
    assert named.provenance.model == folder.name
    assert named.provenance.parameters["weights"] not in ("hub", "")


def test_a_hint_of_names_changes_nothing_that_is_said(
    port: FasterWhisper, speech_in: Callable[[Path], tuple[Span, ...]]
) -> None:
    """Many terms, more than the network has room for: the words stay those of the sentence."""
    audio = spoken(QUESTION)
    terms = [f"{first}{last}" for first in ("Kata", "Przy", "Naka", "Elli") for last in ("rzyna", "bylski", "mura")] * 9
    heard = port.transcribe(audio, speech=speech_in(audio), language="en", tick=no_tick, terms=terms)
    assert plain("".join(word.text for word in heard.words)) == plain(QUESTION)
