"""Analyze: words and turns in; a transcript with speakers, exact metrics and a rule-based coaching report out. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from pipelines.insight import floor
from pipelines.insight.catalogue import Catalogue, catalogue, report_language
from pipelines.insight.coach_report import Insight, insight_of_conversation, insight_without_speakers
from pipelines.insight.coaching import RULES_VERSION
from pipelines.insight.conversation import Conversation
from pipelines.insight.emotion.analysis import WINDOW_MS as EMOTION_WINDOW_MS
from pipelines.insight.not_measured import NO_SPEAKERS, NO_SPEECH
from pipelines.insight.roles import Hints, contradicted, roles_from
from pipelines.insight.sound import UNHEARD, Listening, sound_of
from pipelines.insight.timeline import NOBODY, REFLECTIVE_MS, STEP_MS, WINDOW_MS
from pipelines.insight.voices import MATCHING, match_voices
from pipelines.text.attribution import attribute, speakers_of_channels, turns_of_channels
from pipelines.text.glossary import GLOSSARY_VERSION, corrected
from pipelines.text.merging import merged, merged_turns
from pipelines.text.readable import TEXT_RULES, readable
from pipelines.text.segments import build_transcript
from shared.domain.audio import LanguageGuess, PreparedAudio
from shared.domain.glossary import Term
from shared.domain.insight import Analysis, Speaker, Transcript
from shared.domain.job import JobOptions, JobWarning, Stage
from shared.domain.speakers import NOTHING_SAID, KnownVoice, SpeakerChange
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn, Transcription
from shared.ports.emotion import EmotionModel

NO_SPEECH_WARNING = JobWarning("no_speech", "No speech was found in the recording", Stage.ANALYZE)
NO_SPEAKERS_WARNING = JobWarning(
    "diarization_failed", "The speakers could not be told apart; the transcript is complete", Stage.ANALYZE
)

ROLES_DIFFER_WARNING = JobWarning(
    "roles_contradict_voice",
    "An enrolled voice says otherwise than the order of roles given with the recording; the voice was followed",
    Stage.ANALYZE,
)

RULES_PROVENANCE = Provenance(
    provider="vibeinsight",
    model="rules",  # no model judges: metrics by definition, skills by formula, diagnosis by table
    version=RULES_VERSION,
    parameters={
        "ipu_join_ms": floor.IPU_JOIN_MS,
        "backchannel_ms": floor.BACKCHANNEL_MS,
        "interruption_overlap_ms": floor.OVERLAP_GRACE_MS,
        "turn_pause_ms": floor.TURN_PAUSE_MS,
        "reflective_silence_ms": REFLECTIVE_MS,
        "window_ms": WINDOW_MS,
        "window_step_ms": STEP_MS,
        "voice_matching": dict(MATCHING),
        "text": TEXT_RULES,
        "emotion": {"valence": "words", "arousal": "voice", "window_ms": EMOTION_WINDOW_MS},
    },
)


def analyze_parameters(options: JobOptions) -> dict[str, object]:
    """What changes the document beside its inputs: for the cache key."""
    return {
        "rules_version": RULES_VERSION,
        "text_rules": [TEXT_RULES["version"], GLOSSARY_VERSION],
        "language": options.language,
        "report_language": options.report_language,
        "roles": list(options.roles),
    }


def analyze(  # noqa: PLR0913 all named; each is one thing that the stage is told
    *,
    options: JobOptions,
    prepared: PreparedAudio,
    transcriptions: Sequence[Transcription],
    diarization: Diarization | None,
    said: SpeakerChange = NOTHING_SAID,
    voices: Sequence[KnownVoice] = (),
    terms: Sequence[Term] = (),
    listening: Listening | None = None,
) -> Analysis:
    """`diarization` None: it failed; where channels carry one person each, their voice activity stands in.

    `said`: what people corrected of the speakers. `voices`: those that the owner has enrolled. `terms`: their glossary.
    `listening` None: the recording is kept no longer, so how the voices sound is not measured, and the result says so.
    """
    language = _language(options, prepared, transcriptions)
    channels = speakers_of_channels(prepared, diarization.turns if diarization else turns_of_channels(prepared))
    channels = {channel: said.merged.get(speaker, speaker) for channel, speaker in channels.items()}
    diarization = diarization and merged(diarization, said.merged)
    turns = diarization.turns if diarization else merged_turns(turns_of_channels(prepared), said.merged)
    words = attribute(transcriptions, diarization.exclusive if diarization else turns, channels)
    words = corrected(words, terms, language.code if language else None)
    words = readable(words, language.code if language else None, options.report_language)
    texts = catalogue(report_language(options.report_language, language.code if language else None))
    transcript = build_transcript(words)
    if not (words and turns):
        return _without_speakers(transcript, prepared, language, texts)
    conversation = Conversation.of(turns, transcript.segments, language.code if language else None)
    hints = Hints(options.roles, channels, said, match_voices(diarization, voices))
    speakers = roles_from(conversation, hints)
    warnings = (ROLES_DIFFER_WARNING,) if contradicted(conversation, hints) else ()
    sound = sound_of(listening, conversation) if listening else UNHEARD
    insight = insight_of_conversation(conversation, speakers, texts, sound)
    found = _analysis(transcript, insight, texts, language=language, speakers=speakers, turns=turns, warnings=warnings)
    return _naming(found, listening.model) if listening and listening.model else found


def _naming(analysis: Analysis, emotion: EmotionModel) -> Analysis:
    """With the model of emotion in the provenance of what it had a part in."""
    rules = analysis.provenance
    parameters = {**rules.parameters, "emotion": asdict(emotion.provenance)}
    return replace(analysis, provenance=replace(rules, parameters=parameters))


def _language(
    options: JobOptions, prepared: PreparedAudio, transcriptions: Sequence[Transcription]
) -> LanguageGuess | None:
    """What the caller said, else what most words were recognised in, else what preprocessing heard."""
    if options.language:
        return LanguageGuess(options.language, 1.0)
    heard = [t for t in transcriptions if t.language and t.words]
    most = max(heard, key=lambda t: len(t.words), default=None)
    return most.language if most else prepared.language


def _without_speakers(
    transcript: Transcript, prepared: PreparedAudio, language: LanguageGuess | None, texts: Catalogue
) -> Analysis:
    """No words: no speech. Words without turns: voice activity, as turns of nobody, still shows the silences."""
    said = bool(transcript.segments)
    nobody = [SpeakerTurn(span.start_s, span.end_s, NOBODY) for span in prepared.mix.speech] if said else []
    conversation = Conversation.of(nobody, transcript.segments, language.code if language else None)
    insight = insight_without_speakers(conversation, NO_SPEAKERS if said else NO_SPEECH, texts)
    warning = NO_SPEAKERS_WARNING if said else NO_SPEECH_WARNING
    return _analysis(transcript, insight, texts, language=language if said else None, warnings=(warning,))


def _analysis(
    transcript: Transcript,
    insight: Insight,
    texts: Catalogue,
    *,
    language: LanguageGuess | None,
    speakers: tuple[Speaker, ...] = (),
    turns: tuple[SpeakerTurn, ...] = (),
    warnings: tuple[JobWarning, ...] = (),
) -> Analysis:
    return Analysis(
        language=language,
        report_language=texts.language,
        speakers=speakers,
        turns=turns,
        transcript=transcript,
        metrics=insight.metrics,
        report=insight.report,
        not_measured=insight.not_measured,
        warnings=(*warnings, *_dropped(insight)),
        provenance=RULES_PROVENANCE,
        prosody=insight.prosody,
    )


def _dropped(insight: Insight) -> tuple[JobWarning, ...]:
    if not insight.dropped_quotes:
        return ()
    message = f"{insight.dropped_quotes} quotations did not match the transcript and were left out"
    return (JobWarning("quotes_dropped", message, Stage.ANALYZE),)
