"""The transcript as the model sees it: numbered lines, fenced in as data, cut into stretches of bounded length.

A line cannot be forged: what was said is put on one line, and the fence's name is a hash that no speaker can know.
Lines that address the reader of the transcript are withheld; nothing is quoted from them either.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.insight.model.addressed import addresses_the_reader
from pipelines.text.labels import clock
from shared.domain.insight import Analysis, Role
from shared.domain.tokens import estimate_tokens
from shared.domain.transcript import Segment

WITHHELD = "(withheld)"
BEFORE = "(before) "
CONTEXT_LINES = 4  # what a reflection at the start of a stretch may refer to


@dataclass(frozen=True, slots=True)
class Line:
    number: int  # from 1; what the model cites
    segment: Segment
    role: Role
    withheld: bool

    @property
    def text(self) -> str:
        words = WITHHELD if self.withheld else " ".join(self.segment.text.split())
        return f"[{self.number}] {_short(self.segment.start_s)} {self.role}: {words}"


def _short(seconds: float) -> str:
    """Hours only where there are any: each line's time costs tokens."""
    return clock(seconds).removeprefix("00:")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines in a row. `before` gives context and is not to be coded."""

    before: tuple[Line, ...]
    lines: tuple[Line, ...]

    @property
    def start_s(self) -> float:
        return self.lines[0].segment.start_s

    @property
    def end_s(self) -> float:
        return max(line.segment.end_s for line in self.lines)

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Lines:
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, analysis: Analysis) -> "Lines":
        roles = {speaker.id: speaker.role for speaker in analysis.speakers}
        return cls(
            tuple(
                Line(
                    number,
                    segment,
                    roles.get(segment.speaker, Role.UNKNOWN) if segment.speaker else Role.UNKNOWN,
                    addresses_the_reader(segment.text),
                )
                for number, segment in enumerate(analysis.transcript.segments, start=1)
            )
        )

    @cached_property
    def by_number(self) -> dict[int, Line]:
        return {line.number: line for line in self.lines}

    @property
    def withheld(self) -> int:
        return sum(line.withheld for line in self.lines)

    @cached_property
    def fence(self) -> str:
        """The same for the same transcript, so that the same question is asked again."""
        said = "\n".join(line.segment.text for line in self.lines)
        return f"transcript-{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    @cached_property
    def tokens(self) -> int:
        return sum(estimate_tokens(line.text) for line in self.lines)

    def fenced(self, lines: Sequence[Line], before: Sequence[Line] = ()) -> str:
        shown = [BEFORE + line.text for line in before] + [line.text for line in lines]
        return "\n".join([f"<{self.fence}>", *shown, f"</{self.fence}>"])

    def stretches(self, most_tokens: int) -> list[Stretch]:
        """Cut where a stretch is full, and evenly, so that the last one is not a rest."""
        parts = max(1, -(-self.tokens // most_tokens))
        groups: list[list[Line]] = [[]]
        filled = 0
        for line in self.lines:
            tokens = estimate_tokens(line.text)
            if groups[-1] and filled + tokens > self.tokens / parts * len(groups):
                groups.append([])
            groups[-1].append(line)
            filled += tokens
        return [Stretch(self._before(group[0]), tuple(group)) for group in groups if group]

    def _before(self, line: Line) -> tuple[Line, ...]:
        return self.lines[max(0, line.number - 1 - CONTEXT_LINES) : line.number - 1]
