"""The wire of retention, legal holds and deletion."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from api.schemas import PlainText, Wire
from shared.domain.keeping import LONGEST_DAYS, Erasure, Hold, Kept, Retention

Days = Annotated[int, Field(ge=0, le=LONGEST_DAYS)] | None


class RetentionIn(Wire):
    """Days from a job's end; null: kept until you delete it. What is left out is the default."""

    source_days: Annotated[Days, Field(description="The recording as it came.")] = Retention().source_days
    derived_days: Annotated[Days, Field(description="What was made of it to work with and to listen to.")] = (
        Retention().derived_days
    )
    results_days: Annotated[Days, Field(description="The job with its transcript and report.")] = (
        Retention().results_days
    )

    def to_domain(self) -> Retention:
        return Retention(self.source_days, self.derived_days, self.results_days)


class RetentionOut(RetentionIn):
    """The policy in force."""

    @classmethod
    def from_domain(cls, policy: Retention) -> Self:
        return cls(source_days=policy.source_days, derived_days=policy.derived_days, results_days=policy.results_days)


class HoldIn(Wire):
    """Why nothing may be deleted."""

    reason: Annotated[
        str,
        Field(min_length=1, max_length=500, description="For whoever is refused.", examples=["Case 12/2026"]),
        PlainText,
    ]


class HoldOut(Wire):
    """A legal hold."""

    held_at: Annotated[datetime | None, Field(description="Since then nothing is deleted; null: there is no hold.")]
    reason: Annotated[str | None, Field(description="Why.")]

    @classmethod
    def from_domain(cls, hold: Hold | None) -> Self:
        return cls(held_at=None, reason=None) if hold is None else cls(held_at=hold.since, reason=hold.reason)


class KeptOut(Wire):
    """What is still there of a job, and until when. A time of null: not, or not planned."""

    hold: Annotated[HoldOut, Field(description="On the job, or on everything of yours.")]
    source_deleted_at: Annotated[datetime | None, Field(description="When the recording as it came was deleted.")]
    derived_deleted_at: Annotated[datetime | None, Field(description="When what was made of it was deleted.")]
    source_until: Annotated[datetime | None, Field(description="When your policy will delete the recording.")]
    derived_until: Annotated[datetime | None, Field(description="When it will delete what was made of it.")]
    results_until: Annotated[datetime | None, Field(description="When it will delete the job.")]

    @classmethod
    def from_domain(cls, kept: Kept) -> Self:
        times = {name: getattr(kept, name) for name in cls.model_fields if name != "hold"}
        return cls(hold=HoldOut.from_domain(kept.held), **times)


class ErasureOut(Wire):
    """The report of a deletion of everything."""

    id: Annotated[str, Field(description="The report's id.")]
    status: Annotated[Literal["running", "finished"], Field(description="running: it goes on by itself.")]
    on_behalf_of: Annotated[str | None, Field(description="Whose data it is; null: all of yours.")]
    account: Annotated[bool, Field(description="You and your keys are deleted too.")]
    rows: Annotated[dict[str, int], Field(description="Rows that went, by table.", examples=[{"jobs": 3}])]
    objects: Annotated[
        dict[str, int],
        Field(description="Objects that went, by the first part of their keys.", examples=[{"jobs": 12}]),
    ]
    left: Annotated[int, Field(description="Folders that the object store has not deleted yet.")]
    error: Annotated[str | None, Field(description="Why it waits.")]
    requested_at: Annotated[datetime, Field(description="What was there then is deleted.")]
    finished_at: Annotated[datetime | None, Field(description="When nothing was left.")]

    @classmethod
    def from_domain(cls, report: Erasure) -> Self:
        return cls(
            id=report.id,
            status="running" if report.finished_at is None else "finished",
            on_behalf_of=report.on_behalf_of,
            account=report.account,
            rows=dict(report.rows),
            objects=dict(report.objects),
            left=report.left,
            error=report.error,
            requested_at=report.requested_at,
            finished_at=report.finished_at,
        )
