"""The pipelines' rules in the form the store asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines import plan, progress
from shared.domain.graph import RunState, Step
from shared.domain.progress import Estimate, JobMoment


@dataclass(frozen=True, slots=True)
class PipelineRules:
    """`processes`: how many shards are transcribed at once."""

    processes: int

    def step(self, runs: Sequence[RunState], shards: int | None) -> Step:
        return plan.step(runs, shards)

    def estimate(self, moment: JobMoment) -> Estimate:
        return progress.estimate(moment, self.processes)
