"""The Diarizer port over the two public networks: nothing is fetched, nothing needs torch."""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from shared.adapters.diarization.attribution import fit_heard, frame_evidence, likeliest
from shared.adapters.diarization.checkpoint import CAMPPLUS, SEGMENTATION
from shared.adapters.diarization.embedding import EMBEDDING_MODEL
from shared.adapters.diarization.engines import Matrix, SegmentationNetwork, VoiceNetwork, voice_network
from shared.adapters.diarization.listening import Heard, Listener
from shared.adapters.diarization.recording import Recording
from shared.adapters.diarization.turns import SpokenTurns, spoken_turns
from shared.adapters.diarization.viterbi import StatePath
from shared.adapters.diarization.weights import RECIPE, VoiceWeights, voice_weights
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Diarization, Provenance
from shared.ports.tick import Tick
from shared.settings import Settings

METHOD_VERSION = "1"  # raise it with every change of what comes out: it is part of the cache key
_LEAST_EMBEDDED_S = 1.0  # less clean speech describes a word, not a voice


class OnnxDiarizer:
    """Who spoke when, on the CPU."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            provider="onnxruntime",
            model=f"{SEGMENTATION.name} + {CAMPPLUS.name}",
            version=f"{METHOD_VERSION} (onnxruntime {version('onnxruntime')})",
            parameters={"recipe": RECIPE},
        )

    def load(self) -> None:
        """Opens the networks now instead of at the first recording; converts their weights if nobody has yet."""
        _ = self._segmentation, self._voice

    def diarize(self, audio: Path, *, speakers: int | None, tick: Tick) -> Diarization:
        recording = Recording(audio)
        heard = Listener(self._segmentation, self._voice).listen(recording, tick)
        path, evidence = self._attribute(heard, speakers)
        spoken = spoken_turns(heard.activity, path, evidence, recording.duration_s)
        return Diarization(
            turns=spoken.turns,
            exclusive=spoken.exclusive,
            speakers=tuple(spoken.names.values()),
            embeddings=self._embeddings(heard, path, spoken),
            embedding_model=EMBEDDING_MODEL,
            provenance=self.provenance,
        )

    def _attribute(self, heard: Heard, speakers: int | None) -> tuple[StatePath, Matrix]:
        """The voice of every frame, and the evidence for each voice."""
        voices = fit_heard(heard, self._voice, speakers)
        if voices is None:
            frames = len(heard.activity.speech)
            return np.zeros(frames, np.int64), np.zeros((frames, 1), np.float32)
        evidence = frame_evidence(heard, voices)
        return likeliest(heard, evidence), evidence

    def _embeddings(self, heard: Heard, path: StatePath, spoken: SpokenTurns) -> dict[SpeakerId, tuple[float, ...]]:
        """Each speaker's voice, from all of the pieces that are mostly theirs."""
        middles = heard.pieces.mean(axis=1).astype(np.int64)
        pool = heard.piece_pool.merged(path[middles], int(path.max(initial=0)) + 1)
        vectors = pool.embeddings(self._voice)
        known = {voice: name for voice, name in spoken.names.items() if pool.seconds[voice] >= _LEAST_EMBEDDED_S}
        return {name: tuple(vectors[voice].tolist()) for voice, name in known.items()}

    @cached_property
    def _weights(self) -> VoiceWeights:
        return voice_weights(self._settings.model_cache)

    @cached_property
    def _segmentation(self) -> SegmentationNetwork:
        return SegmentationNetwork(self._weights, self._settings.engine_threads)

    @cached_property
    def _voice(self) -> VoiceNetwork:
        return voice_network(self._settings.model_cache, self._settings.engine_threads)
