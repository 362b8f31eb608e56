"""From a voice for every frame to turns of named speakers."""

from dataclasses import dataclass

import numpy as np

from shared.adapters.diarization.activity import FRAME_S, Activity, Mask, runs
from shared.adapters.diarization.engines import Matrix
from shared.adapters.diarization.viterbi import StatePath
from shared.domain.ids import SpeakerId
from shared.domain.transcript import SpeakerTurn

PAUSE_S = 0.3  # a pause of this length ends a turn
_SHORTEST_S = 0.15  # shorter ones are clicks and breaths

_Stretch = tuple[float, float, int]  # start_s, end_s, voice


@dataclass(frozen=True, slots=True)
class SpokenTurns:
    turns: tuple[SpeakerTurn, ...]
    exclusive: tuple[SpeakerTurn, ...]
    names: dict[int, SpeakerId]  # by voice, in order of first speech


def spoken_turns(activity: Activity, path: StatePath, evidence: Matrix, duration_s: float) -> SpokenTurns:
    """Overlap gives a frame to the two likeliest voices; in `exclusive` it stays with the first of them."""
    on = _active(activity, path, evidence)
    turns = [stretch for voice in range(on.shape[1]) for stretch in _stretches(on[:, voice], voice, duration_s)]
    exclusive = _exclusive(activity.voiced, path, duration_s)
    names = _names(turns, exclusive)
    return SpokenTurns(_named(turns, names), _named(exclusive, names), names)


def _names(turns: list[_Stretch], exclusive: list[_Stretch]) -> dict[int, SpeakerId]:
    """In order of first speech; of two who begin in one frame, who has the floor first."""
    begins = [{voice: start_s for start_s, _, voice in sorted(found, reverse=True)} for found in (turns, exclusive)]
    order = sorted(begins[0], key=lambda voice: (begins[0][voice], begins[1].get(voice, np.inf)))
    return {voice: SpeakerId(f"S{number}") for number, voice in enumerate(order, start=1)}


def _active(activity: Activity, path: StatePath, evidence: Matrix) -> Mask:
    """(frames, voices): who speaks."""
    frames, voices = evidence.shape
    on = np.zeros((frames, voices), bool)
    on[np.arange(frames), path] = activity.voiced
    if voices > 1:
        others = evidence.copy()
        others[np.arange(frames), path] = -np.inf
        on[np.arange(frames), others.argmax(axis=1)] |= activity.overlapped
    return on


def _stretches(on: Mask, voice: int, duration_s: float) -> list[_Stretch]:
    """Speech of one voice, joined over pauses that are too short to end a turn."""
    quiet = np.flatnonzero(_short_runs(~on))
    joined = on.copy()
    joined[quiet] = True
    spans = ((_time_s(begin), min(_time_s(end), duration_s)) for begin, end in runs(joined))
    return [(start_s, end_s, voice) for start_s, end_s in spans if end_s - start_s >= _SHORTEST_S]


def _short_runs(mask: Mask) -> Mask:
    """The true runs shorter than a pause, without those at the very ends."""
    short = np.zeros_like(mask)
    for begin, end in runs(mask):
        if begin > 0 and end < len(mask) and (end - begin) * FRAME_S < PAUSE_S:
            short[begin:end] = True
    return short


def _exclusive(voiced: Mask, path: StatePath, duration_s: float) -> list[_Stretch]:
    """One voice at most at any time. Short pauses are closed where the same voice goes on."""
    speaking = voiced | _short_runs(~voiced)
    found: list[_Stretch] = []
    for begin, end in runs(speaking):
        own = path[begin:end]
        cuts = np.flatnonzero(np.diff(own)) + 1
        for first, last in zip([0, *cuts], [*cuts, len(own)], strict=True):
            found += _stretches_of(voiced, begin + int(first), begin + int(last), int(own[first]), duration_s)
    return found


def _stretches_of(voiced: Mask, begin: int, end: int, voice: int, duration_s: float) -> list[_Stretch]:
    """The stretch [begin, end) less the pause at its edges; nothing when it is too short."""
    inside = np.flatnonzero(voiced[begin:end])
    if not len(inside):
        return []
    start_s, end_s = _time_s(begin + int(inside[0])), min(_time_s(begin + int(inside[-1]) + 1), duration_s)
    return [(start_s, end_s, voice)] if end_s - start_s >= _SHORTEST_S else []


def _time_s(frame: int) -> float:
    """A frame's border: the network's frames are centred one step and a bit after their first sample."""
    return (frame + 1) * FRAME_S


def _named(stretches: list[_Stretch], names: dict[int, SpeakerId]) -> tuple[SpeakerTurn, ...]:
    found = (SpeakerTurn(round(a, 3), round(b, 3), names[voice]) for a, b, voice in stretches if voice in names)
    return tuple(sorted(found, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))
