"""Whether two channels carry two people. The talkers are bursts of noise; when they talk is known exactly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.audio.channels import Pair, compare, separate
from pipelines.audio.flac import CHUNK
from pipelines.audio.levels import BLOCK

pytestmark = pytest.mark.unit

Sound = NDArray[np.float32]
BLOCKS = 1875  # a minute
SECOND = 31  # blocks


def _talker(first_turn: int, seed: int) -> tuple[NDArray[np.bool_], Sound]:
    """Talks for three seconds of every six, from its first turn on; its syllables differ in loudness."""
    turns = (np.arange(BLOCKS) // SECOND - first_turn) % 6 < 3
    rng = np.random.default_rng(seed)
    syllables = np.repeat(rng.uniform(0.03, 0.2, BLOCKS // 5 + 1), 5)[:BLOCKS] * turns
    return turns, _noise(seed + 50, 1.0) * np.repeat(syllables, BLOCK).astype(np.float32)


def _noise(seed: int, level: float) -> Sound:
    return (np.random.default_rng(seed).standard_normal(BLOCKS * BLOCK) * level).astype(np.float32)


COACH_TALKS, COACH = _talker(0, 1)
CLIENT_TALKS, CLIENT = _talker(3, 2)


def _pair(left: Sound, right: Sound) -> Pair:
    return compare(*([side[start : start + CHUNK] for start in range(0, len(side), CHUNK)] for side in (left, right)))


def _heard(*talks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a voice activity model says of a channel on which these talkers can be heard."""
    return np.any(talks, axis=0).astype(np.float32)


def _mistakes(found: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    return float(((found >= 0.5) != truth).mean())


def _decibels(value: float) -> np.float32:
    return np.float32(10 ** (value / 20))


def test_two_people_on_clean_channels() -> None:
    """Each keeps all of their own speech."""
    voices = separate(_pair(COACH, CLIENT), _heard(COACH_TALKS), _heard(CLIENT_TALKS))
    assert voices is not None
    assert _mistakes(voices.left, COACH_TALKS) == 0
    assert _mistakes(voices.right, CLIENT_TALKS) == 0


@pytest.mark.parametrize("leak_db", [-40, -30, -20, -12])
@pytest.mark.parametrize("delay", [0, 2_400])
def test_what_leaks_is_not_theirs(leak_db: float, delay: int) -> None:
    """Both are heard on both channels; the leak is taken off, late or not."""
    leak = _decibels(leak_db)
    left, right = COACH + leak * np.roll(CLIENT, delay), CLIENT + leak * np.roll(COACH, delay)
    both = _heard(COACH_TALKS, CLIENT_TALKS)
    voices = separate(_pair(left, right), both, both)
    assert voices is not None
    assert _mistakes(voices.left, COACH_TALKS) < 0.1
    assert _mistakes(voices.right, CLIENT_TALKS) < 0.1


def test_talking_at_once_stays_with_both() -> None:
    """Half of the coach's turns are talked into; neither is taken for the other's leak."""
    talks, late = CLIENT_TALKS | (COACH_TALKS & (np.arange(BLOCKS) % 400 < 100)), _noise(9, 0.1)
    client = late * np.repeat(talks, BLOCK).astype(np.float32)
    leak = _decibels(-20)
    both = _heard(COACH_TALKS, talks)
    voices = separate(_pair(COACH + leak * client, client + leak * COACH), both, both)
    assert voices is not None
    overlap = COACH_TALKS & talks
    assert (voices.left[overlap] >= 0.5).mean() > 0.85
    assert (voices.right[overlap] >= 0.5).mean() > 0.85


def test_one_much_quieter_person_is_kept() -> None:
    """20 dB less, just as loud as what leaks from the other."""
    client, leak = CLIENT * _decibels(-20), _decibels(-20)
    both = _heard(COACH_TALKS, CLIENT_TALKS)
    voices = separate(_pair(COACH + leak * client, client + leak * COACH), both, both)
    assert voices is not None
    assert _mistakes(voices.right, CLIENT_TALKS) < 0.1


@pytest.mark.parametrize("gain_db", [0, -3, -10])
def test_mono_written_twice_is_one_signal(gain_db: float) -> None:
    """With another gain, too."""
    mono = COACH + CLIENT
    pair = _pair(mono, mono * _decibels(gain_db))
    assert pair.same
    assert not pair.cancelling
    assert not pair.comparable


def test_one_side_turned_around_is_noticed() -> None:
    """Its mean with the other would be silence."""
    mono = COACH + CLIENT
    assert _pair(mono, -mono).cancelling


@pytest.mark.parametrize("side", [0, 1])
def test_a_channel_that_is_not_connected_is_noticed(side: int) -> None:
    """The other one is named."""
    sides = [_noise(5, 1e-4), _noise(6, 1e-4)]
    sides[side] = COACH + CLIENT
    assert _pair(*sides).only == side


def test_a_room_in_stereo_is_not_two_lines() -> None:
    """Both are heard on both sides, one nearer to each."""
    for nearer_db in (0, 3, 6, 9):
        far = _decibels(-nearer_db)
        left, right = COACH + far * CLIENT, CLIENT + far * COACH
        both = _heard(COACH_TALKS, CLIENT_TALKS)
        assert separate(_pair(left, right), both, both) is None


def test_one_person_and_a_noisy_line_are_not_two_people() -> None:
    """Somebody must speak on each channel."""
    silence = np.zeros(BLOCKS, np.float32)
    assert separate(_pair(COACH, _noise(7, 0.003)), _heard(COACH_TALKS), silence) is None


def test_one_line_and_the_sum_are_not_two_people() -> None:
    """A microphone on one side, the whole call on the other."""
    pair = _pair(COACH, COACH + CLIENT)
    assert separate(pair, _heard(COACH_TALKS), _heard(COACH_TALKS, CLIENT_TALKS)) is None


def test_a_loudspeaker_into_the_microphone_is_not_two_lines() -> None:
    """What comes back at -3 dB is too much to tell from speech."""
    pair = _pair(COACH + _decibels(-3) * np.roll(CLIENT, 1_600), CLIENT)
    assert separate(pair, _heard(COACH_TALKS, CLIENT_TALKS), _heard(CLIENT_TALKS)) is None


def test_silence_has_no_likeness() -> None:
    """Nothing is divided by zero."""
    silence = np.zeros(BLOCKS * BLOCK, np.float32)
    pair = _pair(silence, silence)
    assert (pair.correlation, pair.only) == (0.0, None)
    assert separate(pair, np.zeros(BLOCKS, np.float32), np.zeros(BLOCKS, np.float32)) is None
