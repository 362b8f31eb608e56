"""Emotion of a conversation: valence from words, arousal from the voice, both from a model where one is configured.

Windows of 20 s over the recording, one for each speaker who talks in it. Everything is a description with a low stated
confidence: neither word lists nor prosody know what somebody feels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.insight.conversation import Conversation
from pipelines.insight.emotion.arousal import Window, arousal_of
from pipelines.insight.emotion.turning import turning_points
from pipelines.insight.emotion.words import Felt, felt_sentences, shares_of, valence_of
from pipelines.insight.intervals import clip, measure, to_s
from pipelines.insight.prosody.hearing import Voice
from pipelines.insight.roles import speakers_with
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionAnalysis, EmotionPoint, EmotionShares, Role, Speaker, SpeakerEmotion
from shared.ports.emotion import Affect

WINDOW_MS = 20_000  # a few sentences: shorter ones hold too few words, longer ones level a turn out
LEAST_TALK_MS = 1_500  # of own speech in a window
LEAST_SPEECH_MS = 15_000  # of own speech in all; below, a share of pleasant sentences is chance
LEAST_SENTENCES = 3
FULL_EVIDENCE = 20  # sentences with feeling, from which on more add no confidence
WORDS_CONFIDENCE, VOICE_CONFIDENCE, MODEL_CONFIDENCE = 0.35, 0.3, 0.5  # at full evidence
WORDS, VOICE, MODEL = "words", "voice", "model"

Judged = Mapping[tuple[SpeakerId, int], Affect]  # by speaker and start of the window in ms


def windows_of(conversation: Conversation, speaker: SpeakerId) -> list[Window]:
    """Those of the fixed grid, from the first speech of all, in which this speaker talks."""
    if not conversation.spoken:
        return []
    first, last = conversation.spoken[0][0], conversation.spoken[-1][1]
    grid = (Window(start, min(start + WINDOW_MS, last)) for start in range(first, last, WINDOW_MS))
    own = conversation.by_speaker[speaker]
    return [window for window in grid if measure(clip(own, window.start_ms, window.end_ms)) >= LEAST_TALK_MS]


@dataclass(frozen=True)
class Emotions:
    """What there is to go by, and what follows from it."""

    conversation: Conversation
    voices: Mapping[SpeakerId, Voice] | None = None
    judged: Judged | None = None

    def analysis(self, speakers: Sequence[Speaker]) -> EmotionAnalysis:
        felt = felt_sentences(self.conversation)
        points = [p for s in self.conversation.speakers for p in self._points(s, felt[s] if felt is not None else [])]
        points.sort(key=lambda point: (point.start_s, point.speaker))
        own = {s: self._of_speaker(s, felt[s]) for s in self.conversation.speakers} if felt is not None else {}
        return EmotionAnalysis(
            coach=self._of_role(felt, Role.COACH, speakers),
            client=self._of_role(felt, Role.CLIENT, speakers),
            timeline=tuple(points),
            per_speaker=own,
            turns=turning_points(points, felt or {}),
            sources=self._sources(felt is not None, points),
        )

    def _of_role(
        self, felt: Mapping[SpeakerId, list[Felt]] | None, role: Role, speakers: Sequence[Speaker]
    ) -> EmotionShares | None:
        """All who have the role together."""
        found = speakers_with(role, speakers)
        said = [one for speaker in found for one in (felt or {}).get(speaker, ())]
        return shares_of(said) if self._enough(found, said) else None

    def _enough(self, speakers: Sequence[SpeakerId], said: Sequence[Felt]) -> bool:
        talk_ms = sum(self.conversation.talk_ms[speaker] for speaker in speakers)
        return talk_ms >= LEAST_SPEECH_MS and len(said) >= LEAST_SENTENCES

    def _of_speaker(self, speaker: SpeakerId, said: Sequence[Felt]) -> SpeakerEmotion:
        telling, enough = sum(1 for one in said if one.tone.found), self._enough([speaker], said)
        return SpeakerEmotion(
            shares=shares_of(said) if enough else None,
            valence=valence_of(said) if enough else None,
            confidence=round(WORDS_CONFIDENCE * min(1.0, telling / FULL_EVIDENCE), 2) if enough else None,
            sentences=len(said),
            with_feeling=telling,
        )

    def _points(self, speaker: SpeakerId, felt: Sequence[Felt]) -> list[EmotionPoint]:
        windows = windows_of(self.conversation, speaker)
        stirred = self._arousal(speaker, windows)
        points = [self._point(speaker, w, _inside(felt, w), a) for w, a in zip(windows, stirred, strict=True)]
        return [point for point in points if point.shares or point.arousal is not None or point.valence is not None]

    def _arousal(self, speaker: SpeakerId, windows: Sequence[Window]) -> list[float | None]:
        voice = (self.voices or {}).get(speaker)
        return arousal_of(voice, windows) if voice else [None] * len(windows)

    def _point(self, speaker: SpeakerId, window: Window, felt: Sequence[Felt], arousal: float | None) -> EmotionPoint:
        model = (self.judged or {}).get((speaker, window.start_ms))
        valence = valence_of(felt)
        if model:
            valence = model.valence if model.valence is not None else valence
            arousal = model.arousal if model.arousal is not None else arousal
        return EmotionPoint(
            start_s=to_s(window.start_ms),
            end_s=to_s(window.end_ms),
            speaker=speaker,
            shares=shares_of(felt),
            valence=valence,
            arousal=arousal,
            confidence=_confidence(valence, arousal, by_model=model is not None),
        )

    def _sources(self, words: bool, points: Sequence[EmotionPoint]) -> tuple[str, ...]:
        voice = any(point.arousal is not None for point in points)
        used = ((WORDS, words), (VOICE, voice and not self.judged), (MODEL, bool(self.judged)))
        return tuple(name for name, there in used if there)


def _confidence(valence: float | None, arousal: float | None, *, by_model: bool) -> float | None:
    """Of a window: of the surer of its two figures, halved, as a window holds a few sentences only."""
    if valence is None and arousal is None:
        return None
    if by_model:
        return MODEL_CONFIDENCE
    surest = max(WORDS_CONFIDENCE if valence is not None else 0, VOICE_CONFIDENCE if arousal is not None else 0)
    return round(surest / 2, 2)


def _inside(felt: Sequence[Felt], window: Window) -> list[Felt]:
    """Sentences that begin in the window."""
    return [one for one in felt if window.start_ms <= one.sentence.start_ms < window.end_ms]
