"""What every VoiceActivity must do, tried on Silero."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.adapters.silero import SileroVad
from shared.ports.speech import Samples
from shared.settings import Settings

pytestmark = pytest.mark.contract

BLOCK = 512


@pytest.fixture(scope="module")
def model() -> SileroVad:
    return SileroVad(Settings())


@pytest.fixture(scope="module")
def speech(shared_audio: Path) -> Samples:
    samples, rate = soundfile.read(shared_audio / "azure_katiesteve" / "katiesteve.wav", dtype="float32")
    assert rate == 16_000
    return np.asarray(samples[: 300 * BLOCK])


def _in_pieces(samples: Samples, blocks: int) -> Iterator[Samples]:
    return (samples[start : start + blocks * BLOCK] for start in range(0, len(samples), blocks * BLOCK))


@pytest.mark.parametrize("blocks", [2, 7, 75, 1000])
def test_many_blocks_at_once_give_the_same_numbers(model: SileroVad, speech: Samples, blocks: int) -> None:
    """How a recording is cut up for the model changes nothing."""
    one_by_one = list(model.probabilities(_in_pieces(speech, 1)))
    together = list(model.probabilities(_in_pieces(speech, blocks)))
    assert len(one_by_one) == 300
    assert together == pytest.approx(one_by_one, abs=1e-5)


def test_an_answer_comes_with_its_block(model: SileroVad, speech: Samples) -> None:
    """A live call does not wait: nothing is asked for beyond the block that is answered."""
    taken: list[int] = []

    def live() -> Iterator[Samples]:
        for number, block in enumerate(_in_pieces(speech, 1)):
            taken.append(number)
            yield block

    answers = model.probabilities(live())
    next(answers)
    assert taken == [0]


def test_recordings_do_not_disturb_each_other(model: SileroVad, speech: Samples) -> None:
    """Two streams in turn give what each gives alone."""
    alone = list(model.probabilities(_in_pieces(speech, 10)))
    first, second = model.probabilities(_in_pieces(speech, 10)), model.probabilities(_in_pieces(speech[::-1], 10))
    together = [value for value, _ in zip(first, second, strict=True)]
    assert together == pytest.approx(alone, abs=1e-6)


def test_speech_is_told_from_silence(model: SileroVad, speech: Samples) -> None:
    """Sure of the one, and of the other."""
    heard = np.array(list(model.probabilities(_in_pieces(speech, 75))))
    silence = np.array(list(model.probabilities(_in_pieces(np.zeros_like(speech), 75))))
    assert np.mean(heard > 0.5) > 0.5
    assert silence.max() < 0.1


def test_a_short_end_is_one_block(model: SileroVad) -> None:
    """The last samples count even if they fill no block; nothing at all is no block."""
    assert len(list(model.probabilities(iter([np.zeros(BLOCK + 1, np.float32)])))) == 2
    assert list(model.probabilities(iter([]))) == []
    assert list(model.probabilities(iter([np.zeros(0, np.float32)]))) == []
