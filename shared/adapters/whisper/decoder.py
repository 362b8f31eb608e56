"""Several windows through the network at once: encode each at its own length, decode them together, align the words.

Decoding reads all the weights for every token, so several windows together cost less than one after the other.
Timestamps stay on: with a short encoding and without them the network begins again at the end of what it heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.adapters.whisper.words import TimedWord, timed_words
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

SILENCE_S = 1.0  # after the speech: with 0.3 s the network sometimes starts over, 30 s cost three times as much
TRAINED_S = 30.0  # the length Whisper was trained with; never more
FRAMES_PER_S = 100
TOKENS_PER_S = 14  # fast Japanese needs 10; bounds the time lost in a loop
POSITIONS = 448  # of the network, for prompt and text
MAX_TOKENS = 440  # less the prompt; with a hint the positions are the limit
HINT_TOKENS = 100  # some 30 names; more leaves too few positions for 24 s of fast speech
TIMESTAMP_STEP_S = 0.02
LATEST_START = 50  # timestamp steps: text begins in the first second of a window
CLOSING_S = 0.3  # a timestamp this close to the last speech ends the window: what follows is said twice


@dataclass(frozen=True, slots=True)
class Clip:
    """The sound of one window."""

    samples: Samples
    speech_end_s: float  # inside the clip

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was heard in one clip; times are inside it."""

    words: tuple[TimedWord, ...]
    tokens: tuple[int, ...]
    text: str
    surplus_words: int  # said again after the end of the clip
    heard_until_s: float
    avg_logprob: float
    no_speech: float  # 0..1: the network's own doubt that anybody speaks


@dataclass(frozen=True, slots=True)
class _Reading:
    """A token sequence, taken apart."""

    tokens: tuple[int, ...]
    surplus: tuple[int, ...]
    closed_s: float  # the last timestamp
    open_end: bool  # text follows it


class Decoder:
    """One loaded model in one language. Deterministic: beam search, no sampling."""

    def __init__(self, model: Any, language: str, beam_size: int, terms: Sequence[str] = ()) -> None:
        from faster_whisper.tokenizer import Tokenizer

        self._model = model
        self._beam_size = beam_size
        self._tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
        )
        self._prompt = [*self._hint(terms), *self._tokenizer.sot_sequence]

    def _hint(self, terms: Sequence[str]) -> list[int]:
        """The terms as if they had been said just before: the network then spells them alike."""
        if not terms:
            return []
        hint = self._tokenizer.encode(" " + ", ".join(terms) + ".")
        return [self._tokenizer.sot_prev, *hint[:HINT_TOKENS]]

    def decode(self, clips: Sequence[Clip], context_s: float | None = None) -> list[Decoded]:
        """`context_s`: encode that much instead of the longest clip and SILENCE_S."""
        longest_s = max(clip.duration_s for clip in clips)
        encoded = encode(self._model, [clip.samples for clip in clips], context_s or longest_s + SILENCE_S)
        results = self._model.model.generate(
            encoded,
            [self._prompt] * len(clips),
            beam_size=self._beam_size,
            max_length=min(POSITIONS, len(self._prompt) + min(MAX_TOKENS, int(longest_s * TOKENS_PER_S) + 20)),
            max_initial_timestamp_index=LATEST_START,
            return_scores=True,
            return_no_speech_prob=True,
        )
        readings = [self._read(result.sequences_ids[0], clip) for result, clip in zip(results, clips, strict=True)]
        words = self._align(encoded, clips, readings)
        return [self._decoded(*parts) for parts in zip(results, readings, words, strict=True)]

    def _read(self, sequence: Sequence[int], clip: Clip) -> _Reading:
        first_timestamp, end_of_text = self._tokenizer.timestamp_begin, self._tokenizer.eot
        tokens: list[int] = []
        closed_s, said = 0.0, 0
        for position, token in enumerate(sequence):
            if token < end_of_text:
                tokens.append(token)
            elif token >= first_timestamp:
                closed_s, said = (token - first_timestamp) * TIMESTAMP_STEP_S, len(tokens)
                if tokens and closed_s >= clip.speech_end_s - CLOSING_S:
                    surplus = tuple(token for token in sequence[position:] if token < end_of_text)
                    return _Reading(tuple(tokens), surplus, closed_s, open_end=False)
        return _Reading(tuple(tokens), (), closed_s, open_end=len(tokens) > said)

    def _align(self, encoded: Any, clips: Sequence[Clip], readings: Sequence[_Reading]) -> list[tuple[TimedWord, ...]]:
        spoken = [index for index, reading in enumerate(readings) if reading.tokens]
        words: list[tuple[TimedWord, ...]] = [()] * len(clips)
        if not spoken:
            return words
        alignments = self._model.model.align(
            _pick(encoded, spoken) if len(spoken) < len(clips) else encoded,
            self._tokenizer.sot_sequence,
            [list(readings[index].tokens) for index in spoken],
            [int(clips[index].duration_s * FRAMES_PER_S) for index in spoken],
        )
        for index, alignment in zip(spoken, alignments, strict=True):
            words[index] = timed_words(self._tokenizer, readings[index].tokens, alignment)
        return words

    def _decoded(self, result: Any, reading: _Reading, words: tuple[TimedWord, ...]) -> Decoded:
        length = len(result.sequences_ids[0])
        return Decoded(
            words=words,
            tokens=reading.tokens,
            text=self._tokenizer.decode(list(reading.tokens)),
            surplus_words=len(self._tokenizer.split_to_word_tokens(list(reading.surplus))[0]),
            heard_until_s=max(reading.closed_s, words[-1].end_s) if reading.open_end and words else reading.closed_s,
            avg_logprob=result.scores[0] * length / (length + 1),  # the score leaves out the end token
            no_speech=result.no_speech_prob,
        )


def encode(model: Any, clips: Sequence[Samples], context_s: float) -> Any:
    """Each clip with silence up to `context_s`. One after the other: together they fall out of the cache."""
    import ctranslate2

    frames = int(np.ceil(min(context_s, TRAINED_S) * FRAMES_PER_S / 2)) * 2
    encoded = [
        np.array(model.model.encode(ctranslate2.StorageView.from_array(_features(model, clip, frames))))
        for clip in clips
    ]
    return ctranslate2.StorageView.from_array(np.concatenate(encoded))


def _features(model: Any, clip: Samples, frames: int) -> np.ndarray:
    hop = SAMPLE_RATE_HZ // FRAMES_PER_S
    padded = np.pad(clip, (0, max(0, frames * hop - len(clip))))
    return np.ascontiguousarray(model.feature_extractor(padded)[None, :, :frames], dtype=np.float32)


def _pick(encoded: Any, rows: Sequence[int]) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.array(encoded)[list(rows)])
