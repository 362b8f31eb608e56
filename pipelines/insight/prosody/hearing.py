"""Listens to a recording once, slice by slice, and keeps a few numbers of each moment in which one person speaks alone.

What is kept is 18 bytes for each 20 ms of speech, 3 MB an hour; the sound itself is never held beyond one slice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipelines.insight.conversation import Conversation
from pipelines.insight.intervals import Bounds, union
from pipelines.insight.prosody.cycles import Cycles, find_cycles
from pipelines.insight.prosody.frames import HOP, WINDOW, Floats, Frames, measure_frames
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import SpeakerId
from shared.ports.emotion import AudioSlices
from shared.ports.tick import Tick

SLICE_FRAMES = 1000  # 20 s at a time: 2.5 MB of windows
FRAME_MS = HOP * 1000 // SAMPLE_RATE_HZ
EDGE_MS = 40  # from where somebody else speaks: a frame that reaches over would hear both
STEADY_FRAMES = 6  # 120 ms of unbroken voice hold ten cycles of a deep one
STEADY_SEMITONES = 2.0  # pitch moves less than this inside what is called steady
MOST_STRETCHES = 3  # a slice and speaker: 9 a minute are as good as all of them
MOST_STRETCH_FRAMES = 15  # 0.3 s; a longer one is cut into pieces of that length
NOBODY = -1


@dataclass
class Voice:
    """One speaker's moments, ascending by time."""

    at_ms: NDArray[np.int32]
    frames: Frames
    cycles: Cycles = field(default_factory=Cycles)


def hear(recording: AudioSlices, conversation: Conversation, tick: Tick) -> dict[SpeakerId, Voice]:
    """Every speaker of the conversation; who never speaks alone has a voice without moments."""
    speakers = conversation.speakers
    labels = _labels(conversation, len(recording))
    cycles = [Cycles() for _ in speakers]
    numbers: list[NDArray[np.int64]] = []
    heard: list[Frames] = []
    for first in range(0, len(labels), SLICE_FRAMES):
        tick(0.0)  # nothing is done yet that counts, but the work may have to end now
        own = first + np.flatnonzero(labels[first : first + SLICE_FRAMES] != NOBODY)
        if not len(own):
            continue
        sound, start = _slice(recording, int(own[0]), int(own[-1]))
        windows = sliding_window_view(sound, WINDOW)[own * HOP - start]
        numbers.append(own)
        heard.append(measure_frames(windows))
        for speaker, stretch in _steady(own, labels[own], heard[-1]):
            _listen_closely(sound, own[stretch] * HOP - start, heard[-1].pitch_hz[stretch], cycles[speaker])
    return _by_speaker(speakers, labels, numbers, heard, cycles)


def _labels(conversation: Conversation, samples: int) -> NDArray[np.int8]:
    """For each frame the number of who speaks alone then, else NOBODY. Frame n covers samples n·HOP to n·HOP+WINDOW."""
    labels = np.full(max(0, (samples - WINDOW) // HOP + 1), NOBODY, np.int8)
    for number, speaker in enumerate(conversation.speakers[:127]):
        labels[_frames_inside(conversation.by_speaker[speaker], len(labels))] = number
    for number, speaker in enumerate(conversation.speakers[:127]):
        others = union(b for s, own in conversation.by_speaker.items() if s != speaker for b in own)
        near = [(start - EDGE_MS, end + EDGE_MS) for start, end in others]
        taken = labels[_frames_inside(near, len(labels))]
        labels[_frames_inside(near, len(labels))] = np.where(taken == number, NOBODY, taken)
    return labels


def _frames_inside(bounds: Sequence[Bounds], frames: int) -> NDArray[np.bool_]:
    inside = np.zeros(frames, np.bool_)
    for start_ms, end_ms in bounds:
        inside[max(0, -(-start_ms // FRAME_MS)) : max(0, end_ms // FRAME_MS - 1)] = True
    return inside


def _slice(recording: AudioSlices, first: int, last: int) -> tuple[Floats, int]:
    start = first * HOP
    return recording[start : last * HOP + WINDOW], start


def _steady(
    own: NDArray[np.int64], labels: NDArray[np.int8], frames: Frames
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The longest stretches of unbroken, level voice of each speaker in a slice, as places in `own`."""
    semitones = 12 * np.log2(np.maximum(frames.pitch_hz, 1))
    voiced = np.flatnonzero(frames.pitch_hz > 0)
    breaks = (np.diff(own[voiced]) > 1) | (np.diff(labels[voiced]) != 0) | (np.abs(np.diff(semitones[voiced])) > 1)
    runs = np.split(voiced, np.flatnonzero(breaks) + 1)
    pieces = [r[at : at + MOST_STRETCH_FRAMES] for r in runs for at in range(0, len(r), MOST_STRETCH_FRAMES)]
    stretches = [p for p in pieces if len(p) >= STEADY_FRAMES and np.ptp(semitones[p]) <= STEADY_SEMITONES]
    stretches.sort(key=lambda s: (labels[s[0]], -len(s)))
    for speaker, found in groupby(stretches, key=lambda s: int(labels[s[0]])):
        for stretch in list(found)[:MOST_STRETCHES]:
            yield speaker, stretch


def _listen_closely(sound: Floats, starts: NDArray[np.int64], pitch_hz: Floats, cycles: Cycles) -> None:
    periods, amplitudes = find_cycles(sound[starts[0] : starts[-1] + WINDOW], float(np.median(pitch_hz)))
    cycles.add(periods, amplitudes)


def _by_speaker(
    speakers: Sequence[SpeakerId],
    labels: NDArray[np.int8],
    numbers: Sequence[NDArray[np.int64]],
    heard: Sequence[Frames],
    cycles: Sequence[Cycles],
) -> dict[SpeakerId, Voice]:
    at = np.concatenate([np.zeros(0, np.int64), *numbers])
    joined = {name: _joined([getattr(frames, name) for frames in heard]) for name in Frames.__slots__}
    found: Mapping[SpeakerId, NDArray[np.bool_]] = {s: labels[at] == n for n, s in enumerate(speakers)}
    return {
        speaker: Voice(
            ((at[own] * HOP + WINDOW // 2) * 1000 // SAMPLE_RATE_HZ).astype(np.int32),
            Frames(**{name: values[own] for name, values in joined.items()}),
            cycles[number],
        )
        for number, (speaker, own) in enumerate(found.items())
    }


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0, np.float32), *parts])
