"""What is not believed: text that loops, and text that the network itself finds unlikely.

A doubtful window is decoded again with the 30 s of context that the network was trained on, and the better reading
stays. Only what is doubtful even then is dropped.
"""

import zlib
from collections.abc import Sequence

from shared.adapters.whisper.decoder import Decoded
from shared.adapters.whisper.words import TimedWord

LOOPING_RATIO = 2.4  # text this many times longer than its compressed form repeats itself (Whisper's own limit)
UNLIKELY_LOGPROB = -1.0  # below it a second reading is worth its time (Whisper's own limit)
INVENTED_LOGPROB = -1.3  # real speech was seen down to -1.1, text made of noise or silence from -1.6
NO_SPEECH = 0.6  # beside an unlikely text: nobody spoke (Whisper's own limit)
REPEATED_TOKENS = 5  # said again at once: a shorter echo ("no, no") is speech
REPEATED_LONG = 6  # as much of a long phrase is enough
STRETCHED_S = 1.0  # hardly a word lasts so long …
IMPROBABLE = 0.2  # … and none that was spoken is as unsure with it: a sound taken for "you"
INSTANT_S = 0.02  # one step of the alignment: a text of such words was laid over no sound at all
SAID_TIMES = 3  # and more of the same in a looping text is kept once


def doubtful(decoded: Decoded, speech_s: float) -> bool:
    """Whether a second reading is worth its time. A second and more of speech is not empty."""
    empty = not decoded.tokens and speech_s >= 1.0
    return empty or decoded.avg_logprob < UNLIKELY_LOGPROB or _repeats(decoded.tokens) or _loops(decoded.text)


def better(first: Decoded, second: Decoded, speech_s: float) -> Decoded:
    return min(first, second, key=lambda reading: (doubtful(reading, speech_s), -reading.avg_logprob))


def believed(decoded: Decoded) -> tuple[tuple[TimedWord, ...], int]:
    """The words to keep, and how many were dropped."""
    if _invented(decoded):
        return (), len(decoded.words) + decoded.surplus_words
    words = _said_once(decoded.words) if _loops(decoded.text) else decoded.words
    words = tuple(word for word in words if not _stretched(word))
    return words, len(decoded.words) - len(words) + decoded.surplus_words


def _invented(decoded: Decoded) -> bool:
    unlikely = decoded.avg_logprob < UNLIKELY_LOGPROB and decoded.no_speech > NO_SPEECH
    instants = sum(word.end_s - word.start_s <= INSTANT_S for word in decoded.words)
    return unlikely or decoded.avg_logprob < INVENTED_LOGPROB or instants > len(decoded.words) / 2


def _stretched(word: TimedWord) -> bool:
    return word.end_s - word.start_s > STRETCHED_S and word.probability < IMPROBABLE


def _loops(text: str) -> bool:
    content = text.encode()
    return len(content) > LOOPING_RATIO * len(zlib.compress(content))


def _repeats(tokens: Sequence[int]) -> bool:
    """Whether a phrase is followed at once by (most of) itself."""
    for period in range(1, len(tokens)):
        same = 0
        needed = max(REPEATED_TOKENS, min(period, REPEATED_LONG))
        for before, after in zip(tokens, tokens[period:], strict=False):
            same = same + 1 if before == after else 0
            if same >= needed:
                return True
    return False


def _said_once(words: Sequence[TimedWord]) -> tuple[TimedWord, ...]:
    """Phrases said SAID_TIMES and more in a row are kept once."""
    kept: list[TimedWord] = []
    at = 0
    while at < len(words):
        period, times = _run(words, at)
        kept += words[at : at + period]
        at += period * times
    return tuple(kept)


def _run(words: Sequence[TimedWord], at: int) -> tuple[int, int]:
    """(words in the phrase at `at`, how often it is said): the shortest phrase that is repeated, else one word."""
    for period in range(1, (len(words) - at) // SAID_TIMES + 1):
        phrase, times = _texts(words, at, period), 1
        while _texts(words, at + times * period, period) == phrase:
            times += 1
        if times >= SAID_TIMES:
            return period, times
    return 1, 1


def _texts(words: Sequence[TimedWord], at: int, count: int) -> list[str]:
    return [word.text.strip(" ,.!?、。").lower() for word in words[at : at + count]]
