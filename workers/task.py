"""Makes a Celery task of a stage's work. The message is the run's id and nothing else."""

from celery import Celery, Task

from shared.domain.job import Stage
from shared.queue.names import task_name
from shared.settings import load_settings
from workers.context import StageWork
from workers.runner import run_stage
from workers.specs import specs


def stage_task(app: Celery, stage: Stage, work: StageWork) -> Task:
    def run(self: Task, run_id: str) -> None:
        run_stage(run_id, work, self.request.id)

    spec = specs(load_settings())[stage]
    limits = {"soft_time_limit": spec.soft_limit_s, "time_limit": spec.hard_limit_s}
    return app.task(name=task_name(stage), bind=True, **limits)(run)
