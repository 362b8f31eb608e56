"""What a person asks to change of a job's speakers, in terms of the speakers as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.errors import InvalidInput
from shared.domain.ids import SpeakerId
from shared.domain.insight import Role, Speaker
from shared.domain.speakers import SpeakerChange


@dataclass(frozen=True, slots=True)
class AskedChange:
    """As it came. `merge`: pairs (who, into whom). `swap`: two whose roles and names were mixed up."""

    names: Mapping[SpeakerId, str | None] = field(default_factory=dict)
    roles: Mapping[SpeakerId, Role] = field(default_factory=dict)
    merge: Sequence[tuple[SpeakerId, SpeakerId]] = ()
    swap: tuple[SpeakerId, SpeakerId] | None = None
    reset: bool = False


def meaning(asked: AskedChange, speakers: Sequence[Speaker]) -> SpeakerChange:
    """Raises InvalidInput for a speaker that is not there, and for what contradicts itself."""
    _check(asked, {speaker.id for speaker in speakers})
    swapped = _swapped(asked.swap, {speaker.id: speaker for speaker in speakers})
    return SpeakerChange(
        merged=dict(asked.merge),
        names=swapped.names | dict(asked.names),
        roles=swapped.roles | dict(asked.roles),
        reset=asked.reset,
    )


def _check(asked: AskedChange, present: set[SpeakerId]) -> None:
    meant = {*asked.names, *asked.roles, *(asked.swap or ()), *(speaker for pair in asked.merge for speaker in pair)}
    unknown = sorted(meant - present)
    if unknown:
        have = ", ".join(sorted(present)) or "nobody"
        raise InvalidInput(f"There is no speaker {', '.join(unknown)} in this recording; it has {have}")
    if asked.swap and asked.swap[0] == asked.swap[1]:
        raise InvalidInput("swap names two different speakers")
    gone = [who for who, _ in asked.merge]
    if len(gone) != len(set(gone)) or any(who == into for who, into in asked.merge):
        raise InvalidInput("Each speaker is merged into one other at most")
    if {into for _, into in asked.merge} & set(gone):
        raise InvalidInput(
            "A speaker who is merged into another takes in nobody; merge all of them into the one who stays"
        )
    lost = sorted(({*asked.names, *asked.roles, *(asked.swap or ())}) & set(gone))
    if lost:
        raise InvalidInput(f"{', '.join(lost)} is merged into another and keeps neither name nor role of their own")


def _swapped(pair: tuple[SpeakerId, SpeakerId] | None, speakers: Mapping[SpeakerId, Speaker]) -> SpeakerChange:
    if pair is None:
        return SpeakerChange()
    one, other = speakers[pair[0]], speakers[pair[1]]
    return SpeakerChange(
        names={one.id: other.name, other.id: one.name},
        roles={one.id: other.role, other.id: one.role},
    )
