"""Answers without word times: gpt-4o-transcribe gives text alone, its diarizing variant times of whole segments.

Nobody can say who said a word without its time. So recordings go to these models in short pieces cut in pauses, and the
words of a piece are spread over its speech by their length. That puts a word within a second of where it was said, and
the result's provenance says that it was done.
"""

from collections.abc import Iterator
from typing import Any

from shared.adapters.openai_reply import UNKNOWN
from shared.adapters.whisper.words import TimedWord

PIECE_S = 10.0  # a sentence or two: words cannot be placed further off than a piece is long
DIARIZING_PIECE_S = 300.0  # whose answers have times of their own
DIARIZES = "transcribe-diarize"
UNTIMED = "gpt-4o"  # how the names of these models begin
WORD_TIMES = "spread over stretches of speech"
_UNSPACED_FROM = "\u2e80"  # from here on scripts put no spaces between words


def is_untimed(model: str) -> bool:
    return model.startswith(UNTIMED)


def piece_s(model: str) -> float:
    return DIARIZING_PIECE_S if DIARIZES in model else PIECE_S


def request(model: str, hint: str) -> dict[str, Any]:
    """What is sent beside the sound. The diarizing variant takes no prompt, and wants to cut long sound itself."""
    if DIARIZES in model:
        return {"response_format": "diarized_json", "chunking_strategy": "auto"}
    return {"response_format": "json", **({"prompt": hint} if hint else {})}


def spread_words(reply: Any, duration_s: float) -> tuple[TimedWord, ...]:
    """The reply's words over its segments, else over the whole piece. Who spoke is left to our own diarization."""
    segments = getattr(reply, "segments", None)
    if segments:
        found = (word for s in segments for word in _spread(s.text, s.start, min(max(s.start, s.end), duration_s)))
        return tuple(found)
    return tuple(_spread(reply.text, 0.0, duration_s))


def _spread(text: str, start_s: float, end_s: float) -> Iterator[TimedWord]:
    pieces = list(_words(text))
    letters = sum(len(piece.strip()) for piece in pieces) or 1
    passed = 0
    for piece in pieces:
        begin = passed
        passed += len(piece.strip())
        at = [start_s + (end_s - start_s) * share / letters for share in (begin, passed)]
        yield TimedWord(piece, at[0], at[1], UNKNOWN)


def _words(text: str) -> Iterator[str]:
    """As `Word.text` has them: a leading space where the script has one; character by character where it has none."""
    for spaced in text.split():
        held = " "
        for character in spaced:
            wide = character >= _UNSPACED_FROM
            if wide and character.isalnum() and held.strip():
                yield held
                held = ""
            held = held.lstrip() + character if wide and not held.strip() else held + character
        if held.strip():
            yield held
