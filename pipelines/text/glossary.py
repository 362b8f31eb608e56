"""Names and terms of a glossary, found again where a recogniser wrote something that sounds like them.

Latin script: one to a few words whose sound (Metaphone) or spelling is that of a term. Chinese: as many characters with
the same sounds (pinyin). Japanese: the term's reading written in kana. Spellings that the owner lists are replaced
always; everything else only where the recogniser itself was not sure, and never by a guess about short words. What was
recognised stays in the word's `heard`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pipelines.text.attribution import SpokenWord
from pipelines.text.script import base_language, is_mostly_cjk
from pipelines.text.streams import by_voice
from shared.domain.glossary import Term
from shared.domain.transcript import Word

GLOSSARY_VERSION = 1  # raise it with every change of what is corrected

SURE = 0.9  # mean probability of the words; above it a likeness is a coincidence
LEAST_LETTERS = 4  # shorter words sound like too many others
ALIKE = 0.84  # of the letters, where the sound differs
SOUND_ALIKE = 0.6  # of the letters, where the sound is the same
LEAST_SYLLABLES = 2  # of Chinese; with two, their tones must be the same
_EDGES = re.compile(r"^(\W*)(.*?)((?:['’]s)?\W*)$", re.DOTALL)
_LETTERS = re.compile(r"[^\w]|_")


@dataclass(frozen=True, slots=True)
class _Found:
    first: int  # places in the stream
    last: int
    text: str


def corrected(words: Sequence[SpokenWord], terms: Sequence[Term], language: str | None) -> tuple[SpokenWord, ...]:
    """A term takes the place of the words that it was found in, with their times."""
    spoken = base_language(language)
    known = [term for term in terms if term.language in (None, spoken)]
    if not known:
        return tuple(words)
    book = _Book(known)
    gone: set[int] = set()
    written = list(words)
    for places in by_voice(words):
        stream = [words[at] for at in places]
        for found in _without_overlaps(book.search([spoken.word for spoken in stream])):
            inside = [stream[at].word for at in range(found.first, found.last + 1)]
            written[places[found.first]] = replace(stream[found.first], word=_as_one(inside, found.text))
            gone.update(places[found.first + 1 : found.last + 1])
    return tuple(word for at, word in enumerate(written) if at not in gone)


def _as_one(words: Sequence[Word], text: str) -> Word:
    heard = "".join(word.text for word in words)
    probability = min(word.probability for word in words)
    return Word(words[0].start_s, words[-1].end_s, text, probability, heard)


def _without_overlaps(found: Iterator[_Found]) -> Iterator[_Found]:
    """The longer first; then in order."""
    taken: set[int] = set()
    chosen = []
    for one in sorted(found, key=lambda one: (one.first - one.last, one.first)):
        covered = set(range(one.first, one.last + 1))
        if not covered & taken:
            taken |= covered
            chosen.append(one)
    yield from sorted(chosen, key=lambda one: one.first)


class _Book:
    """The terms, by how they are looked for."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._spelled = {_plain(spelling): term.text for term in terms for spelling in term.sounds_like}
        self._own = {_plain(term.text) for term in terms}
        self._latin = [term.text for term in terms if not is_mostly_cjk(term.text)]
        self._cjk = [term.text for term in terms if is_mostly_cjk(term.text)]
        spellings = [*self._spelled, *map(_plain, self._cjk)]
        self._cjk_lengths = sorted({len(text) for text in spellings if is_mostly_cjk(text)})
        named = [*self._latin, *(s for term in terms for s in term.sounds_like if not is_mostly_cjk(s))]
        self._most_words = max((len(text.split()) for text in named), default=0) + 1

    def search(self, words: Sequence[Word]) -> Iterator[_Found]:
        for first in range(len(words)):
            if self._most_words > 1 and not is_mostly_cjk(words[first].text):
                yield from self._latin_from(words, first)
        if self._cjk_lengths:
            yield from self._cjk_in(words)

    def _latin_from(self, words: Sequence[Word], first: int) -> Iterator[_Found]:
        for last in range(first, min(first + self._most_words, len(words))):
            if last > first and not words[last].text.startswith(" "):
                return
            inside = words[first : last + 1]
            before, core, after = _edges("".join(word.text for word in inside))
            term = self._term_for(core, last - first + 1, _mean(inside))
            if term is not None:
                yield _Found(first, last, f"{before}{term}{after}")

    def _term_for(self, core: str, count: int, probability: float) -> str | None:
        key = _plain(core)
        if key in self._own:
            return None
        if key in self._spelled:
            return self._spelled[key]
        if probability >= SURE or len(key) < LEAST_LETTERS:
            return None
        near = (term for term in self._latin if abs(len(term.split()) - count) <= 1)
        return next((term for term in near if _sounds(key, _plain(term))), None)

    def _cjk_in(self, words: Sequence[Word]) -> Iterator[_Found]:
        """Character by character: a recogniser's pieces know nothing of names."""
        text = "".join(word.text for word in words)
        owner = [place for place, word in enumerate(words) for _ in word.text]
        begins = [at for at in range(len(owner)) if at == 0 or owner[at] != owner[at - 1]]
        starts = dict(zip((owner[at] for at in begins), begins, strict=True))
        for length in self._cjk_lengths:
            for at in range(len(text) - length + 1):
                first, last = owner[at], owner[at + length - 1]
                term = self._cjk_term(text[at : at + length], _mean(words[first : last + 1]))
                if term is not None:
                    before, after = text[starts[first] : at], text[at + length : starts[last] + len(words[last].text)]
                    yield _Found(first, last, f"{before}{term}{after}")

    def _cjk_term(self, piece: str, probability: float) -> str | None:
        key = _plain(piece)
        if key in self._own:
            return None
        if key in self._spelled:
            return self._spelled[key]
        if probability >= SURE or len(key) < LEAST_SYLLABLES:
            return None
        return next((term for term in self._cjk if _same_syllables(key, term)), None)


