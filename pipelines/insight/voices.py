"""Whose voice a speaker has: the cosine between the speaker's embedding and each enrolled voice, and how sure that is.

The limit was measured on real recordings, in the telephone's band too (`python -m bench.voices` prints the rates).
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from shared.domain.ids import SpeakerId, VoiceId
from shared.domain.speakers import TELEPHONE, KnownVoice, VoiceMatch
from shared.domain.transcript import Diarization

# Cosine from which on a speaker is taken for the enrolled person: in the full band, and in a telephone's, where
# strangers too are alike.
SAME_VOICE, SAME_VOICE_TELEPHONE = 0.5, 0.73
CERTAINTY_STEP, CERTAINTY_STEP_TELEPHONE = 0.06, 0.03  # cosine that makes the odds e times better
LEAD = 0.05  # over the next voice of the owner: nearer than this, nobody can say which of the two it is

MATCHING: Mapping[str, float] = MappingProxyType(
    {"same_voice": SAME_VOICE, "same_voice_telephone": SAME_VOICE_TELEPHONE, "lead": LEAD}
)


def match_voices(diarization: Diarization | None, voices: Sequence[KnownVoice]) -> dict[SpeakerId, VoiceMatch]:
    """The best pairs first; each speaker has one voice at most, and each voice is one speaker's."""
    if diarization is None:
        return {}
    known = [voice for voice in voices if voice.model == diarization.embedding_model]
    scores = {
        (speaker, voice.id): float(np.dot(embedding, voice.embedding))
        for speaker, embedding in diarization.embeddings.items()
        for voice in known
    }
    named = {voice.id: voice for voice in known}
    found: dict[SpeakerId, VoiceMatch] = {}
    for (speaker, voice_id), score in sorted(scores.items(), key=lambda pair: -pair[1]):
        taken = speaker in found or voice_id in {match.voice for match in found.values()}
        if (
            score >= _limit(diarization.embedding_model)
            and not taken
            and not _rivalled(speaker, named[voice_id], scores, named)
        ):
            found[speaker] = _match(named[voice_id], score)
    return found


def _rivalled(
    speaker: SpeakerId,
    voice: KnownVoice,
    scores: Mapping[tuple[SpeakerId, VoiceId], float],
    named: Mapping[VoiceId, KnownVoice],
) -> bool:
    """Whether a voice of another role is as near: two profiles of one person do no harm."""
    own = scores[speaker, voice.id]
    others = (s for (who, other), s in scores.items() if who == speaker and named[other].role is not voice.role)
    return any(own - other < LEAD for other in others)


def _match(voice: KnownVoice, score: float) -> VoiceMatch:
    return VoiceMatch(voice.id, voice.label, voice.role, round(score, 4), _confidence(score, voice.model))


def _limit(model: str | None) -> float:
    return SAME_VOICE_TELEPHONE if (model or "").endswith(TELEPHONE) else SAME_VOICE


def _confidence(score: float, model: str) -> float:
    """Even odds at the limit."""
    step = CERTAINTY_STEP_TELEPHONE if model.endswith(TELEPHONE) else CERTAINTY_STEP
    return round(1 / (1 + math.exp(-(score - _limit(model)) / step)), 2)
