"""One table: how each stage is worked on. Queue and task names are the stage's own (shared/queue/names.py)."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.job import Stage
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class StageSpec:
    """`processes`: runs of this stage at once on one machine. Limits in seconds."""

    processes: int
    max_attempts: int
    soft_limit_s: int
    hard_limit_s: int


def specs(settings: Settings) -> Mapping[Stage, StageSpec]:
    def spec(processes: int, max_attempts: int) -> StageSpec:
        return StageSpec(processes, max_attempts, settings.soft_limit_s, settings.hard_limit_s)

    return {
        Stage.DOWNLOAD: spec(processes=4, max_attempts=5),  # waits for the network; resumes, so another try is cheap
        Stage.PREPROCESS: spec(processes=2, max_attempts=3),  # one ffmpeg each
        # Providers have bad quarters of an hour; the local model fails at once or never.
        Stage.TRANSCRIBE: spec(processes=settings.transcribe_processes, max_attempts=6),
        Stage.DIARIZE: spec(processes=1, max_attempts=3),  # the whole recording's embeddings in memory
        Stage.ANALYZE: spec(processes=4, max_attempts=6),  # waits for a provider
        Stage.SYNTHESIZE: spec(processes=2, max_attempts=4),
    }


def max_attempts(settings: Settings) -> dict[Stage, int]:
    return {stage: spec.max_attempts for stage, spec in specs(settings).items()}
