"""Turns: pauses, overlap, names in order of first speech."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.adapters.diarization.activity import FRAME_S, Activity
from shared.adapters.diarization.turns import PAUSE_S, SpokenTurns, spoken_turns

pytestmark = pytest.mark.unit

_FRAMES = 300  # 5 s


def _spoken(
    path: NDArray[np.int64], speech: NDArray[np.bool_], overlap: NDArray[np.bool_] | None = None, voices: int = 2
) -> SpokenTurns:
    over = np.zeros_like(speech) if overlap is None else overlap
    activity = Activity(speech.astype(np.float32), over.astype(np.float32), np.zeros(len(speech), np.float32))
    evidence = np.zeros((len(path), voices), np.float32)
    evidence[np.arange(len(path)), path] = 1
    return spoken_turns(activity, path, evidence, len(path) * FRAME_S)


def _speech(*stretches: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(_FRAMES, bool)
    for begin, end in stretches:
        mask[begin:end] = True
    return mask


def test_a_pause_ends_a_turn_and_a_breath_does_not() -> None:
    """0.2 s of silence is closed, 0.5 s ends the turn."""
    breath, pause = round(0.2 / FRAME_S), round(0.5 / FRAME_S)
    speech = _speech((20, 60), (60 + breath, 120), (120 + pause, 200))
    spoken = _spoken(np.zeros(_FRAMES, np.int64), speech)
    assert len(spoken.turns) == len(spoken.exclusive) == 2
    assert spoken.turns[1].start_s - spoken.turns[0].end_s >= PAUSE_S


def test_overlap_belongs_to_both_and_exclusive_to_one() -> None:
    """Where two speak at once both have a turn; the exclusive turns still have one speaker at any time."""
    path = np.repeat([0, 1], 150)
    spoken = _spoken(path, _speech((10, 290)), _speech((140, 165)))
    first, second = spoken.turns
    assert first.end_s > second.start_s
    assert spoken.exclusive[0].end_s == spoken.exclusive[1].start_s


def test_speakers_are_named_in_order_of_first_speech() -> None:
    """Whatever a voice's index, who speaks first is S1."""
    spoken = _spoken(np.repeat([2, 0, 1], 100), _speech((0, 300)), voices=3)
    assert [turn.speaker for turn in spoken.turns] == ["S1", "S2", "S3"]
    assert spoken.names == {2: "S1", 0: "S2", 1: "S3"}


def test_silence_has_no_turns() -> None:
    """Nobody speaks: no turns, no names."""
    spoken = _spoken(np.zeros(_FRAMES, np.int64), _speech())
    assert (spoken.turns, spoken.exclusive, spoken.names) == ((), (), {})


@st.composite
def _talks(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = chance.integers(1, 60, 40)
    path = np.repeat(chance.integers(0, 3, 40), lengths)[:_FRAMES]
    speech, overlap = (
        np.repeat(chance.random(40) < share, chance.integers(8, 40, 40))[:_FRAMES] for share in (0.7, 0.3)
    )
    return path, speech, overlap


@settings(deadline=None)
@given(_talks())
def test_turns_keep_their_rules(talk: tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]) -> None:
    """Ascending, inside the recording, a pause between two turns of one speaker, no overlap in the exclusive ones."""
    path, speech, overlap = talk
    spoken = _spoken(path, speech, overlap, voices=3)
    assert list(spoken.turns) == sorted(spoken.turns, key=lambda turn: turn.start_s)
    assert all(0 <= turn.start_s < turn.end_s <= _FRAMES * FRAME_S + 1e-3 for turn in spoken.turns)
    for name in spoken.names.values():
        own = [turn for turn in spoken.turns if turn.speaker == name]
        assert all(b.start_s - a.end_s >= PAUSE_S - FRAME_S for a, b in itertools.pairwise(own))
    assert all(a.end_s <= b.start_s for a, b in zip(spoken.exclusive, spoken.exclusive[1:], strict=False))


@settings(deadline=None)
@given(_talks())
def test_swapping_the_voices_changes_nothing(
    talk: tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]],
) -> None:
    """Two voices with their indices swapped give the same turns with the same names."""
    path, speech, overlap = talk
    two = path % 2
    assert _spoken(1 - two, speech, overlap).turns == _spoken(two, speech, overlap).turns
