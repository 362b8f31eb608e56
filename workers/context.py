"""What a stage's work is given, and what it gives back. No Celery, no SQL: a stage could run anywhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from shared.domain.errors import NotFound
from shared.domain.job import Artefact, Job, JobError, JobWarning, Stage
from shared.ports.tick import Tick
from shared.store.documents import StageDocuments
from shared.store.rows import from_json
from shared.store.runs import Claim, JobFacts
from shared.toolbox import Toolbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageOutput:
    """`document`: the stage's frozen dataclass. `files`: name -> a local file to keep."""

    document: object
    files: Mapping[str, Path] = field(default_factory=dict)
    warnings: tuple[JobWarning, ...] = ()
    lasting: bool = True  # False: a later run of the same input may do better, so the cache must not give it again


class StageContext:
    """One run, as its work sees it."""

    def __init__(
        self, claim: Claim, tools: Toolbox, workdir: Path, tick: Tick, parameters: Mapping[str, Any] | None = None
    ) -> None:
        self.job: Job = claim.job
        self.shard = claim.run.shard
        self.attempt = claim.run.attempt
        self.tools = tools
        self.workdir = workdir
        self.tick = tick
        self.parameters = parameters or {}  # as they were when the cache key was made of them
        self._failed = claim.failed
        self._documents = StageDocuments(tools.ledger.database)
        self._read: dict[Stage, list[Artefact]] = {}

    def read(self, stage: Stage, type_: type[T], shard: int = 0) -> T:
        """The document of a finished run."""
        return from_json(type_, self._artefact(stage, shard).document)

    def read_all(self, stage: Stage, type_: type[T]) -> list[T]:
        """Of all shards, in order; empty when the stage failed or had nothing to do."""
        return [from_json(type_, artefact.document) for artefact in self._artefacts(stage)]

    def file(self, stage: Stage, name: str, shard: int = 0) -> Path:
        """A file that another stage left, fetched once."""
        target = self.workdir / "inputs" / stage / str(shard) / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.tools.objects.get(self._key(stage, name, shard), target)
        return target

    def failed(self, stage: Stage) -> JobError | None:
        """Why a stage that the job could go on without has failed."""
        return self._failed.get(stage)

    def worked_s(self) -> dict[Stage, float]:
        """Seconds worked so far in each stage, over all shards."""
        return self._documents.worked_s(self.job.id)

    def _artefacts(self, stage: Stage) -> list[Artefact]:
        if stage not in self._read:
            self._read[stage] = self._documents.of_stage(self.job.id, stage)
        return self._read[stage]

    def _artefact(self, stage: Stage, shard: int) -> Artefact:
        for artefact in self._artefacts(stage):
            if artefact.shard == shard:
                return artefact
        raise NotFound(f"Stage {stage}, shard {shard} of job {self.job.id} has left no document")

    def _key(self, stage: Stage, name: str, shard: int) -> str:
        for stored in self._artefact(stage, shard).files:
            if stored.name == name:
                return stored.key
        raise NotFound(f"Stage {stage}, shard {shard} of job {self.job.id} has left no file {name!r}")


def _no_facts(document: Mapping[str, Any]) -> JobFacts:
    return JobFacts()


@dataclass(frozen=True, slots=True)
class StageWork:
    """A stage, as the runner knows it. `facts` and `content_key` read the document as JSON."""

    run: Callable[[StageContext], StageOutput]
    parameters: Callable[[Job, Toolbox], Mapping[str, object]]  # all that changes the output, beside the input
    facts: Callable[[Mapping[str, Any]], JobFacts] = _no_facts
    content_key: Callable[[Mapping[str, Any]], str] | None = None  # where the input is known only afterwards
