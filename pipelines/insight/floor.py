"""Who holds the floor: from overlap-aware speech to turns, backchannels and interruptions.

Vocabulary of conversation analysis: an inter-pausal unit (IPU) is one speaker's speech without a pause of more than
250 ms; the floor is the right to speak; a backchannel ("mm-hm") is given without taking it. Two speakers are the
common case; with more, "the other" is whoever of the others holds out longest at that moment.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.insight.intervals import Bounds, Speech, union
from shared.domain.ids import SpeakerId

IPU_JOIN_MS = (
    250  # pauses up to this lie inside one stretch of speech (Levinson & Torreira 2015: gaps are about 200 ms)
)
BACKCHANNEL_MS = 1000  # an IPU up to this length, wholly inside another's, is a backchannel
OVERLAP_GRACE_MS = 500  # an onset overlap must be longer than this to count as an interruption, not as a quick reply
TURN_PAUSE_MS = 3000  # the holder's IPUs over pauses up to this form one turn


@dataclass(frozen=True, slots=True)
class Interruption:
    start_ms: int
    overlap_ms: int
    by: SpeakerId
    of: SpeakerId
    success: bool  # outlasted the other


@dataclass(frozen=True, slots=True)
class FloorTransfer:
    """The floor passes from one speaker to the next; a negative offset means that they overlapped."""

    before: SpeakerId
    after: SpeakerId
    offset_ms: int
    start_ms: int  # when `after` begins


@dataclass(frozen=True, slots=True)
class Floor:
    turns: tuple[Speech, ...]
    backchannels: tuple[Speech, ...]
    interruptions: tuple[Interruption, ...]

    @property
    def transfers(self) -> tuple[FloorTransfer, ...]:
        pairs = zip(self.turns, self.turns[1:], strict=False)
        return tuple(
            FloorTransfer(a.speaker, b.speaker, b.start_ms - a.end_ms, b.start_ms)
            for a, b in pairs
            if a.speaker != b.speaker
        )


def analyse_floor(speech: Iterable[Speech]) -> Floor:
    """Walk through all IPUs by start: each is a backchannel, talks over the other in vain, or takes the floor."""
    units = _Units(speech)
    floor: list[Speech] = []
    backchannels: list[Speech] = []
    interruptions: list[Interruption] = []
    for unit in units.in_order:
        host = units.host_of(unit)
        if host and unit.end_ms <= host.end_ms and unit.duration_ms <= BACKCHANNEL_MS:
            backchannels.append(unit)
            continue
        if host and _overlap_ms(unit, host) > OVERLAP_GRACE_MS:
            interruptions.append(_interruption(unit, host))
        if host is None or unit.end_ms > host.end_ms:
            floor.append(unit)
    return Floor(_turns(floor), tuple(backchannels), tuple(interruptions))


class _Units:
    """The IPUs of all speakers, in an order that does not depend on how the speakers are called."""

    def __init__(self, speech: Iterable[Speech]) -> None:
        self._by_speaker = _ipus(speech)
        # A tie of start and end is broken by the whole of what the two say, never by their names.
        self.in_order = sorted(
            (Speech(start, end, speaker) for speaker, units in self._by_speaker.items() for start, end in units),
            key=lambda unit: (unit.bounds, self._by_speaker[unit.speaker]),
        )

    def host_of(self, unit: Speech) -> Speech | None:
        """Who was speaking when `unit` began; of several the one who goes on longest."""
        others = (self._running(speaker, unit.start_ms) for speaker in self._by_speaker if speaker != unit.speaker)
        return max((o for o in others if o), key=lambda o: (o.end_ms, o.start_ms), default=None)

    def _running(self, speaker: SpeakerId, at_ms: int) -> Speech | None:
        units = self._by_speaker[speaker]
        before = bisect_left(units, (at_ms, at_ms)) - 1
        if before >= 0 and units[before][1] > at_ms:
            return Speech(*units[before], speaker)
        return None


def _ipus(speech: Iterable[Speech]) -> Mapping[SpeakerId, list[Bounds]]:
    bounds: dict[SpeakerId, list[Bounds]] = {}
    for piece in speech:
        bounds.setdefault(piece.speaker, []).append(piece.bounds)
    return {speaker: union(pieces, IPU_JOIN_MS) for speaker, pieces in bounds.items()}


def _overlap_ms(unit: Speech, host: Speech) -> int:
    return min(unit.end_ms, host.end_ms) - unit.start_ms


def _interruption(unit: Speech, host: Speech) -> Interruption:
    return Interruption(
        unit.start_ms, _overlap_ms(unit, host), unit.speaker, host.speaker, success=unit.end_ms > host.end_ms
    )


def _turns(floor: Sequence[Speech]) -> tuple[Speech, ...]:
    turns: list[Speech] = []
    for unit in floor:
        last = turns[-1] if turns else None
        if last and last.speaker == unit.speaker and unit.start_ms - last.end_ms <= TURN_PAUSE_MS:
            turns[-1] = Speech(last.start_ms, max(last.end_ms, unit.end_ms), unit.speaker)
        else:
            turns.append(unit)
    return tuple(turns)
