"""From what was heard to a voice for every frame: how many voices, which windows are whose, and the likeliest path."""

import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.activity import FRAME_S
from shared.adapters.diarization.engines import Matrix, VoiceNetwork
from shared.adapters.diarization.listening import Heard
from shared.adapters.diarization.pooling import NO_SPAN
from shared.adapters.diarization.viterbi import StatePath, best_path
from shared.adapters.diarization.voices import Voices, fit_voices, nearest_pair

MOST_VOICES = 8  # estimated; a larger number can be asked for

_TRUSTED_S = 0.6  # clean speech in a window or piece that may shape a voice
_LEAST_WINDOWS = 4  # fewer cannot tell two voices apart
# Cosine between the pooled embeddings of two groups, from which on they are one person. Measured on 100 recordings,
# wide-band and telephone: two people had at most 0.60, or 0.46 where one said less than 3 s; parts of one person at
# least 0.71, or 0.49. Who asks for a number gets the benefit of the doubt.
_ALIKE, _ALIKE_BRIEF = 0.64, 0.48
_ALIKE_ASKED, _ALIKE_BRIEF_ASKED = 0.66, 0.58
_BRIEF_S, _VOICE_LEAST_S = 3.0, 1.0  # under a second, unasked for, is a laugh and not one more person
_SWITCH_COST, _SWITCH_COST_AT_EDGE = 3.0, 0.5  # in units of evidence; an edge is a pause or a likely change of speaker
_EVIDENCE_A_SECOND = 8.0  # a second of one voice outweighs a switch and back


def fit_heard(heard: Heard, network: VoiceNetwork, speakers: int | None) -> Voices | None:
    """The voices of a recording; None when it holds one voice, or too little speech to tell."""
    trusted = heard.window_seconds >= _TRUSTED_S
    embeddings, seconds = heard.window_embeddings[trusted], heard.window_seconds[trusted]
    most = min(speakers or MOST_VOICES, len(embeddings) // _LEAST_WINDOWS * 2)
    best: Voices | None = None
    for count in _counts(speakers, most):
        voices = fit_voices(embeddings, seconds, count)
        distinct = are_distinct(heard, voices, network, asked=speakers is not None)
        if distinct and speakers:
            return voices
        if not distinct and not speakers:
            break
        best = voices if distinct else None
    return best


def _counts(speakers: int | None, most: int) -> range:
    """A number that was asked for is tried first, then fewer; an unknown one grows from two."""
    return range(most, 1, -1) if speakers else range(2, most + 1)


def are_distinct(heard: Heard, voices: Voices, network: VoiceNetwork, *, asked: bool) -> bool:
    """Whether the voices are different people, each judged on all of its pieces."""
    own = voices.evidence(heard.piece_embeddings).argmax(axis=1)
    own[heard.piece_pool.seconds < _TRUSTED_S] = NO_SPAN
    pooled = heard.piece_pool.merged(own, len(voices.directions))
    return nearest_pair(pooled.embeddings(network)) < _alike(float(pooled.seconds.min()), asked=asked)


def _alike(shortest_s: float, *, asked: bool) -> float:
    """The cosine that makes two groups one person, when `shortest_s` is all that is known of one of them."""
    if shortest_s < _BRIEF_S:
        return _ALIKE_BRIEF_ASKED if asked else _ALIKE_BRIEF if shortest_s >= _VOICE_LEAST_S else -1.0
    return _ALIKE_ASKED if asked else _ALIKE


def frame_evidence(heard: Heard, voices: Voices) -> Matrix:
    """(frames, voices): the word of the windows around each frame, and of the piece that it lies in."""
    middles_s = (np.arange(len(heard.activity.speech)) + 1) * FRAME_S
    by_window = _weighed(voices.evidence(heard.window_embeddings), heard.window_seconds)
    evidence = np.stack([np.interp(middles_s, heard.window_middles_s, column) for column in by_window.T], axis=1)
    by_piece = _weighed(voices.evidence(heard.piece_embeddings), heard.piece_pool.seconds)
    lengths = np.diff(heard.pieces, axis=1)[:, 0]
    evidence[heard.activity.voiced] += np.repeat(by_piece, lengths, axis=0)
    evidence *= heard.activity.voiced[:, None] * (_EVIDENCE_A_SECOND * FRAME_S / 2)
    return evidence.astype(np.float32)


def _weighed(evidence: Matrix, seconds: NDArray[np.float32]) -> Matrix:
    """Less than a second of clean speech says less."""
    weighed: Matrix = evidence * np.minimum(seconds, 1)[:, None]
    return weighed


def likeliest(heard: Heard, evidence: Matrix) -> StatePath:
    cost = np.full(len(evidence), _SWITCH_COST, np.float32)
    cost[~heard.activity.voiced] = _SWITCH_COST_AT_EDGE
    cost[heard.pieces[:, 0]] = _SWITCH_COST_AT_EDGE
    return best_path(evidence, cost)
