"""Correcting who is who: names, roles, two speakers who are one. The recording is not transcribed again for it."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, BackgroundTasks
from pydantic import BaseModel, Field, model_validator

from api.deps import Caller, TheJob, Tools
from api.openapi import problems
from api.schemas import JobOut, PlainText, Wire
from pipelines.insight.said import AskedChange, meaning
from shared.domain.ids import JobId, OwnerId, SpeakerId
from shared.domain.insight import Role, RoleSource, Speaker
from shared.domain.speakers import Correction
from shared.store.rows import from_json
from shared.toolbox import Toolbox

MOST_CHANGES = 20  # a recording has ten speakers at most

SpeakerName = Annotated[str, Field(min_length=1, max_length=100), PlainText]
TheSpeaker = Annotated[str, Field(pattern=r"^S[0-9]{1,2}$", description="As in the result.", examples=["S1"])]

router = APIRouter(prefix="/v1/jobs", tags=["speakers"])


class SpeakerIn(Wire):
    id: TheSpeaker
    name: Annotated[SpeakerName | None, Field(description="What to call them; null takes a name away.")] = None
    role: Annotated[Literal["coach", "client", "unknown"] | None, Field(description="Who they are.")] = None


class MergeIn(Wire):
    speaker: Annotated[TheSpeaker, Field(description="Who is really somebody else.")]
    into: Annotated[TheSpeaker, Field(description="Whom everything they said belongs to.")]


class SpeakersIn(Wire):
    """At least one of the four. `reset` stands alone."""

    speakers: Annotated[tuple[SpeakerIn, ...], Field(max_length=MOST_CHANGES, description="Names and roles.")] = ()
    merge: Annotated[tuple[MergeIn, ...], Field(max_length=MOST_CHANGES, description="Speakers who are one.")] = ()
    swap: Annotated[
        tuple[TheSpeaker, TheSpeaker] | None,
        Field(description="Two whose roles and names were mixed up.", examples=[["S1", "S2"]]),
    ] = None
    reset: Annotated[bool, Field(description="Take back every correction made so far.")] = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        changes = bool(self.speakers or self.merge or self.swap)
        if changes == self.reset:
            raise ValueError("give speakers, merge or swap; or reset alone")
        if len({speaker.id for speaker in self.speakers}) < len(self.speakers):
            raise ValueError("speakers names somebody twice")
        return self

    def to_domain(self) -> AskedChange:
        return AskedChange(
            names={SpeakerId(s.id): s.name for s in self.speakers if "name" in s.model_fields_set},
            roles={SpeakerId(s.id): Role(s.role) for s in self.speakers if s.role is not None},
            merge=[(SpeakerId(pair.speaker), SpeakerId(pair.into)) for pair in self.merge],
            swap=(SpeakerId(self.swap[0]), SpeakerId(self.swap[1])) if self.swap else None,
            reset=self.reset,
        )


class SpeakerOut(BaseModel):
    id: TheSpeaker
    role: Annotated[Role, Field(description="coach, client or unknown.")]
    role_source: Annotated[RoleSource, Field(description="Where the role comes from.")]
    role_confidence: Annotated[float | None, Field(description="0 to 1; null while undecided.")]
    name: Annotated[str | None, Field(description="What they are called.")]
    voice_id: Annotated[str | None, Field(description="The enrolled voice that they have.")]
    voice_confidence: Annotated[float | None, Field(description="0 to 1.")]

    @classmethod
    def from_domain(cls, speaker: Speaker) -> Self:
        return cls(**{name: getattr(speaker, name) for name in cls.model_fields})


class CorrectionOut(BaseModel):
    number: Annotated[int, Field(description="From 1, in the order in which they were made.")]
    asked: Annotated[dict[str, Any], Field(description="As it was sent.")]
    applies: Annotated[
        bool, Field(description="false: the speakers were told apart anew since, and their ids may mean others.")
    ]
    made_at: Annotated[datetime, Field(description="When.")]

    @classmethod
    def from_domain(cls, made: Correction) -> Self:
        return cls(number=made.number, asked=made.asked, applies=made.applies, made_at=made.made_at)


class SpeakersOut(BaseModel):
    speakers: Annotated[list[SpeakerOut], Field(description="As the result has them, in order of first speech.")]
    corrections: Annotated[list[CorrectionOut], Field(description="The history, oldest first.")]


@router.get(
    "/{job_id}/speakers",
    operation_id="getSpeakers",
    summary="Who speaks, and what was corrected",
    responses=problems(404, 409),
)
def get_speakers(job_id: TheJob, caller: Caller, tools: Tools) -> SpeakersOut:
    """409 while the job runs."""
    return SpeakersOut(
        speakers=[SpeakerOut.from_domain(speaker) for speaker in _speakers(tools, caller, job_id)],
        corrections=[CorrectionOut.from_domain(made) for made in tools.ledger.corrections(caller, job_id)],
    )


@router.patch(
    "/{job_id}/speakers",
    status_code=202,
    operation_id="correctSpeakers",
    summary="Name speakers, set roles, merge two",
    responses=problems(404, 409),
)
def correct_speakers(
    job_id: TheJob, wanted: SpeakersIn, caller: Caller, tools: Tools, after: BackgroundTasks
) -> JobOut:
    """Kept for good and applied to every analysis of this job from now on. Metrics and report are made anew; words
    and turns are not. Follow the job as when it was new. 409 while it runs or when it has no result."""
    asked = wanted.to_domain()
    created = tools.ledger.correct_speakers(
        caller,
        job_id,
        wanted.model_dump(mode="json", exclude_unset=True),
        lambda speakers: meaning(asked, speakers),
    )
    after.add_task(tools.doorbell.ring, created.runs)
    return JobOut.from_domain(created.job)


def _speakers(tools: Toolbox, owner: OwnerId, job_id: JobId) -> tuple[Speaker, ...]:
    return from_json(tuple[Speaker, ...], tools.ledger.result(owner, job_id).get("speakers", []))
