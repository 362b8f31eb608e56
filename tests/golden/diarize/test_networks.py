"""The converted networks compute what the published ones do: against values kept here, and against reference outputs.

The kept values come from a voice that `buzzing_voice` builds, so they need no recording. They were written by
`python tests/golden/diarize/test_networks.py` once the networks had agreed with the published ones to 3e-5.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import lfilter

from shared.adapters.diarization.embedding import CampplusEmbedder
from shared.adapters.diarization.engines import SegmentationNetwork, VoiceNetwork
from shared.adapters.diarization.weights import VoiceWeights, voice_weights
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.settings import Settings

pytestmark = pytest.mark.golden

_KEPT = Path(__file__).with_name("networks.json")
_REFERENCE = Path("facts", "diarization_reference.npz")  # beside the folder of recordings
_EVERY = 20  # frames of the segmentation kept: 30 of 589
_FORMANTS_HZ = ((700, 80), (1200, 90), (2600, 120))  # middle and width: an open vowel


def buzzing_voice(seconds: float, pitch_hz: float = 110.0) -> NDArray[np.float32]:
    """Pulses of a gliding pitch through three resonances, on and off twice a second. No chance in it."""
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = np.cumsum(pitch_hz * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time_s))) / SAMPLE_RATE_HZ
    voice = np.diff(np.floor(phase), prepend=0.0)
    for middle_hz, width_hz in _FORMANTS_HZ:
        radius, angle = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ), 2 * np.pi * middle_hz / SAMPLE_RATE_HZ
        voice = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], voice)
    voice *= np.clip(3 * np.sin(2 * np.pi * 2 * time_s) + 1, 0, 1)
    return (0.3 * voice / np.abs(voice).max()).astype(np.float32)


def _computed(weights: VoiceWeights, settings: Settings) -> dict[str, NDArray[np.float32]]:
    probabilities = SegmentationNetwork(weights, threads=1).probabilities(buzzing_voice(10.0)[None])[0]
    embedding = CampplusEmbedder(settings).embed(buzzing_voice(3.0))
    return {"log_probabilities": np.log(probabilities[::_EVERY]), "embedding": np.array(embedding, np.float32)}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Weights converted afresh: a stale cache would hide a change of the graphs."""
    return Settings(model_cache=tmp_path_factory.mktemp("models"))


def test_networks_give_the_kept_values(converted: Settings) -> None:
    """Log-probabilities within 1e-3 and the embedding's cosine above 0.9999 of the values kept."""
    kept = {name: np.array(values) for name, values in json.loads(_KEPT.read_text()).items()}
    computed = _computed(voice_weights(converted.model_cache), converted)
    assert np.abs(computed["log_probabilities"] - kept["log_probabilities"]).max() < 1e-3
    assert computed["embedding"] @ kept["embedding"] > 0.9999


@pytest.fixture
def reference(shared_audio: Path) -> "np.lib.npyio.NpzFile":
    """Outputs of the published networks, where the machine has them."""
    path = shared_audio.parent / _REFERENCE
    if not path.is_file():
        pytest.skip("no reference outputs beside the recordings")
    return np.load(path)


def test_segmentation_equals_the_published_network(
    converted: Settings, reference: "np.lib.npyio.NpzFile", shared_audio: Path
) -> None:
    """The first 10 s of a telephone talk give the published network's log-probabilities within 1e-3."""
    samples, _ = soundfile.read(shared_audio / "pyannote_sample" / "sample.wav", dtype="float32", frames=160_000)
    network = SegmentationNetwork(voice_weights(converted.model_cache), threads=1)
    assert np.abs(np.log(network.probabilities(samples[None])) - reference["segmentation"]).max() < 1e-3


def test_voice_equals_the_published_network(converted: Settings, reference: "np.lib.npyio.NpzFile") -> None:
    """The published network's features give its embedding, and not the one of the export with a rectifier."""
    network = VoiceNetwork(voice_weights(converted.model_cache), threads=1)
    frames = network.frames(reference["fbank"])
    embedding = network.embed(frames.mean(axis=0)[None], frames.std(axis=0, ddof=1)[None])[0]
    published, rectified = (
        reference[name] / np.linalg.norm(reference[name]) for name in ("embedding", "embedding_with_extra_relu")
    )
    assert embedding @ published > 0.9999
    assert embedding @ rectified < 0.9


if __name__ == "__main__":
    values = _computed(voice_weights(Settings().model_cache), Settings())
    _KEPT.write_text(json.dumps({name: np.round(array.astype(float), 5).tolist() for name, array in values.items()}))
