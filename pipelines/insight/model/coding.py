"""The map: each stretch is coded by itself, and only what holds against the transcript is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.insight.model.asking import Answered
from pipelines.insight.model.claims import Said, supported
from pipelines.insight.model.evidence import NO_MARKER, NO_SEGMENT, Checker, Found
from pipelines.insight.model.lines import Line, Lines, Stretch
from pipelines.insight.model.prompts import Prompts
from pipelines.insight.model.wire import Coding, PhaseChange, schema_of
from shared.domain.insight import (
    ActionItem,
    CoachingCodes,
    CoachMove,
    MarkerEvidence,
    Phase,
    PhaseSpan,
    Role,
    Uncoded,
)
from shared.ports.language import Question

STRETCH_TOKENS = 6_000  # about 25 minutes of talk: longer answers get careless towards their end
ANSWER_TOKENS = 5_000  # 100 entries of 40 tokens, and a fifth more
LONGEST_ITEM = 300  # characters of one action or note


@dataclass(frozen=True, slots=True)
class Coded:
    """Of one stretch; everything in it holds."""

    moves: tuple[CoachMove, ...] = ()
    phases: tuple[PhaseSpan, ...] = ()
    markers: tuple[MarkerEvidence, ...] = ()
    actions: tuple[ActionItem, ...] = ()
    notes: tuple[tuple[Line, str], ...] = ()  # for the judge alone


def question_of(stretch: Stretch, lines: Lines, prompts: Prompts, thinking_tokens: int) -> Question:
    return Question(
        name="coding",
        system=prompts.code(lines.fence),
        user=lines.fenced(stretch.lines, stretch.before),
        schema=schema_of(Coding),
        max_output_tokens=ANSWER_TOKENS + thinking_tokens,
    )


def checked_coding(coding: Coding, stretch: Stretch, checker: Checker, said: Said, prompts: Prompts) -> Coded:
    return _Reader(stretch, checker, said, prompts).read(coding)


@dataclass(frozen=True)
class _Reader:
    stretch: Stretch
    checker: Checker
    said: Said
    prompts: Prompts

    def read(self, coding: Coding) -> Coded:
        return Coded(
            moves=tuple(self._moves(coding)),
            phases=tuple(_spans(self._changes(coding.phases), self.stretch.lines)),
            markers=tuple(self._markers(coding)),
            actions=tuple(self._actions(coding)),
            notes=tuple(self._notes(coding)),
        )

    @property
    def _own(self) -> frozenset[int]:
        """Not the lines of context: those belong to the stretch before."""
        return frozenset(line.number for line in self.stretch.lines)

    def _moves(self, coding: Coding) -> Iterable[CoachMove]:
        for move in coding.moves:
            found = self.checker.check(move, role=Role.COACH, among=self._own)
            if found:
                yield CoachMove(move.kind, found.line.segment.id, found.quote, found.line.segment.start_s)

    def _markers(self, coding: Coding) -> Iterable[MarkerEvidence]:
        for marker in coding.markers:
            meaning = self.prompts.markers.get(marker.marker)
            if meaning is None:
                self.checker.drop(NO_MARKER)
                continue
            found = self.checker.check(marker, role=Role.COACH, among=self._own)
            if found:
                segment = found.line.segment
                yield MarkerEvidence(marker.marker, meaning, segment.id, found.quote, segment.start_s)

    def _actions(self, coding: Coding) -> Iterable[ActionItem]:
        for action in coding.actions:
            found = self.checker.check(action, among=self._own)
            text = self._text(action.text, found)
            if found and text:
                yield ActionItem(text, action.owner, found.line.segment.id, found.quote)

    def _notes(self, coding: Coding) -> Iterable[tuple[Line, str]]:
        for note in coding.notes:
            found = self.checker.check(note, among=self._own)
            text = self._text(note.text, found)
            if found and text:
                yield found.line, text

    def _text(self, text: str, found: Found | None) -> str:
        return supported(text, self.said, self.checker, LONGEST_ITEM) if found else ""

    def _changes(self, changes: Sequence[PhaseChange]) -> list[PhaseChange]:
        own = self._own
        kept = [change for change in changes if change.segment in own]
        for _ in range(len(changes) - len(kept)):
            self.checker.drop(NO_SEGMENT)
        return sorted(kept, key=lambda change: change.segment)


def _spans(changes: Sequence[PhaseChange], lines: Sequence[Line]) -> Iterable[PhaseSpan]:
    """From each change to the line before the next; lines before the first change have no phase."""
    for place, change in enumerate(changes):
        until = changes[place + 1].segment if place + 1 < len(changes) else lines[-1].number + 1
        inside = [line.segment for line in lines if change.segment <= line.number < until]
        if inside:
            end_s = max(segment.end_s for segment in inside)
            yield PhaseSpan(Phase(change.phase), inside[0].id, inside[-1].id, inside[0].start_s, end_s)


def codes_of(
    stretches: Sequence[Stretch], answers: Sequence[Answered[Coding]], coded: Sequence[Coded]
) -> CoachingCodes | None:
    """All stretches together; None when not one could be coded."""
    missing = [
        Uncoded(stretch.start_s, stretch.end_s, answer.failure.code)
        for stretch, answer in zip(stretches, answers, strict=True)
        if answer.failure
    ]
    if len(missing) == len(stretches):
        return None
    return CoachingCodes(
        moves=tuple(sorted((m for c in coded for m in c.moves), key=lambda m: m.start_s)),
        phases=tuple(_joined([span for c in coded for span in c.phases])),
        markers=tuple(sorted((m for c in coded for m in c.markers), key=lambda m: (m.start_s, m.marker))),
        uncoded=tuple(missing),
    )


def _joined(spans: Sequence[PhaseSpan]) -> list[PhaseSpan]:
    """A phase that goes on over the edge of two stretches is one span."""
    joined: list[PhaseSpan] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last and last.phase is span.phase:
            joined[-1] = PhaseSpan(
                last.phase,
                last.first_segment_id,
                span.last_segment_id,
                last.start_s,
                max(last.end_s, span.end_s),
            )
        else:
            joined.append(span)
    return joined


def actions_of(coded: Iterable[Coded]) -> tuple[ActionItem, ...]:
    """One a segment and owner: two stretches may have heard the same promise."""
    once: dict[tuple[str, str], ActionItem] = {}
    for action in (action for one in coded for action in one.actions):
        once.setdefault((action.segment_id, action.owner), action)
    return tuple(once.values())
