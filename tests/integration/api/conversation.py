"""A short conversation and the result that the last two stages make of it, for tests that serve it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.stages.analyze import analyze
from pipelines.stages.synthesize import Known, synthesize
from shared.domain.audio import LanguageGuess, MediaFacts, PreparedAudio, Shard, SourceAudio, Span, Track
from shared.domain.ids import SpeakerId
from shared.domain.job import Job
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn, Transcription, Word
from shared.store.rows import to_json

SAID = (
    ("S1", 0.0, "What would you like to talk about today?"),
    ("S2", 4.0, "I want to sleep better <script>alert(1)</script>"),
    ("S1", 9.0, "How would you notice that?"),
    ("S2", 13.0, "I would wake up before the alarm."),
)
TURN_S = 3.0
ENGINE = Provenance("test", "by hand", "1")


def result_of(job: Job, workdir: Path) -> dict[str, Any]:
    prepared = _prepared()
    diarization = _diarization()
    analysis = analyze(
        options=job.options, prepared=prepared, transcriptions=[_transcription()], diarization=diarization
    )
    source = SourceAudio("0" * 64, MediaFacts(20.0, 16_000, 1, "flac", "flac", 1000), "upload")
    known = Known(job, source, prepared, analysis, provenance={}, timings={})
    document: dict[str, Any] = to_json(
        synthesize(known, synthesizer=None, workdir=workdir, now=datetime.now(UTC)).document
    )
    return document


def _prepared() -> PreparedAudio:
    speech = tuple(Span(start, start + TURN_S) for _, start, _ in SAID)
    mix = Track("audio.flac", None, -20.0, speech)
    shard = Shard(0, "shard.flac", None, 0, 320_000, speech)
    return PreparedAudio(20.0, 320_000, mix, (), (shard,), LanguageGuess("en", 0.9), denoised=False)


def _transcription() -> Transcription:
    words = tuple(word for _, start, text in SAID for word in _words(start, text))
    return Transcription(0, None, LanguageGuess("en", 0.9), words, 0, ENGINE)


def _words(start_s: float, text: str) -> list[Word]:
    said = text.split()
    step_s = TURN_S / len(said)
    return [
        Word(start_s + place * step_s, start_s + (place + 1) * step_s, f" {word}", 0.9)
        for place, word in enumerate(said)
    ]


def _diarization() -> Diarization:
    turns = tuple(SpeakerTurn(start, start + TURN_S, SpeakerId(speaker)) for speaker, start, _ in SAID)
    return Diarization(turns, turns, (SpeakerId("S1"), SpeakerId("S2")), {}, None, ENGINE)
