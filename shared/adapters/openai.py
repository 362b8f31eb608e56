"""Speech to text by OpenAI, or any server that speaks its transcription call with word times.

Only speech is sent, as FLAC, in pieces cut in pauses: the server's 25 MB are never reached, silence is not paid for
and nothing can be invented in it. `gpt-4o-transcribe` and its kind give no word times: openai_untimed.py says what is
done about that.
"""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2
import soundfile
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from shared.adapters import openai_untimed as untimed
from shared.adapters.openai_reply import language_of, words_of
from shared.adapters.recordings import read_recording
from shared.adapters.whisper.windows import Window, plan_windows
from shared.adapters.whisper.words import TimedWord, ascending, in_speech
from shared.domain.audio import SAMPLE_RATE_HZ, LanguageGuess, Span
from shared.domain.errors import ProviderError, ProviderPaused, ProviderRejected, ProviderUnavailable, SetupError
from shared.domain.transcript import Provenance, Word
from shared.ports.provider import Gate, OpenGate, Units
from shared.ports.speech import Recognised, Samples
from shared.ports.tick import Tick
from shared.settings import Settings

PIECE_S = 300.0  # 9.6 MB before FLAC halves them; the server writes down a minute in about three seconds
NO_CREDIT = "insufficient_quota"  # a 429 that waiting does not mend
OPENAI, COMPATIBLE = "openai", "openai-compatible"  # as limits and prices know them; the other is one's own server
MOST_HINT = 600  # characters: the provider reads the last 224 tokens of a prompt
RECIPE = 1  # raise it with every change of what is sent or read


@dataclass(frozen=True, slots=True)
class Patience:
    """Retries within one call. Longer trouble is the ledger's: it tries the stage again in minutes."""

    timeout_s: float = 100.0  # two tries fit into the stage's 240 s
    attempts: int = 3
    first_wait_s: float = 1.0  # doubled each time
    longest_wait_s: float = 20.0  # asked to wait longer, we give the worker free
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class _Asked:
    """What each piece of a recording is sent with."""

    language: str | None
    hint: str  # names and terms; empty: none


