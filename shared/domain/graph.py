"""The stage graph as data: which stage needs which. The rules over it are in pipelines/plan.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.domain.job import JobStatus, JobWarning, RunStatus, Stage

NEEDS: Mapping[Stage, tuple[Stage, ...]] = MappingProxyType(
    {
        Stage.DOWNLOAD: (),
        Stage.PREPROCESS: (Stage.DOWNLOAD,),
        Stage.TRANSCRIBE: (Stage.PREPROCESS,),
        Stage.DIARIZE: (Stage.PREPROCESS,),
        Stage.ANALYZE: (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.TRANSCRIBE, Stage.DIARIZE),
        Stage.SYNTHESIZE: (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.TRANSCRIBE, Stage.DIARIZE, Stage.ANALYZE),
    }
)


def downstream(stage: Stage) -> frozenset[Stage]:
    """Every stage whose output depends on this one."""
    direct = {later for later, needs in NEEDS.items() if stage in needs}
    return frozenset(direct.union(*(downstream(later) for later in direct)))


@dataclass(frozen=True, slots=True)
class RunState:
    """What the plan must know of one run."""

    stage: Stage
    shard: int
    status: RunStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ends; `cause` is the run that failed it."""

    status: JobStatus
    cause: RunState | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now: runs to create, or the job's end; and what a reader must be told."""

    create: tuple[tuple[Stage, int], ...] = ()
    outcome: Outcome | None = None
    warnings: tuple[JobWarning, ...] = ()
