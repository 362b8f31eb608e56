"""A Celery application like the real one whose stages have nothing to do: what is left is the engine's own cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.domain.job import Stage
from shared.settings import load_settings
from shared.store.runs import JobFacts
from workers.app import make_app
from workers.context import StageContext, StageOutput, StageWork
from workers.task import stage_task

AUDIO_S = 60.0


@dataclass(frozen=True)
class Nothing:
    stage: str


def _work(stage: Stage, context: StageContext) -> StageOutput:
    return StageOutput(Nothing(stage))


def _facts(stage: Stage, document: Mapping[str, Any]) -> JobFacts:
    return JobFacts(
        audio_s=AUDIO_S if stage is Stage.DOWNLOAD else None,
        shard_s=(AUDIO_S,) if stage is Stage.PREPROCESS else None,
    )


def _work_of(stage: Stage) -> StageWork:
    """The job's id is among the parameters, so that no run is answered from the cache."""
    return StageWork(partial(_work, stage), lambda job, tools: {"job": job.id}, partial(_facts, stage))


app = make_app(load_settings())
app.conf.include = ["workers.signals"]
tasks = [stage_task(app, stage, _work_of(stage)) for stage in Stage]
