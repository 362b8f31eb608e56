"""From tokens and their alignment to words with times, and from times in a window to times in speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters.whisper.windows import overlap_s
from shared.domain.audio import Span
from shared.domain.transcript import Word

FRAME_S = 0.02  # one step of the decoder's attention over the sound
OPENING = frozenset("\"'“¿([{-「『（")  # belong to the word after them
CLOSING = frozenset("\"'.。,，!！?？:：;；”)]}、」』）…%")  # belong to the word before them
REACH_S = 0.25  # a word this close to speech is spoken: voice activity misses soft ends


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word inside a window."""

    text: str
    start_s: float
    end_s: float
    probability: float


def timed_words(tokenizer: Any, tokens: Sequence[int], alignment: Any) -> tuple[TimedWord, ...]:
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    begins = _first_frames(alignment.alignments)
    probabilities = alignment.text_token_probs
    words: list[TimedWord] = []
    at = 0
    for text, group in zip(texts[:-1], groups[:-1], strict=True):  # the last group is the end of the text
        until = at + len(group)
        probability = sum(probabilities[at:until]) / len(group)
        words.append(TimedWord(text, begins[at] * FRAME_S, begins[until] * FRAME_S, probability))
        at = until
    return _with_punctuation(words)


def _first_frames(path: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The frame in which the alignment reaches each token: it enters every one of them, in order."""
    first: dict[int, int] = {}
    for token, frame in path:
        first.setdefault(token, frame)
    return first


def _with_punctuation(words: Sequence[TimedWord]) -> tuple[TimedWord, ...]:
    """Marks join the word that they belong to; its times and probability stay those of the word."""
    joined: list[TimedWord] = []
    opening = ""
    for word in words:
        mark = word.text.strip()
        if mark in CLOSING and joined and not word.text.startswith(" "):
            last = joined[-1]
            joined[-1] = TimedWord(last.text + word.text, last.start_s, last.end_s, last.probability)
        elif mark in OPENING:
            opening += word.text
        elif mark and mark not in CLOSING:
            joined.append(TimedWord(opening + word.text, word.start_s, word.end_s, word.probability))
            opening = ""
    return tuple(joined)


def in_speech(span: Span, speech: Sequence[Span]) -> Span | None:
    """The word's part in the stretch of speech that holds most of it; None when nobody speaks there.

    An alignment starts a word where the one before it ended, so that a word after a pause seems to begin in the pause.
    """
    best = max(speech, key=lambda stretch: overlap_s(span, stretch), default=None)
    if best is not None and overlap_s(span, best) > 0:
        return Span(max(span.start_s, best.start_s), min(span.end_s, best.end_s))
    near = any(span.start_s < stretch.end_s + REACH_S and span.end_s > stretch.start_s - REACH_S for stretch in speech)
    return span if near else None


def ascending(words: Sequence[Word], duration_s: float) -> tuple[Word, ...]:
    """Inside the recording, none beginning before the one in front of it, none ending before it begins."""
    placed: list[Word] = []
    latest_s = 0.0
    for word in words:
        start_s = min(max(word.start_s, latest_s), duration_s)
        end_s = min(max(word.end_s, start_s), duration_s)
        placed.append(Word(round(start_s, 3), round(end_s, 3), word.text, round(word.probability, 4)))
        latest_s = start_s
    return tuple(placed)