def _mean(words: Sequence[Word]) -> float:
    return sum(word.probability for word in words) / len(words)


def _edges(text: str) -> tuple[str, str, str]:
    """Spaces and marks around, and a possessive: they stay."""
    found = _EDGES.match(text)
    return (found[1], found[2], found[3]) if found else ("", text, "")


@lru_cache(maxsize=50_000)
def _plain(text: str) -> str:
    """Without what spelling alone adds: case, accents of width, marks; katakana as hiragana, long vowels short."""
    folded = _LETTERS.sub("", unicodedata.normalize("NFKC", text).lower()).replace("ー", "")
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in folded)


def _sounds(heard: str, term: str) -> bool:
    from rapidfuzz.distance import Levenshtein

    if len(term) < LEAST_LETTERS or (heard[0] != term[0] and _metaphone(heard)[:1] != _metaphone(term)[:1]):
        return False
    alike = Levenshtein.normalized_similarity(heard, term)
    return alike >= ALIKE or (alike >= SOUND_ALIKE and _metaphone(heard) == _metaphone(term))


@lru_cache(maxsize=50_000)
def _metaphone(text: str) -> str:
    import jellyfish

    return jellyfish.metaphone(text)


def _same_syllables(heard: str, term: str) -> bool:
    """Only of Han characters: kana are their own sound, and were compared as such."""
    if len(heard) != len(term) or not all("\u4e00" <= c <= "\u9fff" for c in heard + term):
        return False
    return _pinyin(heard, tones=len(term) <= LEAST_SYLLABLES) == _pinyin(term, tones=len(term) <= LEAST_SYLLABLES)


@lru_cache(maxsize=50_000)
def _pinyin(text: str, *, tones: bool) -> tuple[str, ...]:
    from pypinyin import Style, lazy_pinyin

    return tuple(lazy_pinyin(text, style=Style.TONE3 if tones else Style.NORMAL))
