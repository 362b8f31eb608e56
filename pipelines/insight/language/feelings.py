"""Words that are pleasant or unpleasant, by language: small published lists, so that anybody can check a hit.

A word that is denied turns into its opposite ("not happy", 嬉しくない, 不开心); set phrases that only look like feeling
("good morning", 没问题) are taken out first. The lists know no irony and no context: what is made of them is low in
confidence, and is shown so.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pipelines.insight.language.rules import normalised
from pipelines.text.chinese import in_simplified
from pipelines.text.script import base_language

_ENGLISH_REACH = 3  # words between a denial and what it denies: "not at all really happy"
_JAPANESE_REACH = 7  # characters after the stem: 嬉し|くはない, 不安|ではありません
_CHINESE_REACH = 4  # characters before: 不|是很|开心
_CLAUSE = re.compile(r"[,.;:!?，、。；！？…]")  # a denial does not reach over it
_GONE = " … "  # stands where a set phrase was


@dataclass(frozen=True, slots=True)
class Tone:
    """Words found in one sentence."""

    positive: int
    negative: int

    @property
    def found(self) -> int:
        return self.positive + self.negative

    @property
    def polarity(self) -> float:
        """-1 all unpleasant .. 1 all pleasant; 0 where both are alike or nothing was found."""
        return (self.positive - self.negative) / self.found if self.found else 0.0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language's words, and what denies them."""

    language: str
    positive: re.Pattern[str]
    negative: re.Pattern[str]
    negation: re.Pattern[str]
    ignore: re.Pattern[str]

    def tone(self, sentence: str) -> Tone:
        text = in_simplified(sentence) if self.language == "zh" else sentence
        text = self.ignore.sub(_GONE, normalised(text))
        # Unpleasant words first, and out of the text: 不好 is one, not a 好 that is denied.
        unpleasant = [self._denied(text, match) for match in self.negative.finditer(text)]
        rest = self.negative.sub(_blank, text)
        pleasant = [self._denied(rest, match) for match in self.positive.finditer(rest)]
        turned, kept = sum(pleasant), len(pleasant) - sum(pleasant)
        return Tone(kept + sum(unpleasant), turned + len(unpleasant) - sum(unpleasant))

    def _denied(self, text: str, match: re.Match[str]) -> bool:
        if self.language == "ja":
            return bool(self.negation.search(_CLAUSE.split(text[match.end() : match.end() + _JAPANESE_REACH])[0]))
        before = _CLAUSE.split(text[: match.start()])[-1]
        near = before[-_CHINESE_REACH:] if self.language == "zh" else " ".join(before.split()[-_ENGLISH_REACH:])
        return bool(self.negation.search(near))


def _blank(match: re.Match[str]) -> str:
    return "□" * len(match.group())


def lexicon_for(language: str | None) -> Lexicon | None:
    """None for a language without lists: feeling in words is then not measured."""
    base = base_language(language)
    return _lexicon(base) if base in ("en", "ja", "zh") else None


@cache
def _lexicon(language: str) -> Lexicon:
    source = files(__package__).joinpath("lexicon", f"{language}.json")
    words: Mapping[str, list[str]] = json.loads(source.read_text(encoding="utf-8"))
    return Lexicon(language, **{name: _any_of(words[name], whole_words=language == "en") for name in words})


def _any_of(words: Iterable[str], *, whole_words: bool) -> re.Pattern[str]:
    """The longest first; a star stands for any ending."""
    parts = [re.escape(word).replace(r"\*", r"\w*") for word in sorted(words, key=len, reverse=True)]
    return re.compile(rf"(?<![\w'])(?:{'|'.join(parts)})(?![\w'])" if whole_words else "|".join(parts))
