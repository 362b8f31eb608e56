"""Chinese in one script: recognisers write Traditional and Simplified as it comes, at times in one sentence.

Characters are converted with their neighbours in view (头发 is 頭髮, 发展 is 發展), words are not exchanged: 软件 is
written 軟件 and not 軟體, because that is what was said. Times stay, since no character is added or taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate

from pipelines.text.attribution import SpokenWord
from pipelines.text.streams import by_voice
from shared.domain.languages import SIMPLIFIED, TRADITIONAL

# Traditional as Taiwan writes it (裡, 著), which is where reports in Traditional are read.
_CONVERSIONS = {TRADITIONAL: "s2tw", SIMPLIFIED: "t2s"}


def in_one_script(words: Sequence[SpokenWord], language: str, report_language: str | None) -> tuple[SpokenWord, ...]:
    script = script_of(words, language, report_language)
    convert = _converter(_CONVERSIONS[script])
    written = list(words)
    for places in by_voice(words):
        for place, text in zip(places, _converted([words[at].word.text for at in places], convert), strict=True):
            written[place] = replace(words[place], word=replace(words[place].word, text=text))
    return tuple(written)


def script_of(words: Sequence[SpokenWord], language: str, report_language: str | None) -> str:
    """What the caller asked for; else that of the report; else the one that most of it was recognised in."""
    for asked in (language, report_language):
        if asked in _CONVERSIONS:
            return str(asked)
    text = "".join(spoken.word.text for spoken in words)
    return TRADITIONAL if _changes(text, "t2s") > _changes(text, "s2t") else SIMPLIFIED


def _changes(text: str, conversion: str) -> int:
    return sum(before != after for before, after in zip(text, _converter(conversion)(text), strict=False))


def _converted(texts: list[str], convert: Callable[[str], str]) -> list[str]:
    """In context; word by word where that would change the number of characters, so that each keeps its own."""
    whole = "".join(texts)
    written = convert(whole)
    if len(written) != len(whole):
        return [convert(text) for text in texts]
    ends = accumulate(map(len, texts))
    return [written[end - len(text) : end] for text, end in zip(texts, ends, strict=True)]


@cache
def _converter(name: str) -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC(name).convert
    return convert


def in_simplified(text: str) -> str:
    """For looking words up in a list of one script."""
    return _converter("t2s")(text)
