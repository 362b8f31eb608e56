"""Speech to text on this machine: Whisper through faster-whisper's loader and CTranslate2, on processor cores.

Voice activity is the caller's: only speech is decoded, and a word outside of it is not believed. See
`shared.adapters.whisper` for how the windows are chosen, decoded and judged.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shared.adapters.recordings import Recording, opened_recording
from shared.adapters.weights.whisper_base import SHA256, whisper_base
from shared.adapters.whisper.decoder import SILENCE_S, TRAINED_S, Clip, Decoded, Decoder, encode
from shared.adapters.whisper.guards import believed, better, doubtful
from shared.adapters.whisper.windows import Window, plan_windows
from shared.adapters.whisper.words import ascending, in_speech
from shared.domain.audio import SAMPLE_RATE_HZ, LanguageGuess, Span
from shared.domain.errors import ProviderRejected, SetupError
from shared.domain.transcript import Provenance, Word
from shared.ports.speech import Recognised
from shared.ports.tick import Tick
from shared.settings import Settings

BATCH = 2  # windows decoded together: each token reads all the weights; each more costs some 55 MB a process
UNHEARD_S = 0.6  # speech after the end of a reading that is worth another one
EXCERPTS = 3  # of speech, on which the language is judged
EXCERPT_S = 8.0  # five seconds were enough in 31 of 31 recordings
COMPUTE_TYPE = "int8"  # two thirds of the time of float32, a third of the memory, the same word error rate
# A hint of names that are not said costs nothing in English (37 errors without, 36 with), but 1 to 4 points of
# characters in these; there a glossary only corrects.
UNHINTED = frozenset({"ja", "zh", "yue"})
RECIPE = 2  # raise it with every change of what is decoded: results in the cache are then made anew


class FasterWhisper:
    """Port `Transcriber`. The model is loaded on first use and stays in the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def provenance(self) -> Provenance:
        name = self._settings.whisper_model
        folder = Path(name)
        return Provenance(
            provider="faster-whisper",
            model=f"whisper-{name}" if name == "base" else folder.name if folder.is_dir() else name,
            version=f"{version('faster-whisper')}, ctranslate2 {version('ctranslate2')}",
            parameters={
                "weights": SHA256[:16] if name == "base" else _fingerprint(folder) if folder.is_dir() else "hub",
                "beam_size": self._settings.whisper_beam_size,
                "compute_type": COMPUTE_TYPE,
                "recipe": RECIPE,
            },
        )

    def detect_language(self, audio: Path, speech: Sequence[Span]) -> LanguageGuess | None:
        """Asked once a recording, so the model is let go after it: kept, it takes 200 MB from those who transcribe."""
        if not speech:
            return None
        try:
            with opened_recording(audio) as samples:
                return self._detect(samples, speech)
        finally:
            self.__dict__.pop("_model", None)

    def transcribe(
        self, audio: Path, *, speech: Sequence[Span], language: str | None, tick: Tick, terms: Sequence[str] = ()
    ) -> Recognised:
        known = LanguageGuess(language, 1.0) if language else None
        if not speech:
            return Recognised((), known, 0)
        with opened_recording(audio) as samples:
            guess = known or self._detect(samples, speech)
            hint = () if guess.code in UNHINTED else terms
            decoder = Decoder(self._model, self._supported(guess.code), self._settings.whisper_beam_size, hint)
            words, dropped = _Reading(decoder, samples, speech).words(tick)
        return Recognised(words, guess, dropped)

    def _detect(self, samples: Recording, speech: Sequence[Span]) -> LanguageGuess:
        if not self._model.model.is_multilingual:
            return LanguageGuess("en", 1.0)
        windows = plan_windows(samples, speech, EXCERPT_S)
        longest = sorted(windows, key=lambda window: -window.speech_s(speech))[:EXCERPTS]
        summed: defaultdict[str, float] = defaultdict(float)
        for window in longest:
            encoded = encode(self._model, [window.samples(samples)], window.duration_s + SILENCE_S)
            for token, probability in self._model.model.detect_language(encoded)[0]:
                summed[token.strip("<|>")] += probability / len(longest)
        code = max(summed, key=lambda candidate: summed[candidate])
        return LanguageGuess(code, round(min(1.0, summed[code]), 4))

    def _supported(self, language: str) -> str:
        if language not in self._model.supported_languages:
            raise ProviderRejected(
                f"The Whisper model {self.provenance.model} does not know the language {language!r}; "
                "leave it out to have it detected, or set VIBEINSIGHT_WHISPER_MODEL to a model that does"
            )
        return language

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        name = self._settings.whisper_model
        source = whisper_base(self._settings) if name == "base" else name
        try:
            return WhisperModel(
                str(source), device="cpu", compute_type=COMPUTE_TYPE, cpu_threads=self._settings.engine_threads
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise SetupError(
                f"The Whisper model {self.provenance.model!r} could not be loaded ({type(error).__name__}): set "
                "VIBEINSIGHT_WHISPER_MODEL to `base`, a CTranslate2 folder, or the name of a model on the hub"
            ) from error


class _Reading:
    """One recording on its way to words."""

    def __init__(self, decoder: Decoder, samples: Recording, speech: Sequence[Span]) -> None:
        self._decoder = decoder
        self._samples = samples
        self._speech = speech

    def words(self, tick: Tick) -> tuple[tuple[Word, ...], int]:
        heard = sorted(self._windows(tick), key=lambda pair: pair[0].start_s)
        dropped, words = 0, list[Word]()
        for window, decoded in heard:
            kept, refused = self._placed(window, decoded)
            words += kept
            dropped += refused
        return ascending(words, len(self._samples) / SAMPLE_RATE_HZ), dropped

    def _windows(self, tick: Tick) -> Iterator[tuple[Window, Decoded]]:
        """Until all speech is heard: a reading that ends early leaves a window for the next round."""
        pending = plan_windows(self._samples, self._speech)
        whole_s, done_s = sum(window.duration_s for window in pending), 0.0
        while pending:
            left: list[Window] = []
            for batch in _batches(pending):
                for window, decoded in zip(batch, self._decode(batch), strict=True):
                    rest = self._unheard(window, decoded)
                    done_s += window.duration_s - (rest.duration_s if rest else 0.0)
                    left += [rest] if rest else []
                    yield window, decoded
                tick(done_s / whole_s * len(self._samples) / SAMPLE_RATE_HZ)
            pending = left

    def _decode(self, batch: Sequence[Window]) -> list[Decoded]:
        clips = [Clip(window.samples(self._samples), window.speech_end_s(self._speech)) for window in batch]
        readings = self._decoder.decode(clips)
        return [
            self._judged(clip, reading, window.speech_s(self._speech))
            for clip, reading, window in zip(clips, readings, batch, strict=True)
        ]

    def _judged(self, clip: Clip, reading: Decoded, speech_s: float) -> Decoded:
        if not doubtful(reading, speech_s):
            return reading
        return better(reading, self._decoder.decode([clip], context_s=TRAINED_S)[0], speech_s)

    def _unheard(self, window: Window, decoded: Decoded) -> Window | None:
        """Always shorter than `window`, so that the rounds end."""
        if not decoded.tokens or decoded.heard_until_s < UNHEARD_S:
            return None
        rest = window.after(decoded.heard_until_s)
        return rest if rest and rest.speech_s(self._speech) >= UNHEARD_S else None

    def _placed(self, window: Window, decoded: Decoded) -> tuple[list[Word], int]:
        words, dropped = believed(decoded)
        placed = []
        for word in words:
            spoken = in_speech(window.span(word.start_s, word.end_s), self._speech)
            if spoken is None:
                dropped += 1
            else:
                placed.append(Word(spoken.start_s, spoken.end_s, word.text, word.probability))
        return placed, dropped


def _batches(windows: list[Window]) -> Iterator[list[Window]]:
    """Of similar length: a batch is encoded at the length of its longest."""
    ordered = sorted(windows, key=lambda window: window.duration_s)
    for first in range(0, len(ordered), BATCH):
        yield ordered[first : first + BATCH]


def _fingerprint(folder: Path) -> str:
    """Tells one folder's weights from another's without reading all of them."""
    weights = folder / "model.bin"
    if not weights.is_file():
        raise SetupError(f"{folder.name} holds no model.bin: VIBEINSIGHT_WHISPER_MODEL names no CTranslate2 folder")
    with weights.open("rb") as file:
        file.seek(-min(weights.stat().st_size, 1024**2), 2)
        return hashlib.sha256(file.read()).hexdigest()[:16]