class OpenAITranscriber:
    """Port `Transcriber`."""

    def __init__(self, settings: Settings, gate: Gate | None = None, patience: Patience | None = None) -> None:
        self._settings = settings
        self._gate = gate or OpenGate()
        self._patience = patience or Patience()
        self._model = settings.openai_transcribe_model
        self._untimed = untimed.is_untimed(self._model)
        self._provider = OPENAI if settings.openai_base_url is None else COMPATIBLE

    @cached_property
    def provenance(self) -> Provenance:
        return Provenance(
            provider="openai",
            model=self._settings.openai_transcribe_model,
            version=version("openai"),
            parameters={"word_times": untimed.WORD_TIMES, "recipe": RECIPE}
            if self._untimed
            else {"response_format": "verbose_json", "temperature": 0, "recipe": RECIPE},
        )

    def detect_language(self, audio: Path, speech: Sequence[Span]) -> LanguageGuess | None:
        """The provider finds out by itself, with each transcription."""
        return None

    def transcribe(
        self, audio: Path, *, speech: Sequence[Span], language: str | None, tick: Tick, terms: Sequence[str] = ()
    ) -> Recognised:
        known = LanguageGuess(language, 1.0) if language else None
        if not speech:
            return Recognised((), known, 0)
        samples = read_recording(audio)
        asked = _Asked(language, ", ".join(terms)[:MOST_HINT])
        words, dropped, guess = list[Word](), 0, known
        for window in plan_windows(samples, speech, untimed.piece_s(self._model) if self._untimed else PIECE_S):
            reply = self._ask(window.samples(samples), asked)
            said = untimed.spread_words(reply, window.duration_s) if self._untimed else words_of(reply)
            kept, refused = _placed(window, said, speech)
            words += kept
            dropped += refused
            guess = guess or language_of(reply)
            tick(window.pieces[-1].end_s)
        return Recognised(ascending(words, len(samples) / SAMPLE_RATE_HZ), guess, dropped)

    def _ask(self, piece: Samples, asked: _Asked) -> Any:
        sound = _flac(piece)
        expected = Units(audio_s=len(piece) / SAMPLE_RATE_HZ)
        retrying = Retrying(
            retry=retry_if_exception(self._worth_waiting),
            stop=stop_after_attempt(self._patience.attempts),
            wait=self._wait_s,
            sleep=self._patience.sleep,
            reraise=True,
        )
        return retrying(self._ask_through_gate, sound, asked, expected)

    def _ask_through_gate(self, sound: bytes, asked: _Asked, expected: Units) -> Any:
        """Each try is a request to the provider, so each goes through the gate."""
        _ = self._client  # what is not set up is said before anything is reserved
        with self._gate.call(self._provider, self._settings.openai_transcribe_model, expected):
            return self._ask_once(sound, asked)

    def _ask_once(self, sound: bytes, asked: _Asked) -> Any:
        import openai

        try:
            reply = self._client.audio.transcriptions.create(
                file=("speech.flac", sound, "audio/flac"),
                model=self._model,
                language=asked.language or openai.omit,
                **(untimed.request(self._model, asked.hint) if self._untimed else _timed_request(asked.hint)),
            )
        except openai.APIStatusError as error:
            raise _refusal(error) from None  # its text may repeat parts of the key
        except (openai.APIError, httpx2.HTTPError, json.JSONDecodeError) as error:
            fault = type(error).__name__
            message = f"OpenAI's answer did not arrive whole ({fault}); try again later"
            raise ProviderUnavailable(message, sent=not _never_sent(error)) from None
        if not isinstance(getattr(reply, "text", None), str):
            raise ProviderUnavailable("OpenAI's answer holds no text; try again later")
        if not self._untimed and getattr(reply, "words", None) is None and reply.text.strip():
            raise ProviderRejected("OpenAI's answer holds no word times; use the model whisper-1")
        return reply

    def _wait_s(self, state: RetryCallState) -> float:
        """What the server asked for, else twice as long each time."""
        asked_s = _asked_s(state.outcome.exception() if state.outcome else None)
        return asked_s if asked_s is not None else self._patience.first_wait_s * 2.0 ** (state.attempt_number - 1)

    def _worth_waiting(self, error: BaseException) -> bool:
        if isinstance(error, ProviderPaused):  # the gate has waited already
            return False
        return isinstance(error, ProviderUnavailable) and (_asked_s(error) or 0.0) <= self._patience.longest_wait_s

    @cached_property
    def _client(self) -> Any:
        import openai

        key = self._settings.openai_api_key
        if not key:  # an empty one is none: that is how a compose file passes what was not set
            raise SetupError("No key for OpenAI: set OPENAI_API_KEY, or VIBEINSIGHT_TRANSCRIBER to faster-whisper")
        return openai.OpenAI(
            api_key=key.get_secret_value(),
            base_url=self._settings.openai_base_url,
            max_retries=0,
            timeout=self._patience.timeout_s,
        )


def _refusal(error: Any) -> ProviderError:
    status = int(error.status_code)
    if status in (401, 403):
        return ProviderRejected(f"OpenAI refused the key (HTTP {status}): check OPENAI_API_KEY")
    if error.code == NO_CREDIT:
        message = "OpenAI says that the account has no credit left: check its plan and billing"
        return ProviderRejected(message, no_credit=True)
    if status not in (408, 409, 429) and status < 500:
        return ProviderRejected(f"OpenAI refused the recording (HTTP {status}, code {error.code})")
    return ProviderUnavailable(
        f"OpenAI is not available (HTTP {status}); try again later",
        retry_after_s=_seconds(error.response.headers.get("retry-after")),
        answered=True,
    )


def _never_sent(error: BaseException) -> bool:
    """No connection came about: nothing can be on the bill."""
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def _asked_s(error: BaseException | None) -> float | None:
    asked_s = error.details.get("retry_after_s") if isinstance(error, ProviderUnavailable) else None
    return asked_s if isinstance(asked_s, float) else None


def _seconds(header: str | None) -> float | None:
    """A Retry-After in seconds; the rarer form with a date is left to our own waiting."""
    return float(header) if header and header.isdecimal() else None


def _timed_request(hint: str) -> dict[str, Any]:
    times = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"], "temperature": 0}
    return {**times, **({"prompt": hint} if hint else {})}


def _placed(window: Window, said: Sequence[TimedWord], speech: Sequence[Span]) -> tuple[list[Word], int]:
    placed = []
    for word in said:
        spoken = in_speech(window.span(word.start_s, word.end_s), speech)
        if spoken is not None:
            placed.append(Word(spoken.start_s, spoken.end_s, word.text, word.probability))
    return placed, len(said) - len(placed)


def _flac(samples: Samples) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return target.getvalue()
