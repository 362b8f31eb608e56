"""Percent and ETA of a job, from seconds of audio done and what each stage has cost lately. Pure.

The stages stand one after the other, transcribe and diarize side by side, the shards of transcribe on several
processes. What came from the cache costs nothing and counts for nothing.
"""

from collections.abc import Iterable, Iterator, Mapping

from shared.domain.job import ProgressStatus, RunStatus, Stage
from shared.domain.progress import Estimate, JobMoment, RunMoment

# On two cores with the embedded models, until this installation has measured: seconds of work for a second of audio,
# and seconds to begin with, such as loading a model.
PRIORS = {
    Stage.DOWNLOAD: 0.005,
    Stage.PREPROCESS: 0.03,
    Stage.TRANSCRIBE: 0.15,
    Stage.DIARIZE: 0.12,
    Stage.ANALYZE: 0.01,
    Stage.SYNTHESIZE: 0.02,
}
START_S = {
    Stage.DOWNLOAD: 0.1,
    Stage.PREPROCESS: 0.3,
    Stage.TRANSCRIBE: 2.0,
    Stage.DIARIZE: 1.0,
    Stage.ANALYZE: 0.1,
    Stage.SYNTHESIZE: 3.0,
}
ASSUMED_AUDIO_S = 600.0  # before the download is done; only shares of the whole are shown then
SETTLE_S = 5.0  # work that is taken to have gone as predicted, so that the first seconds do not swing the ETA
MOST = 99.0  # 100 is said by the end of the job alone

WORDS = {
    Stage.DOWNLOAD: ProgressStatus.DOWNLOADING,
    Stage.PREPROCESS: ProgressStatus.PREPROCESSING,
    Stage.TRANSCRIBE: ProgressStatus.TRANSCRIBING,
    Stage.DIARIZE: ProgressStatus.DIARIZATION,
    Stage.ANALYZE: ProgressStatus.ANALYZING,
    Stage.SYNTHESIZE: ProgressStatus.SYNTHESIZING,
}

Piece = tuple[float, float]  # (work predicted, work left), both in seconds


def estimate(moment: JobMoment, processes: int) -> Estimate:
    """`processes`: how many shards this installation transcribes at once."""
    pieces = {stage: list(_pieces(moment, stage, processes)) for stage in Stage}
    whole_s = _wall_s({stage: [piece[0] for piece in found] for stage, found in pieces.items()}, processes)
    left_s = _wall_s({stage: [piece[1] for piece in found] for stage, found in pieces.items()}, processes)
    stage = current_stage(moment.runs)
    percent = MOST if whole_s <= 0 else min(MOST, 100.0 * (1.0 - left_s / whole_s))
    eta_s = None if moment.audio_s is None else round(left_s * _pace(moment.elapsed_s, whole_s - left_s), 1)
    return Estimate(WORDS[stage], stage, percent, eta_s)


def current_stage(runs: Iterable[RunMoment]) -> Stage:
    """The earliest stage at work; else the earliest that waits; else the last one that was done."""
    found = list(runs)
    for status in (RunStatus.RUNNING, RunStatus.QUEUED):
        at_it = {run.stage for run in found if run.status is status}
        if at_it:
            return next(stage for stage in Stage if stage in at_it)
    seen = {run.stage for run in found}
    return next((stage for stage in reversed(Stage) if stage in seen), Stage.DOWNLOAD)


def cost_of(stage: Stage, costs: Mapping[Stage, float], audio_s: float) -> float:
    """Seconds of work per second of audio, for a run of this length."""
    return costs.get(stage) or PRIORS[stage] + START_S[stage] / max(audio_s, 1.0)


def _wall_s(work: dict[Stage, list[float]], processes: int) -> float:
    shards = work[Stage.TRANSCRIBE]
    transcribe_s = max(sum(shards) / processes, max(shards, default=0.0))
    beside_s = max(transcribe_s, sum(work[Stage.DIARIZE]))
    in_line = (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.ANALYZE, Stage.SYNTHESIZE)
    return beside_s + sum(sum(work[stage]) for stage in in_line)


def _pieces(moment: JobMoment, stage: Stage, processes: int) -> Iterator[Piece]:
    runs = {run.shard: run for run in moment.runs if run.stage is stage}
    for shard, audio_s in enumerate(_audio(moment, stage, processes)):
        run = runs.get(shard)
        if run is None or not run.free:
            whole_s = cost_of(stage, moment.costs, audio_s) * audio_s
            yield whole_s, whole_s * _share_left(run, audio_s)


def _audio(moment: JobMoment, stage: Stage, processes: int) -> tuple[float, ...]:
    """Seconds of audio of each run of a stage, as far as they are known."""
    audio_s = moment.audio_s or ASSUMED_AUDIO_S
    if moment.shard_s is not None and not moment.shard_s and stage in (Stage.TRANSCRIBE, Stage.DIARIZE):
        return ()  # no speech
    if stage is Stage.TRANSCRIBE:
        return moment.shard_s or (audio_s / processes,) * processes
    return (audio_s,)


def _share_left(run: RunMoment | None, audio_s: float) -> float:
    if run is None:
        return 1.0
    if run.status.ended:
        return 0.0
    return max(0.0, 1.0 - run.done_s / audio_s) if audio_s > 0 else 1.0


def _pace(elapsed_s: float, predicted_s: float) -> float:
    """How much longer things take here and now than was predicted."""
    return (elapsed_s + SETTLE_S) / (predicted_s + SETTLE_S)
