"""The analyze and synthesize stages: whole documents, and what they say when something is missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.stages.analyze import analyze, analyze_parameters
from pipelines.stages.synthesize import LONGEST_SPOKEN, Synthesis, synthesize, synthesize_parameters
from shared.domain.errors import Cancelled, SetupError
from shared.domain.job import JobOptions, JobStatus, JobWarning, Stage
from shared.domain.wire import result_from_dict, result_schema, result_to_dict
from shared.ports.voice import Speech
from tests.insight_samples import (
    COACHING,
    COACHING_ZH,
    NOW,
    analysis_of,
    job_of,
    known_of,
    prepared_of,
    result_of,
    transcription_of,
)

pytestmark = pytest.mark.unit

DESIGNED = {
    "": "schema job audio language speakers turns transcript metrics report provenance timings",
    "job": "id session_id status warnings created_at finished_at",
    "audio": "duration_s sha256 sample_rate_hz channels codec",
    "transcript": "text segments",
    "metrics": "per_speaker coach_speaking_ratio client_speaking_ratio gini_coefficient overlap_s silence_s "
    "interactivity_per_hour median_floor_transfer_offset_s patience_s think_time_s reflective_silences timeline",
    "report": "speaker_analysis coaching_skills emotion_analysis conversation_events diagnosis prescriptions summary "
    "action_items",
}


class Voice:
    """A synthesizer that hums, or does what it is told to."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._then = then
        self.spoken: list[tuple[str, str]] = []

    def speak(self, text: str, language: str) -> Speech:
        self.spoken.append((text, language))
        self._then()
        return Speech(np.zeros(2400, dtype=np.float32), 24_000, "hum")


def _raise(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def _synthesize(tmp_path: Path, voice: Voice | None, **options: bool) -> Synthesis:
    return synthesize(known_of(COACHING, **options), synthesizer=voice, workdir=tmp_path, now=NOW)


def _codes(analysis_or_job: object) -> list[str]:
    return [warning.code for warning in analysis_or_job.warnings]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("place", "names"), DESIGNED.items(), ids=lambda value: str(value)[:12] or "document")
def test_every_designed_field_is_there(place: str, names: str) -> None:
    """Null at the least, never left out; also when no speech was found."""
    for lines in (COACHING, ()):
        document = result_of(lines)
        part = document[place] if place else document
        assert set(names.split()) <= set(part)


def test_result_survives_its_json() -> None:
    """What the API serves can be read back to the same document, and its schema names the version."""
    document = result_of(COACHING)
    assert result_to_dict(result_from_dict(document)) == document
    assert result_schema()["properties"]["schema"]["const"] == "vibeinsight.result/1"


def test_report_repeats_the_measured_ratios() -> None:
    """The ratios under `report` are those of `metrics`, to the last digit."""
    document = result_of(COACHING)
    for name, value in document["report"]["speaker_analysis"].items():
        assert value == document["metrics"][name] is not None


def test_no_speech_invents_nothing() -> None:
    """A warning, empty lists, nulls with one reason, and a summary that says so."""
    analysis = analysis_of(())
    assert _codes(analysis) == ["no_speech"]
    assert (analysis.speakers, analysis.turns, analysis.transcript.segments, analysis.language) == ((), (), (), None)
    assert analysis.metrics.per_speaker is None
    assert analysis.metrics.silence_s is None
    assert analysis.report.coaching_skills.empathy.score is None
    assert analysis.report.summary == "No speech was found in the recording, so there is nothing to report."
    assert {missing.code for missing in analysis.not_measured} == {"no_speech"}


def test_voices_without_a_single_word_are_no_speech() -> None:
    """Music can pass voice activity; without words there is nothing to report on."""
    analysis = analyze(
        options=JobOptions(), prepared=prepared_of(COACHING), transcriptions=[transcription_of([])], diarization=None
    )
    assert _codes(analysis) == ["no_speech"]
    assert analysis.metrics.silence_s is None


def test_missing_diarization_keeps_the_transcript() -> None:
    """Words without names, silences by voice activity, and nulls that say why."""
    analysis = analyze(
        options=JobOptions(roles=("coach", "client")),
        prepared=prepared_of(COACHING),
        transcriptions=[transcription_of(COACHING)],
        diarization=None,
    )
    assert _codes(analysis) == ["diarization_failed"]
    assert analysis.transcript.text.startswith("Hello, what would you like")
    assert {segment.speaker for segment in analysis.transcript.segments} == {None}
    assert analysis.metrics.per_speaker is None
    assert analysis.metrics.silence_s == pytest.approx(4.4)
    assert analysis.metrics.overlap_s is None
    assert analysis.report.conversation_events == ()
    assert {m.code for m in analysis.not_measured} == {"speakers_not_separated"}


def test_single_speaker_has_shares_but_no_exchange() -> None:
    """One voice has all of the talk; waits and Gini are null with their reason."""
    analysis = analysis_of([line for line in COACHING if line[0] == "S1"])
    assert analysis.metrics.per_speaker is not None
    assert [own.share for own in analysis.metrics.per_speaker.values()] == [1.0]
    assert analysis.metrics.gini_coefficient is None
    assert analysis.metrics.patience_s is None
    codes = {missing.path: missing.code for missing in analysis.not_measured}
    assert codes["metrics.gini_coefficient"] == codes["metrics.patience_s"] == "single_speaker"
    assert codes["metrics.coach_speaking_ratio"] == "roles_unknown"
    assert codes["report.speaker_analysis.gini_coefficient"] == "single_speaker"


