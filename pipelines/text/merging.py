"""Two voices that are one person: turns, exclusive turns and embeddings of both become one speaker's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from shared.domain.ids import SpeakerId
from shared.domain.transcript import Diarization, SpeakerTurn

PAUSE_S = 0.3  # a shorter pause ends no turn

Into = Mapping[SpeakerId, SpeakerId]  # who is really whom


def merged(diarization: Diarization, into: Into) -> Diarization:
    """Ids stay those that people know; whoever was merged away is gone."""
    if not into:
        return diarization
    return replace(
        diarization,
        turns=merged_turns(diarization.turns, into),
        exclusive=merged_turns(diarization.exclusive, into, pause_s=0.0),
        speakers=tuple(dict.fromkeys(into.get(speaker, speaker) for speaker in diarization.speakers)),
        embeddings=_merged_embeddings(diarization, into),
    )


def merged_turns(turns: Sequence[SpeakerTurn], into: Into, *, pause_s: float = PAUSE_S) -> tuple[SpeakerTurn, ...]:
    """Turns of one speaker that overlap, or with less than a pause between them, become one."""
    last: dict[SpeakerId, int] = {}
    found: list[SpeakerTurn] = []
    for turn in sorted(turns, key=lambda turn: (turn.start_s, turn.end_s)):
        speaker = into.get(turn.speaker, turn.speaker)
        at = last.get(speaker)
        if at is not None and speaker in into.values() and turn.start_s - found[at].end_s <= pause_s:
            found[at] = replace(found[at], end_s=max(found[at].end_s, turn.end_s))
        else:
            last[speaker] = len(found)
            found.append(replace(turn, speaker=speaker))
    return tuple(sorted(found, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))


def _merged_embeddings(diarization: Diarization, into: Into) -> dict[SpeakerId, tuple[float, ...]]:
    """Of each by how long they spoke."""
    seconds: dict[SpeakerId, float] = {}
    for turn in diarization.turns:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + turn.duration_s
    summed: dict[SpeakerId, np.ndarray] = {}
    for speaker, vector in diarization.embeddings.items():
        one = into.get(speaker, speaker)
        part = np.asarray(vector) * seconds.get(speaker, 0.0)
        summed[one] = summed[one] + part if one in summed else part
    return {s: tuple((v / max(float(np.linalg.norm(v)), 1e-9)).tolist()) for s, v in summed.items()}
