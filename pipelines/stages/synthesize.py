"""Synthesize: everything that is known of the job as one result document, and a short spoken summary."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pipelines.text.script import base_language
from shared.domain.audio import PreparedAudio, SourceAudio
from shared.domain.errors import Stopped, VibeInsightError
from shared.domain.insight import Analysis
from shared.domain.job import Job, JobStatus, JobWarning, Stage
from shared.domain.result import RESULT_SCHEMA, ResultAudio, ResultDocument, ResultJob, StageTiming
from shared.domain.transcript import Provenance
from shared.ports.speech import Samples
from shared.ports.voice import Speech, Synthesizer

SPOKEN_FILE = "summary.flac"
LONGEST_SPOKEN = 300  # characters: about 25 seconds to hear, and the longest part of this stage to make
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")


@dataclass(frozen=True, slots=True)
class Known:
    """What the stages before left. `timings`: seconds worked in each stage, over all shards."""

    job: Job
    source: SourceAudio
    prepared: PreparedAudio
    analysis: Analysis
    provenance: Mapping[Stage, Provenance]
    timings: Mapping[Stage, float]


class Synthesis(NamedTuple):
    document: ResultDocument
    files: dict[str, Path]
    warnings: tuple[JobWarning, ...]  # of this stage alone


def synthesize_parameters(job: Job) -> dict[str, object]:
    """The document names its job, so no other job can share it."""
    return {"job": job.id, "spoken_summary": job.options.spoken_summary}


def synthesize(known: Known, *, synthesizer: Synthesizer | None, workdir: Path, now: datetime) -> Synthesis:
    """`synthesizer` None: no spoken summary wanted. A summary that cannot be spoken is a warning, never a failure."""
    files: dict[str, Path] = {}
    warnings: tuple[JobWarning, ...] = ()
    provenance = {**known.provenance, Stage.ANALYZE: known.analysis.provenance}
    if synthesizer is not None:
        try:
            speech = synthesizer.speak(_spoken_text(known.analysis), _spoken_language(known.analysis))
            files[SPOKEN_FILE] = _write(speech, workdir / SPOKEN_FILE)
            provenance[Stage.SYNTHESIZE] = Provenance("vibeinsight", speech.engine, "1")
        except Stopped:
            raise
        except (VibeInsightError, OSError, RuntimeError, ValueError) as error:
            warnings = (_not_spoken(error),)
    return Synthesis(_document(known, provenance, warnings, now), files, warnings)


def _spoken_text(analysis: Analysis) -> str:
    """The summary, cut at a sentence's end where it is long."""
    text = analysis.report.summary
    if len(text) <= LONGEST_SPOKEN:
        return text
    ends = [end.end() for end in _SENTENCE_END.finditer(text, 0, LONGEST_SPOKEN)]
    return text[: ends[-1] if ends else LONGEST_SPOKEN].strip()


def _spoken_language(analysis: Analysis) -> str:
    return base_language(analysis.report_language) or "en"


def _write(speech: Speech, target: Path) -> Path:
    import soundfile

    samples: Samples = speech.samples
    soundfile.write(target, samples, speech.sample_rate_hz, format="FLAC", subtype="PCM_16")
    return target


def _not_spoken(error: Exception) -> JobWarning:
    why = error.message if isinstance(error, VibeInsightError) else type(error).__name__
    return JobWarning("spoken_summary_failed", f"The spoken summary could not be made: {why}", Stage.SYNTHESIZE)


def _document(
    known: Known, provenance: Mapping[Stage, Provenance], own_warnings: Iterable[JobWarning], now: datetime
) -> ResultDocument:
    analysis = known.analysis
    return ResultDocument(
        schema=RESULT_SCHEMA,
        job=_job(known.job, (*known.job.warnings, *analysis.warnings, *own_warnings), now),
        audio=_audio(known),
        language=analysis.language,
        report_language=analysis.report_language,
        speakers=analysis.speakers,
        turns=analysis.turns,
        transcript=analysis.transcript,
        metrics=analysis.metrics,
        report=analysis.report,
        not_measured=analysis.not_measured,
        provenance={stage: provenance[stage] for stage in Stage if stage in provenance},
        timings=_timings(known),
        prosody=analysis.prosody,
    )


def _job(job: Job, warnings: Iterable[JobWarning], now: datetime) -> ResultJob:
    """Each warning code once, as the ledger keeps them."""
    once: dict[str, JobWarning] = {}
    for warning in warnings:
        once.setdefault(warning.code, warning)
    status = JobStatus.COMPLETED_WITH_WARNINGS if once else JobStatus.COMPLETED
    return ResultJob(job.id, job.session_id, status, tuple(once.values()), job.created_at, now)


def _audio(known: Known) -> ResultAudio:
    facts = known.source.facts
    duration_s = round(known.prepared.duration_s, 3)
    return ResultAudio(duration_s, known.source.sha256, facts.sample_rate_hz, facts.channels, facts.codec)


def _timings(known: Known) -> dict[Stage, StageTiming]:
    audio_s = known.prepared.duration_s
    return {
        stage: StageTiming(round(known.timings[stage], 3), round(known.timings[stage] / audio_s, 4) if audio_s else 0.0)
        for stage in Stage
        if stage in known.timings
    }
