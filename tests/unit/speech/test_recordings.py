"""A recording on disk, read slice by slice."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.recordings import opened_recording, read_recording
from shared.domain.errors import NotAudio

pytestmark = pytest.mark.unit
LENGTH = 50_000


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of noise, as preprocess keeps it."""
    target = tmp_path_factory.mktemp("recording") / "noise.flac"
    soundfile.write(target, np.random.default_rng(7).normal(0, 0.1, LENGTH), 16_000)
    return target


@given(first=st.integers(-10, LENGTH + 10), length=st.integers(0, 20_000))
def test_a_slice_is_what_an_array_would_give(noise: Path, first: int, length: int) -> None:
    """Seeking in a compressed file loses no sample, before the start, within, and past the end."""
    whole = read_recording(noise)
    with opened_recording(noise) as recording:
        assert len(recording) == LENGTH
        assert np.array_equal(recording[first : first + length], whole[first : first + length])


def test_another_rate_or_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """What preprocess did not make says so, and is not resampled in silence."""
    soundfile.write(tmp_path / "fast.flac", np.zeros(100), 48_000)
    (tmp_path / "text.flac").write_text("no audio")
    for name in ("fast.flac", "text.flac"):
        with pytest.raises(NotAudio, match="process the source again"):
            read_recording(tmp_path / name)
