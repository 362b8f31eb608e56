"""Long recordings: memory that hardly grows, and chunks that change nothing."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.adapters.diarization.engines import SegmentationNetwork, VoiceNetwork
from shared.adapters.diarization.features import FeatureStore, fit_normaliser
from shared.adapters.diarization.listening import Listener
from shared.adapters.diarization.pooling import CHUNK_FRAMES, SpanPool, voice_frames
from shared.adapters.diarization.recording import Recording
from shared.adapters.diarization.weights import voice_weights
from shared.ports.tick import no_tick
from shared.settings import Settings
from tests.speech_fixtures import dialogue_16k

pytestmark = pytest.mark.integration

_BUDGET_MB_A_MINUTE = 4.0  # 240 MB an hour; the audio alone is 230, the networks' frames 370


@pytest.fixture(scope="module")
def listener() -> Listener:
    weights = voice_weights(Settings().model_cache)
    return Listener(SegmentationNetwork(weights, 1), VoiceNetwork(weights, 1))


def _peak_mb(listener: Listener, folder: Path, repeats: int) -> tuple[float, float]:
    """Minutes of the dialogue repeated, and the most that listening to them held at once, in arrays of ours."""
    samples, rate_hz = soundfile.read(dialogue_16k()[0], dtype="float32")
    path = folder / f"{repeats}.flac"
    soundfile.write(path, np.tile(samples, repeats), rate_hz)
    recording = Recording(path)
    tracemalloc.start()
    listener.listen(recording, no_tick)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return recording.duration_s / 60, peak / 1e6


def test_memory_hardly_grows_with_length(listener: Listener, tmp_path: Path) -> None:
    """Between one and five minutes each further minute costs less than the audio itself would."""
    (short_min, short_mb), (long_min, long_mb) = (_peak_mb(listener, tmp_path, repeats) for repeats in (1, 5))
    assert (long_mb - short_mb) / (long_min - short_min) < _BUDGET_MB_A_MINUTE


def test_chunks_hardly_change_an_embedding() -> None:
    """Seconds of speech pooled from chunks with context point where they do when the trunk runs over all at once."""
    samples, _ = soundfile.read(dialogue_16k()[0], dtype="float32")
    network = VoiceNetwork(voice_weights(Settings().model_cache), 1)
    features = FeatureStore()
    features.add(samples[: 50 * 16_000])
    normalise = fit_normaliser(features.raw)
    whole = network.frames(normalise(features.raw.astype(np.float32)))
    assert len(whole) > 2 * CHUNK_FRAMES
    seconds = np.arange(len(whole)) // 50
    pools = SpanPool(int(seconds[-1]) + 1), SpanPool(int(seconds[-1]) + 1)
    pools[0].add(seconds, whole)
    for first, frames in voice_frames(features, normalise, network, np.ones(len(whole), bool)):
        pools[1].add(seconds[first : first + len(frames)], frames)
    unchunked, chunked = (pool.embeddings(network)[:-1] for pool in pools)
    loudness = features.raw.astype(np.float32).mean(axis=1)[: 100 * len(chunked)].reshape(-1, 100).mean(axis=1)
    spoken = loudness > np.median(loudness)  # a second of silence has no voice to keep
    cosines = (unchunked * chunked).sum(axis=1)[spoken]
    assert np.median(cosines) > 0.97
    assert cosines.min() > 0.8  # another person has 0.6 at most


def test_features_do_not_depend_on_blocks() -> None:
    """A stream in odd blocks has exactly the features of the whole."""
    samples, _ = soundfile.read(dialogue_16k()[0], dtype="float32", frames=5 * 16_000)
    whole, parts = FeatureStore(), FeatureStore()
    whole.add(samples)
    for first in range(0, len(samples), 7_777):
        parts.add(samples[first : first + 7_777])
    assert (whole.raw == parts.raw).all()


def test_windows_embedded_in_blocks_are_those_of_the_whole() -> None:
    """More windows than one block holds: none is lost, doubled or mixed up at a border."""
    network = VoiceNetwork(voice_weights(Settings().model_cache), 1)
    pool, chance = SpanPool(2_300), np.random.default_rng(0)
    pool.sums, pool.squares = (chance.random(pool.sums.shape, np.float32) * size for size in (12, 24))
    pool.frames += 12
    embeddings, seconds = pool.window_embeddings(4, network)
    assert np.allclose(embeddings, pool.sliding(4).embeddings(network), atol=1e-5)
    assert seconds.shape == (2_297,)
