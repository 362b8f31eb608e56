"""Every claim of the model against the transcript: its segment exists, holds the quotation, and is the right speaker's.

A quotation is compared after NFKC, without case, white space and punctuation, because models retype those. What reaches
the report is the transcript's own text, letter by letter. What fails is dropped and counted by reason.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.insight.model.lines import Line, Lines
from pipelines.insight.quotes import LONGEST_QUOTE
from shared.domain.insight import Example, Role

LEAST_LETTERS = 4  # letters and digits; fewer are found by chance. A whole segment may be shorter

NO_SEGMENT, NOT_SAID, WRONG_SPEAKER, WITHHELD = "unknown_segment", "not_in_segment", "wrong_speaker", "withheld"
UNSUPPORTED, NO_EVIDENCE, NO_MARKER = "unsupported_claim", "no_evidence", "unknown_marker"


class Cited(Protocol):
    @property
    def segment(self) -> int: ...
    @property
    def quote(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A quotation that holds."""

    line: Line
    quote: str

    @property
    def example(self) -> Example:
        return Example(self.line.segment.id, self.quote, self.line.segment.start_s)


@dataclass
class Checker:
    """Checks citations and keeps count of what was dropped, and why."""

    lines: Lines
    dropped: Counter[str] = field(default_factory=Counter)

    def check(self, cited: Cited, *, role: Role | None = None, among: frozenset[int] | None = None) -> Found | None:
        """`role`: whose words they must be. `among`: the lines that could be cited."""
        line = self.lines.by_number.get(cited.segment)
        if line is None or (among is not None and cited.segment not in among):
            self.drop(NO_SEGMENT)
            return None
        if line.withheld:
            self.drop(WITHHELD)
            return None
        quote = find_quote(cited.quote, line.segment.text)
        if quote is None:
            self.drop(NOT_SAID)
            return None
        if role is not None and line.role is not role:
            self.drop(WRONG_SPEAKER)
            return None
        return Found(line, quote)

    def check_all(self, cited: Iterable[Cited], *, role: Role | None = None) -> list[Found]:
        found = [self.check(one, role=role) for one in cited]
        return [one for one in found if one is not None]

    def drop(self, reason: str) -> None:
        self.dropped[reason] += 1


def find_quote(quote: str, text: str) -> str | None:
    """The part of `text` that the quotation means, as it stands there; None when it is not there."""
    wanted, (letters, places) = "".join(_letters(quote)[0]), _letters(text)
    said = "".join(letters)
    if not wanted or (len(wanted) < LEAST_LETTERS and wanted != said):
        return None
    at = said.find(wanted)
    if at < 0:
        return None
    end = places[at + len(wanted) - 1] + 1
    while end < len(text) and not quote.rstrip()[-1:].isalnum() and unicodedata.category(text[end])[0] == "P":
        end += 1  # the full stop that was quoted with it
    found = text[places[at] : end]
    return found if len(found) <= LONGEST_QUOTE else found[:LONGEST_QUOTE]


def normalised(text: str) -> str:
    return "".join(_letters(text)[0])


def _letters(text: str) -> tuple[list[str], list[int]]:
    """Comparable characters, each with the place in `text` that it comes from."""
    letters: list[str] = []
    places: list[int] = []
    for place, original in enumerate(text):
        for letter in unicodedata.normalize("NFKC", original).casefold():
            if unicodedata.category(letter)[0] in "LNM":
                letters.append(letter)
                places.append(place)
    return letters, places
