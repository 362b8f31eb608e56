"""The voice of one person as a unit vector: enrolment, and finding a person again in another recording."""

from functools import cached_property

import numpy as np

from shared.adapters.diarization.checkpoint import CAMPPLUS
from shared.adapters.diarization.engines import VoiceNetwork, voice_network
from shared.adapters.diarization.features import FeatureStore, fit_normaliser
from shared.adapters.diarization.pooling import SpanPool, voice_frames
from shared.adapters.diarization.weights import RECIPE
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import TooShort
from shared.ports.speech import Samples
from shared.settings import Settings

EMBEDDING_MODEL = f"{CAMPPLUS.name}-r{RECIPE}"  # vectors of different models must never be compared
LEAST_S = 0.3  # less holds no syllable


class CampplusEmbedder:
    """The SpeakerEmbedder port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _network(self) -> VoiceNetwork:
        return voice_network(self._settings.model_cache, self._settings.engine_threads)

    @property
    def model(self) -> str:
        return EMBEDDING_MODEL

    def embed(self, samples: Samples) -> tuple[float, ...]:
        """Unit vector of 192 values. Raises TooShort below 0.3 s."""
        if len(samples) < LEAST_S * SAMPLE_RATE_HZ:
            raise TooShort(f"A voice needs at least {LEAST_S} s of speech; {len(samples) / SAMPLE_RATE_HZ:.2f} s given")
        features = FeatureStore()
        features.add(samples)
        everything = np.ones((len(features.raw) + 1) // 2, bool)
        pool = SpanPool(1)
        for _, frames in voice_frames(features, fit_normaliser(features.raw), self._network, everything):
            pool.add(np.zeros(len(frames), np.int64), frames)
        return tuple(pool.embeddings(self._network)[0].tolist())
