"""Free text of the model: kept sentence by sentence, without numbers or quotations that nothing supports.

What a model concludes cannot be checked word by word. What it can be caught at are figures that were neither measured
nor said, and words in quotation marks that nobody spoke: a sentence with either is left out and counted.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.insight.model.evidence import LEAST_LETTERS, UNSUPPORTED, Checker, normalised
from pipelines.insight.model.lines import Lines

_SENTENCE_END = re.compile(r"[.!?][\"')”]*(?=\s)|[。！？][」』”\"')）]*")
_QUOTED = re.compile(r"“([^”]*)”|„([^“”]*)[“”]|「([^」]*)」|『([^』]*)』|\"([^\"]*)\"|«([^»]*)»")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_PERCENT = re.compile(r"\d+(?:[.,]\d+)*\s*(?:%|percent|per cent|パーセント|割|趴)|(?:百分之)\s*\d+", re.IGNORECASE)
_ABBREVIATED = re.compile(r"(?:^|\s)(?:mr|mrs|ms|dr|prof|vs|e\.g|i\.e|etc)\.$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True)
class Said:
    """What a text may repeat: numbers and words of the transcript."""

    letters: str
    numbers: frozenset[str]

    @classmethod
    def of(cls, lines: Lines) -> "Said":
        spoken = [line.segment.text for line in lines.lines if not line.withheld]
        plain = unicodedata.normalize("NFKC", " ".join(spoken))
        return cls("\n".join(normalised(text) for text in spoken), frozenset(_NUMBER.findall(plain)))


def supported(text: str, said: Said, checker: Checker, longest: int) -> str:
    """The sentences of `text` that hold, up to `longest` characters; empty when none does."""
    kept: list[str] = []
    for sentence in sentences(clean(text)):
        if not _holds(sentence, said):
            checker.drop(UNSUPPORTED)
        elif len("".join(kept)) + len(sentence) <= longest:
            kept.append(sentence)
        else:
            break
    return "".join(kept).strip()


def clean(text: str) -> str:
    """Without characters that no reader sees and no database takes."""
    return " ".join(_CONTROL.sub("", text).encode("utf-8", "ignore").decode().split())


def sentences(text: str) -> Iterable[str]:
    """Pieces that join to `text` again."""
    begin = 0
    for end in (found.end() for found in _SENTENCE_END.finditer(text)):
        if not _ABBREVIATED.search(text[begin:end]):
            yield text[begin:end]
            begin = end
    if begin < len(text):
        yield text[begin:]


def _holds(sentence: str, said: Said) -> bool:
    plain = unicodedata.normalize("NFKC", sentence)
    if _PERCENT.search(plain) or any(number not in said.numbers for number in _NUMBER.findall(plain)):
        return False
    quoted = (next(filter(None, groups), "") for groups in _QUOTED.findall(sentence))
    return all(_was_said(words, said) for words in quoted)


def _was_said(words: str, said: Said) -> bool:
    """A word or two in marks may be a term; anything longer is a quotation."""
    letters = normalised(words)
    return len(letters) < LEAST_LETTERS or letters in said.letters
