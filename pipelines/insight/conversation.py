"""One conversation, seen through time and through words: what roles, metrics, events and coaching all read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.insight.floor import Floor, analyse_floor
from pipelines.insight.intervals import Bounds, Speech, intersect, measure, to_ms, union
from pipelines.insight.language import rules_for
from pipelines.insight.language.rules import LanguageRules, QuestionKind, is_marked
from pipelines.text.script import ends_sentence, join_sentences
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Segment, SpeakerTurn

SENTENCE_PAUSE_S = 3.0  # a speaker who goes on within a turn pause may still be in the same sentence
MOST_FRAGMENTS = 3  # a sentence spread over more stretches than this is missing its full stop


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one speaker said up to a full stop, with the segments it runs over."""

    speaker: SpeakerId | None
    text: str
    segments: tuple[Segment, ...]
    question: QuestionKind | None  # "closed" also where only the question mark is known
    reflection: bool
    feeling: bool
    affirmation: bool
    commitment: bool

    @property
    def segment(self) -> Segment:
        return self.segments[0]

    @property
    def start_ms(self) -> int:
        return to_ms(self.segments[0].start_s)


@dataclass(frozen=True)
class Conversation:
    """`speech` is overlap-aware and feeds everything about time; `segments` feed everything about words."""

    speech: tuple[Speech, ...]
    segments: tuple[Segment, ...]
    language: str | None

    @classmethod
    def of(cls, turns: Sequence[SpeakerTurn], segments: Sequence[Segment], language: str | None) -> "Conversation":
        speech = (Speech(to_ms(turn.start_s), to_ms(turn.end_s), turn.speaker) for turn in turns)
        return cls(tuple(piece for piece in speech if piece.duration_ms > 0), tuple(segments), language)

    @cached_property
    def rules(self) -> LanguageRules | None:
        return rules_for(self.language)

    @cached_property
    def floor(self) -> Floor:
        return analyse_floor(self.speech)

    @cached_property
    def speakers(self) -> tuple[SpeakerId, ...]:
        """In order of first speech."""
        ordered = sorted(self.speech, key=lambda piece: (piece.bounds, piece.speaker))
        return tuple(dict.fromkeys(piece.speaker for piece in ordered))

    @cached_property
    def by_speaker(self) -> dict[SpeakerId, list[Bounds]]:
        """Each speaker's own speech as a union."""
        return {s: union(piece.bounds for piece in self.speech if piece.speaker == s) for s in self.speakers}

    @cached_property
    def talk_ms(self) -> dict[SpeakerId, int]:
        return {speaker: measure(bounds) for speaker, bounds in self.by_speaker.items()}

    @cached_property
    def spoken(self) -> list[Bounds]:
        """When anybody spoke."""
        return union(piece.bounds for piece in self.speech)

    @cached_property
    def overlapped(self) -> list[Bounds]:
        """When two or more spoke at once."""
        speakers = self.speakers
        pairs = ((a, b) for i, a in enumerate(speakers) for b in speakers[i + 1 :])
        return union(common for a, b in pairs for common in intersect(self.by_speaker[a], self.by_speaker[b]))

    @property
    def span_ms(self) -> int:
        """From the first speech to the last."""
        return self.spoken[-1][1] - self.spoken[0][0] if self.spoken else 0

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences by start; fragments between pauses are joined up to their full stop."""
        speakers = dict.fromkeys(segment.speaker for segment in self.segments)
        groups = [g for s in speakers for g in _grouped([seg for seg in self.segments if seg.speaker == s])]
        return tuple(sorted((self._sentence(group) for group in groups), key=lambda s: (s.start_ms, s.segment.id)))

    def said_by(self, speakers: Sequence[SpeakerId]) -> list[Sentence]:
        return [sentence for sentence in self.sentences if sentence.speaker in speakers]

    def _sentence(self, group: list[Segment]) -> Sentence:
        text = join_sentences([segment.text for segment in group])
        rules = self.rules
        if rules is None:
            marked = QuestionKind.CLOSED if is_marked(text) else None
            return Sentence(group[0].speaker, text, tuple(group), marked, False, False, False, False)
        return Sentence(
            speaker=group[0].speaker,
            text=text,
            segments=tuple(group),
            question=rules.question_kind(text),
            reflection=rules.is_reflection(text),
            feeling=rules.names_feeling(text),
            affirmation=rules.is_affirmation(text),
            commitment=rules.is_commitment(text),
        )

    def segment_at(self, at_ms: int, speaker: SpeakerId | None = None) -> Segment | None:
        """The segment (of that speaker) being said at this time, else the nearest."""
        candidates = [s for s in self.segments if speaker is None or s.speaker == speaker]
        return min(candidates, key=lambda s: _distance_ms(s, at_ms), default=None)


def _distance_ms(segment: Segment, at_ms: int) -> int:
    return max(to_ms(segment.start_s) - at_ms, at_ms - to_ms(segment.end_s), 0)


def _grouped(segments: list[Segment]) -> list[list[Segment]]:
    """One speaker's segments as sentences; a run that never reaches a full stop stays as it was."""
    groups: list[list[Segment]] = []
    at = 0
    while at < len(segments):
        length = _sentence_length(segments[at : at + MOST_FRAGMENTS])
        groups.append(segments[at : at + length])
        at += length
    return groups


def _sentence_length(following: list[Segment]) -> int:
    for length, segment in enumerate(following, start=1):
        if ends_sentence(segment.text):
            return length
        if length < len(following) and following[length].start_s - segment.end_s > SENTENCE_PAUSE_S:
            return 1
    return 1
