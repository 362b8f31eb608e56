"""What is known of a recording's speakers beside their turns: what people said of them, and whose voices they have."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.ids import JobId, SpeakerId, VoiceId
from shared.domain.insight import Role


@dataclass(frozen=True, slots=True)
class SpeakerChange:
    """What a person said of the speakers. `reset` takes back all that was said before."""

    merged: dict[SpeakerId, SpeakerId] = field(default_factory=dict)  # who is really whom
    names: dict[SpeakerId, str | None] = field(default_factory=dict)  # None takes a name away
    roles: dict[SpeakerId, Role] = field(default_factory=dict)
    reset: bool = False

    def after(self, earlier: "SpeakerChange") -> "SpeakerChange":
        """Both as one; where they differ, this one holds. A speaker who was merged away has nothing of their own."""
        if self.reset:
            earlier = SpeakerChange()
        merged = {gone: self.merged.get(into, into) for gone, into in earlier.merged.items()} | self.merged
        return SpeakerChange(
            merged=merged,
            names={s: name for s, name in (earlier.names | self.names).items() if s not in merged},
            roles={s: role for s, role in (earlier.roles | self.roles).items() if s not in merged},
        )


NOTHING_SAID = SpeakerChange()


def all_said(changes: Iterable[SpeakerChange]) -> SpeakerChange:
    """Changes in the order in which they were made, as one."""
    said = NOTHING_SAID
    for change in changes:
        said = change.after(said)
    return said


@dataclass(frozen=True, slots=True)
class Correction:
    """One entry of a job's history of corrections."""

    number: int
    asked: dict[str, Any]  # as it came
    change: SpeakerChange  # what it meant when it was made
    applies: bool  # False: the speakers were told apart anew since, and its ids may mean others
    made_at: datetime


TELEPHONE = "+telephone"  # behind a model's name: its vectors of voices in a telephone's band


class VoiceStatus(StrEnum):
    PENDING = "pending"  # its sample has not been listened to yet
    READY = "ready"
    REFUSED = "refused"  # the sample will not do; `error` says why


class VoiceOrigin(StrEnum):
    SAMPLE = "sample"  # a recording that was sent for it
    SPEAKER = "speaker"  # a speaker of a finished job, by the owner's word
    REMEMBERED = "remembered"  # the client of a job whose owner wants clients to be recognised


@dataclass(frozen=True, slots=True)
class VoiceError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Voice:
    """An enrolled voice. Vectors of different models are never compared."""

    id: VoiceId
    label: str
    role: Role
    status: VoiceStatus
    origin: VoiceOrigin
    model: str | None
    speech_s: float | None
    error: VoiceError | None
    job_id: JobId | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """What is needed to recognise somebody."""

    id: VoiceId
    label: str
    role: Role
    model: str
    embedding: tuple[float, ...]  # unit vector


@dataclass(frozen=True, slots=True)
class VoiceMatch:
    """A speaker whose voice is known."""

    voice: VoiceId
    label: str
    role: Role
    score: float  # cosine
    confidence: float  # 0..1
