"""What the analyze stage finds out about a conversation: its transcript, exact metrics and coaching report.

What was not measured is None, and `Analysis.not_measured` says why. Nothing here has a made-up default.
Ratios and shares are 0..1, times are seconds on the recording's own time line unless a name says otherwise.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.audio import LanguageGuess
from shared.domain.ids import SpeakerId
from shared.domain.job import JobWarning
from shared.domain.transcript import Provenance, Segment, SpeakerTurn


class Role(StrEnum):
    COACH = "coach"
    CLIENT = "client"
    UNKNOWN = "unknown"


class RoleSource(StrEnum):
    GIVEN = "given"  # somebody said it of this very speaker, in a correction
    ENROLLED_VOICE = "enrolled_voice"  # the speaker has the voice of somebody whose role is known
    OPTIONS = "options"  # the caller named the roles in order of first speech
    CHANNEL = "channel"  # the caller named the roles in order of channel
    BEHAVIOUR = "behaviour"  # from who asks, who talks less, who opens and closes
    UNDECIDED = "undecided"


class EventType(StrEnum):
    OVERLAP = "overlap"
    SILENCE = "silence"
    INTERRUPTION = "interruption"
    MONOLOGUE = "monologue"


class WordUnit(StrEnum):
    """What `words` counts: Japanese and Chinese write no spaces, so there each character counts."""

    WORD = "word"
    CHARACTER = "character"


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A field that is null, and why."""

    path: str  # as in the result document: "metrics.patience_s"
    code: str  # stable, for programs
    reason: str  # for people, in the report's language


@dataclass(frozen=True, slots=True)
class Speaker:
    id: SpeakerId
    role: Role
    role_source: RoleSource
    role_confidence: float | None  # 0..1; None while undecided
    name: str | None = None
    voice_id: str | None = None  # the enrolled or remembered voice that this speaker has
    voice_confidence: float | None = None  # 0..1


@dataclass(frozen=True, slots=True)
class Transcript:
    text: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class SpeakerMetrics:
    """One speaker's figures. Counts taken from words are None where the language has no published rules."""

    speaking_s: float  # union of the speaker's own speech
    share: float  # of the sum of everybody's speaking_s
    turns: int
    words: int  # in `Metrics.word_unit`
    words_per_minute: float | None  # of own speech
    longest_turn_s: float
    questions: int | None
    open_questions: int | None
    fillers: int | None
    backchannels: int
    interruptions: int


@dataclass(frozen=True, slots=True)
class ReflectiveSilence:
    """A silence of 3 s or more between two stretches of speech."""

    start_s: float
    end_s: float
    duration_s: float
    after: SpeakerId | None
    broken_by: SpeakerId | None


@dataclass(frozen=True, slots=True)
class TalkWindow:
    """Who talked how much in one window; `shares` is empty and `dominant` None where nobody spoke."""

    start_s: float
    end_s: float
    shares: dict[SpeakerId, float]
    dominant: SpeakerId | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """The exact metrics. Definitions, denominators and sources: pipelines/insight/metrics.py."""

    per_speaker: dict[SpeakerId, SpeakerMetrics] | None
    word_unit: WordUnit
    coach_speaking_ratio: float | None
    client_speaking_ratio: float | None
    gini_coefficient: float | None
    overlap_s: float | None
    silence_s: float | None
    interactivity_per_hour: float | None
    median_floor_transfer_offset_s: float | None
    patience_s: float | None
    think_time_s: float | None
    reflective_silences: tuple[ReflectiveSilence, ...]
    timeline: tuple[TalkWindow, ...]


@dataclass(frozen=True, slots=True)
class SpeakerAnalysis:
    coach_speaking_ratio: float | None
    client_speaking_ratio: float | None
    gini_coefficient: float | None


@dataclass(frozen=True, slots=True)
class Example:
    """A quotation that is part of its segment's text, letter by letter."""

    segment_id: str
    quote: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Skill:
    score: float | None  # 1..5
    confidence: float | None  # 0..1
    rationale: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class CoachingSkills:
    listening: Skill
    questioning: Skill
    empathy: Skill
    feedback: Skill


@dataclass(frozen=True, slots=True)
class EmotionShares:
    """Percentages; they sum to 100."""

    positive: float
    neutral: float
    negative: float


@dataclass(frozen=True, slots=True)
class EmotionPoint:
    """One window of one speaker. `shares` and `valence` are of words, `arousal` of the voice, against their own usual.

    With a model of emotion both come from the voice. None where the window does not hold enough to tell.
    """

    start_s: float
    end_s: float
    speaker: SpeakerId
    shares: EmotionShares | None
    valence: float | None = None  # -1 unpleasant .. 1 pleasant
    arousal: float | None = None  # -1 calmer .. 1 more stirred than this speaker's usual
    confidence: float | None = None  # 0..1


