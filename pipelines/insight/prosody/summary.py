"""A speaker's voice in a few figures, each from moments in which nobody else spoke.

Definitions, denominators and sources are on docs/metrics.md, which a test holds to these fields.
"""

import statistics
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.insight.conversation import Conversation
from pipelines.insight.floor import IPU_JOIN_MS, TURN_PAUSE_MS
from pipelines.insight.intervals import gaps, union
from pipelines.insight.prosody.frames import HOP, Floats, Frames
from pipelines.insight.prosody.hearing import Voice
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import SpeakerId
from shared.domain.insight import SpeakerProsody

LEAST_VOICED_S = 3.0  # about ten syllables
# Pitch outside of this part of the middle half is an octave mistaken or a creak (De Looze & Hirst 2008).
LOWEST_OF_QUARTILE, HIGHEST_OF_QUARTILE = 0.75, 1.5
HOP_S = HOP / SAMPLE_RATE_HZ
LEAST_PAUSE_MS = IPU_JOIN_MS  # shorter silences are part of articulation
MINUTE_S = 60


def prosody_of(conversation: Conversation, voices: Mapping[SpeakerId, Voice]) -> dict[SpeakerId, SpeakerProsody]:
    """Only of speakers who were heard alone for long enough."""
    found = {speaker: _of_speaker(conversation, speaker, voice) for speaker, voice in voices.items()}
    return {speaker: prosody for speaker, prosody in found.items() if prosody}


def _of_speaker(conversation: Conversation, speaker: SpeakerId, voice: Voice) -> SpeakerProsody | None:
    frames, kept = voice.frames, believed(voice.frames)
    if kept.sum() * HOP_S < LEAST_VOICED_S:
        return None
    low, median, high = np.percentile(frames.pitch_hz[kept], [10, 50, 90])
    quiet, level, loud = np.percentile(frames.level_db[frames.level_db > _floor_db(frames.level_db)], [10, 50, 90])
    pauses_s = [(end - start) / 1000 for start, end in _pauses(conversation, speaker)]
    own_s = conversation.talk_ms[speaker] / 1000
    return SpeakerProsody(
        measured_s=round(len(voice.at_ms) * HOP_S, 2),
        voiced_share=_rounded(kept.sum() / len(kept), 4),
        pitch_median_hz=_rounded(median, 1),
        pitch_low_hz=_rounded(low, 1),
        pitch_high_hz=_rounded(high, 1),
        pitch_range_semitones=_rounded(12 * np.log2(high / low), 1),
        level_median_db=_rounded(level, 1),
        level_range_db=_rounded(loud - quiet, 1),
        pauses=len(pauses_s),
        pauses_per_minute=round(len(pauses_s) * MINUTE_S / own_s, 1),
        pause_median_s=round(statistics.median(pauses_s), 3) if pauses_s else None,
        jitter=_or_none(voice.cycles.jitter),
        shimmer=_or_none(voice.cycles.shimmer),
        harmonics_to_noise_db=_rounded(np.mean(_to_db(frames.harmonicity[kept])), 1),
    )


def believed(frames: Frames) -> NDArray[np.bool_]:
    """Frames with a voice that is no breath, and whose pitch is near the speaker's own."""
    pitch_hz = frames.pitch_hz
    voiced = (pitch_hz > 0) & (frames.level_db > _floor_db(frames.level_db))
    if not voiced.any():
        return voiced
    first, third = np.percentile(pitch_hz[voiced], [25, 75])
    return np.asarray(voiced & (pitch_hz >= LOWEST_OF_QUARTILE * first) & (pitch_hz <= HIGHEST_OF_QUARTILE * third))


def _floor_db(level_db: Floats) -> float:
    """What is 30 dB below the speaker's loud moments is a breath or the room."""
    return -np.inf if not len(level_db) else float(np.percentile(level_db, 95)) - 30


def _pauses(conversation: Conversation, speaker: SpeakerId) -> list[tuple[int, int]]:
    """Silences inside one's own turn: long enough to hear, too short to give up the floor, and nobody came in."""
    own = union(conversation.by_speaker[speaker], LEAST_PAUSE_MS)
    spoken = set(gaps(union(conversation.spoken, LEAST_PAUSE_MS)))
    return [(start, end) for start, end in gaps(own) if end - start <= TURN_PAUSE_MS and (start, end) in spoken]


def _to_db(harmonicity: Floats) -> Floats:
    clear = np.clip(harmonicity, 1e-3, 0.9999)  # up to 40 dB, more than a voice has
    return np.asarray(10 * np.log10(clear / (1 - clear)), np.float32)


def _rounded(value: float | np.floating, decimals: int) -> float:
    return round(float(value), decimals)


def _or_none(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
