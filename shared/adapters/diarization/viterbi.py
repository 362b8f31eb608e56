"""The most likely sequence of voices: evidence frame by frame against the cost of switching.

An hour has 200 000 frames, too many for a loop over each. The frames are folded into blocks; all blocks advance
together, once from every possible state at their start, and are then strung together. The result is exact.
"""

import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.engines import Matrix

StatePath = NDArray[np.int64]
_NEVER = np.float64(-1e18)  # score of what cannot be


def best_path(evidence: Matrix, switch_cost: NDArray[np.float32]) -> StatePath:
    """The state of each frame that maximises the sum of (frames, states) evidence less the cost of each switch.

    `switch_cost[t]` is paid for another state at frame t than at t - 1.
    """
    frames, states = evidence.shape
    if states == 1 or not frames:
        return np.zeros(frames, np.int64)
    length = max(1, int(np.sqrt(frames)))
    blocks = -(-frames // length)
    padding = blocks * length - frames
    gains = np.pad(evidence.astype(np.float64), ((0, padding), (0, 0))).reshape(blocks, length, states)
    costs = np.pad(switch_cost.astype(np.float64), (0, padding)).reshape(blocks, length)
    scores, steps = _advance(gains, costs)
    entries, ends = _string_together(scores)
    return _walk_back(steps, entries, ends).reshape(-1)[:frames]


def _advance(gains: NDArray[np.float64], costs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Best score of each block (blocks, entry state, end state), and the steps that lead there.

    The entry state is the one before the block's first frame.
    """
    blocks, length, states = gains.shape
    scores = np.broadcast_to(np.where(np.eye(states, dtype=bool), 0.0, _NEVER), (blocks, states, states)).copy()
    steps = np.empty((length, blocks, states, states), np.int8)
    own = np.arange(states, dtype=np.int8)
    for frame in range(length):
        leader = scores.argmax(axis=2)[..., None]
        switched = np.take_along_axis(scores, leader, axis=2) - costs[:, frame, None, None]
        stays = scores >= switched
        steps[frame] = np.where(stays, own, leader)
        scores = np.where(stays, scores, switched) + gains[:, frame, None, :]
    return scores, steps


def _string_together(scores: NDArray[np.float64]) -> tuple[StatePath, StatePath]:
    """The entry and the end state of every block on the best path through all of them."""
    blocks, states, _ = scores.shape
    total = np.zeros(states)
    entry_of = np.empty((blocks, states), np.int64)
    for block in range(blocks):
        through = total[:, None] + scores[block]
        entry_of[block] = through.argmax(axis=0)
        total = through.max(axis=0)
    entries, ends = np.empty(blocks, np.int64), np.empty(blocks, np.int64)
    state = int(total.argmax())
    for block in range(blocks - 1, -1, -1):
        ends[block] = state
        entries[block] = state = int(entry_of[block, state])
    return entries, ends


def _walk_back(steps: NDArray[np.int8], entries: StatePath, ends: StatePath) -> StatePath:
    """(blocks, length) states, from every block's end backwards."""
    length, blocks = steps.shape[:2]
    path, state, block = np.empty((blocks, length), np.int64), ends, np.arange(blocks)
    for frame in range(length - 1, -1, -1):
        path[:, frame] = state
        state = steps[frame, block, entries, state].astype(np.int64)
    return path
