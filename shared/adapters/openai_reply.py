"""A verbose transcription reply in our terms: words that carry their punctuation, and a language code."""

import math
from collections.abc import Sequence
from typing import Any

from shared.adapters.whisper.words import TimedWord
from shared.domain.audio import LanguageGuess

UNKNOWN = 0.0  # a probability that the reply does not give
# The reply names the language in English. These are the languages that the provider supports, in ISO 639-1.
_NAMED = """
afrikaans:af arabic:ar armenian:hy azerbaijani:az belarusian:be bosnian:bs bulgarian:bg catalan:ca chinese:zh
croatian:hr czech:cs danish:da dutch:nl english:en estonian:et finnish:fi french:fr galician:gl german:de greek:el
hebrew:he hindi:hi hungarian:hu icelandic:is indonesian:id italian:it japanese:ja kannada:kn kazakh:kk korean:ko
latvian:lv lithuanian:lt macedonian:mk malay:ms marathi:mr maori:mi nepali:ne norwegian:no persian:fa polish:pl
portuguese:pt romanian:ro russian:ru serbian:sr slovak:sk slovenian:sl spanish:es swahili:sw swedish:sv tagalog:tl
tamil:ta thai:th turkish:tr ukrainian:uk urdu:ur vietnamese:vi welsh:cy
"""
CODES = dict(pair.split(":") for pair in _NAMED.split())


def language_of(reply: Any) -> LanguageGuess | None:
    """Without a confidence of its own; None for a name that we do not know."""
    name = str(getattr(reply, "language", "")).lower()
    code = CODES.get(name, name if name in CODES.values() else None)
    return LanguageGuess(code, 1.0) if code else None


def words_of(reply: Any) -> tuple[TimedWord, ...]:
    """The reply's words lack spaces and punctuation: both come from its text, in which the words are found again."""
    words = reply.words or []
    texts = _spelled(reply.text, [word.word.strip() for word in words])
    return tuple(
        TimedWord(text, word.start, max(word.start, word.end), _probability(reply, word.start))
        for text, word in zip(texts, words, strict=True)
        if text.strip()
    )


def _spelled(text: str, words: Sequence[str]) -> list[str]:
    """Each word with what stands around it in `text`, up to the next space; a word that is not there stands alone."""
    begins, at = [], 0
    for word in words:
        found = text.find(word, at)
        begins.append(found)
        at = found + len(word) if found >= 0 else at
    return [_piece(text, begins, index, word) for index, word in enumerate(words)]


def _piece(text: str, begins: Sequence[int], index: int, word: str) -> str:
    begin = begins[index]
    if begin < 0:
        return f" {word}"
    following = next((other for other in begins[index + 1 :] if other >= 0), len(text))
    tail = text[begin + len(word) : following]
    own = tail.split(" ")[0] if " " in tail else tail
    space = " " if begin and text[begin - 1] == " " else ""
    return space + word + own


def _probability(reply: Any, start_s: float) -> float:
    """That of the segment which holds the word."""
    for segment in reply.segments or []:
        if segment.start <= start_s < segment.end:
            return min(1.0, math.exp(segment.avg_logprob))
    return UNKNOWN
