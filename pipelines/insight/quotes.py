"""Quotations are part of the text they quote, letter by letter; what is not is dropped and counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.insight import Example
from shared.domain.transcript import Segment

LONGEST_QUOTE = 200  # characters: two lines of the report


def quote_of(segment: Segment) -> str:
    """The segment's text, or its beginning up to a word's end."""
    if len(segment.text) <= LONGEST_QUOTE:
        return segment.text
    cut = segment.text[:LONGEST_QUOTE]
    return cut.rsplit(" ", 1)[0] if " " in cut else cut


def example_of(segment: Segment) -> Example:
    return Example(segment.id, quote_of(segment), segment.start_s)


@dataclass(frozen=True, slots=True)
class Checked:
    kept: tuple[Example, ...]
    dropped: int


def check_quotes(examples: Iterable[Example], segments: Sequence[Segment]) -> Checked:
    """Keeps an example only if its segment exists, starts then, and contains the quotation."""
    by_id = {segment.id: segment for segment in segments}
    given = list(examples)
    kept = tuple(example for example in given if _holds(example, by_id.get(example.segment_id)))
    return Checked(kept, len(given) - len(kept))


def _holds(example: Example, segment: Segment | None) -> bool:
    return (
        segment is not None
        and bool(example.quote.strip())
        and example.quote in segment.text
        and example.start_s == segment.start_s
    )
