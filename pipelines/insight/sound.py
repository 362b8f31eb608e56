"""What was heard of a recording, beside its words: each speaker's voice, and what a model of emotion says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pipelines.insight.conversation import Conversation
from pipelines.insight.emotion.analysis import Judged, windows_of
from pipelines.insight.emotion.arousal import Window
from pipelines.insight.prosody.frames import HOP, WINDOW, Floats
from pipelines.insight.prosody.hearing import Voice, hear
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import SpeakerId
from shared.ports.emotion import AudioSlices, EmotionModel
from shared.ports.tick import Tick, no_tick

LEAST_JUDGED_FRAMES = 50  # a second of one voice alone: less says nothing to a model
MOST_JUDGED_FRAMES = 500  # 10 s: longer takes more and says no more


@dataclass(frozen=True, slots=True)
class Listening:
    """The prepared mix, and what listens to it beside our own measuring."""

    recording: AudioSlices
    model: EmotionModel | None = None
    tick: Tick = no_tick


@dataclass(frozen=True, slots=True)
class Sound:
    """`voices` None: nobody listened. `judged` None: no model was asked."""

    voices: Mapping[SpeakerId, Voice] | None = None
    judged: Judged | None = None


UNHEARD = Sound()


def sound_of(listening: Listening, conversation: Conversation) -> Sound:
    voices = hear(listening.recording, conversation, listening.tick)
    return Sound(voices, _judged(listening, conversation, voices, listening.model) if listening.model else None)


def _judged(
    listening: Listening, conversation: Conversation, voices: Mapping[SpeakerId, Voice], model: EmotionModel
) -> Judged:
    """One question for each speaker and window in which somebody speaks alone for long enough."""
    found = {}
    for speaker, voice in voices.items():
        for window in windows_of(conversation, speaker):
            listening.tick(0.0)
            samples = _alone(listening.recording, voice, window)
            if samples is not None:
                found[speaker, window.start_ms] = model.judge(samples)
    return MappingProxyType(found)


def _alone(recording: AudioSlices, voice: Voice, window: Window) -> Floats | None:
    """The speaker's own moments in the window, put together; None where there are too few."""
    first, last = np.searchsorted(voice.at_ms, [window.start_ms, window.end_ms])
    starts = voice.at_ms[first:last][:MOST_JUDGED_FRAMES].astype(np.int64) * SAMPLE_RATE_HZ // 1000 - WINDOW // 2
    if len(starts) < LEAST_JUDGED_FRAMES:
        return None
    sound = recording[int(starts[0]) : int(starts[-1]) + HOP]
    return np.concatenate([sound[at : at + HOP] for at in starts - starts[0]])