def test_every_null_metric_has_a_reason() -> None:
    """For a full talk, for one voice, for unknown roles and for no speech."""
    alone = [line for line in COACHING if line[0] == "S2"]
    for analysis in (analysis_of(COACHING), analysis_of(alone), analysis_of(COACHING[1:2]), analysis_of(())):
        said = {missing.path for missing in analysis.not_measured}
        missing = {f"metrics.{n}" for n in analysis.metrics.__slots__ if getattr(analysis.metrics, n) is None}
        assert missing <= said
        assert (analysis.report.diagnosis is None) == ("report.diagnosis" in said)
        emotion = analysis.report.emotion_analysis
        assert (emotion.coach is None) == ("report.emotion_analysis.coach" in said)
        assert (analysis.prosody is None) == ("prosody" in said)


@pytest.mark.parametrize(
    ("asked", "recording", "used"),
    [(None, "en", "en"), (None, "ja", "ja"), (None, "zh", "zh-TW"), (None, "fr", "en"), ("ja", "en", "ja")],
)
def test_report_language(asked: str | None, recording: str, used: str) -> None:
    """What was asked for, else the recording's, else English."""
    assert analysis_of(COACHING, recording, report_language=asked).report_language == used


def test_report_is_written_in_its_language() -> None:
    """Chinese recording, Chinese report, without a word of English between."""
    report = analysis_of(COACHING_ZH, "zh").report
    assert report.diagnosis is not None
    assert "客戶占談話的" in report.summary
    assert not any("a" <= letter <= "z" for letter in report.summary + report.coaching_skills.listening.rationale)


def test_language_that_was_asked_for_is_certain() -> None:
    """Else it is what the recogniser heard."""
    assert analysis_of(COACHING, language="en").language == transcription_of(COACHING).language
    prepared, heard = prepared_of(COACHING), [transcription_of(COACHING)]
    options = JobOptions(language="en")
    analysis = analyze(options=options, prepared=prepared, transcriptions=heard, diarization=None)
    assert analysis.language is not None
    assert analysis.language.confidence == 1.0


def test_parameters_change_with_what_changes_the_document() -> None:
    """Roles and languages are part of the cache key, and a result is never another job's."""
    assert analyze_parameters(JobOptions()) != analyze_parameters(JobOptions(roles=("coach", "client")))
    assert analyze_parameters(JobOptions()) != analyze_parameters(JobOptions(report_language="ja"))
    assert synthesize_parameters(job_of())["job"] == job_of().id


def test_spoken_summary_is_a_file(tmp_path: Path) -> None:
    """FLAC at the voice's own rate, in the report's language, and the engine is named."""
    voice = Voice()
    document, files, warnings = _synthesize(tmp_path, voice)
    assert soundfile.info(files["summary.flac"]).samplerate == 24_000
    assert warnings == ()
    assert [language for _, language in voice.spoken] == ["en"]
    assert 0 < len(voice.spoken[0][0]) <= LONGEST_SPOKEN
    assert voice.spoken[0][0].endswith(".")
    assert document.provenance[Stage.SYNTHESIZE].model == "hum"
    assert document.job.status is JobStatus.COMPLETED


def test_chinese_summary_is_spoken_in_chinese(tmp_path: Path) -> None:
    """Voices know ISO 639-1, the report knows zh-TW."""
    voice = Voice()
    synthesize(known_of(COACHING_ZH, "zh"), synthesizer=voice, workdir=tmp_path, now=NOW)
    assert [language for _, language in voice.spoken] == ["zh"]


@pytest.mark.parametrize("error", [SetupError("No voice is installed for en"), RuntimeError("model broke")])
def test_failed_voice_is_a_warning(tmp_path: Path, error: Exception) -> None:
    """The report is there all the same."""
    document, files, warnings = _synthesize(tmp_path, Voice(_raise(error)))
    assert files == {}
    assert [warning.code for warning in warnings] == ["spoken_summary_failed"]
    assert document.job.status is JobStatus.COMPLETED_WITH_WARNINGS
    assert document.report.summary


def test_cancel_while_speaking_stops_the_stage(tmp_path: Path) -> None:
    """A cancelled job is not a voice that failed."""
    with pytest.raises(Cancelled):
        _synthesize(tmp_path, Voice(_raise(Cancelled("cancelled"))))


def test_warnings_are_told_once(tmp_path: Path) -> None:
    """The job's, the analysis' and the stage's own, each code once."""
    told = JobWarning("no_speech", "No speech was found in the recording", Stage.PREPROCESS)
    known = known_of((), job=job_of((told,)))
    document = synthesize(known, synthesizer=None, workdir=tmp_path, now=NOW).document
    assert document.job.warnings == (told,)


def test_timings_and_provenance(tmp_path: Path) -> None:
    """7.2 s for 72 s of audio are a real-time factor of 0.1; the rules name themselves."""
    document = _synthesize(tmp_path, None).document
    timing = document.timings[Stage.TRANSCRIBE]
    assert (timing.seconds, timing.real_time_factor) == (7.2, 0.1)
    assert document.provenance[Stage.ANALYZE].model == "rules"
    assert list(document.timings) == [Stage.DOWNLOAD, Stage.TRANSCRIBE]