@dataclass(frozen=True, slots=True)
class SpeakerEmotion:
    """One speaker over the whole conversation. Percentages are of the time of the sentences heard."""

    shares: EmotionShares | None
    valence: float | None
    confidence: float | None  # of both
    sentences: int
    with_feeling: int  # sentences in which a word of the lexicon was found


@dataclass(frozen=True, slots=True)
class EmotionTurn:
    """Where the feeling turns: `kind` is brightens, darkens, stirs or calms."""

    time: float  # seconds, as in events
    speaker: SpeakerId
    kind: str
    before: float
    after: float
    segment_id: str | None
    quote: str | None


@dataclass(frozen=True, slots=True)
class EmotionAnalysis:
    coach: EmotionShares | None
    client: EmotionShares | None
    timeline: tuple[EmotionPoint, ...]
    per_speaker: dict[SpeakerId, SpeakerEmotion] = field(default_factory=dict)
    turns: tuple[EmotionTurn, ...] = ()
    sources: tuple[str, ...] = ()  # what it was read from: words, voice, model


@dataclass(frozen=True, slots=True)
class SpeakerProsody:
    """How one speaker sounds while nobody else speaks. Definitions: docs/metrics.md."""

    measured_s: float  # own speech that was listened to
    voiced_share: float
    pitch_median_hz: float
    pitch_low_hz: float  # 10th percentile
    pitch_high_hz: float  # 90th percentile
    pitch_range_semitones: float
    level_median_db: float  # of full scale
    level_range_db: float
    pauses: int
    pauses_per_minute: float
    pause_median_s: float | None
    jitter: float | None  # a share: 0.01 is 1 %
    shimmer: float | None
    harmonics_to_noise_db: float


@dataclass(frozen=True, slots=True)
class ConversationEvent:
    """`speaker` is who interrupts, talks on, comes in over the other, or ends the silence."""

    type: EventType
    speaker: SpeakerId | None
    time: float  # seconds; named as clients know it
    duration: float  # seconds
    description: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    key: str  # stable, for programs
    name: str
    icon: str
    description: str


@dataclass(frozen=True, slots=True)
class Prescription:
    """One piece of advice, tied to a measured weak point and, where there is one, to the moment it refers to."""

    key: str
    skill: str
    title: str
    text: str
    start_s: float | None
    segment_id: str | None
    quote: str | None


@dataclass(frozen=True, slots=True)
class ActionItem:
    text: str
    owner: str  # a role, or the speaker's id where the role is unknown
    segment_id: str
    quote: str | None = None  # where a model worded `text`: what was said


class Basis(StrEnum):
    """What a part of the report was made by."""

    RULES = "rules"
    MODEL = "model"


class Phase(StrEnum):
    """GROW, and what lies around it."""

    GOAL = "goal"
    REALITY = "reality"
    OPTIONS = "options"
    WILL = "will"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CoachMove:
    """A question, reflection or affirmation of the coach, as a model suggests it."""

    kind: str  # open_question, closed_question, simple_reflection, complex_reflection, affirmation
    segment_id: str
    quote: str
    start_s: float


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """Segments in a row that a model puts in one phase, first and last included."""

    phase: Phase
    first_segment_id: str
    last_segment_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class MarkerEvidence:
    """Where a model suggests that one of the ICF's PCC markers shows."""

    marker: str  # its number: "6.7"
    meaning: str  # in a few words of ours
    segment_id: str
    quote: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Uncoded:
    """A stretch that no model coded."""

    start_s: float
    end_s: float
    code: str  # why: answer_truncated, content_filtered …


@dataclass(frozen=True, slots=True)
class CoachingCodes:
    """Suggestions of a language model, each with a checked quotation; never measurements."""

    moves: tuple[CoachMove, ...]
    phases: tuple[PhaseSpan, ...]
    markers: tuple[MarkerEvidence, ...]
    uncoded: tuple[Uncoded, ...]


@dataclass(frozen=True, slots=True)
class Report:
    speaker_analysis: SpeakerAnalysis
    coaching_skills: CoachingSkills
    emotion_analysis: EmotionAnalysis
    conversation_events: tuple[ConversationEvent, ...]
    diagnosis: Diagnosis | None
    prescriptions: tuple[Prescription, ...]
    summary: str
    action_items: tuple[ActionItem, ...]
    codes: CoachingCodes | None = None
    basis: dict[str, Basis] = field(default_factory=dict)  # part of the report -> what made it; rules where not named


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analyze stage's document."""

    language: LanguageGuess | None
    report_language: str  # en, ja or zh-TW
    speakers: tuple[Speaker, ...]
    turns: tuple[SpeakerTurn, ...]  # overlap-aware
    transcript: Transcript
    metrics: Metrics
    report: Report
    not_measured: tuple[NotMeasured, ...]
    warnings: tuple[JobWarning, ...]
    provenance: Provenance
    prosody: dict[SpeakerId, SpeakerProsody] | None = None  # None: the sound was not listened to, or nobody spoke
