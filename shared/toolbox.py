"""The composition root: Settings in, every port out. Each is opened on first use, once a process."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from shared.domain.errors import SetupError
from shared.observe.calls import FETCH, FFMPEG, S3, model, watched
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from shared.guard.tokens import Tokens
    from shared.ports.emotion import EmotionModel
    from shared.ports.flow import Doorbell
    from shared.ports.language import LanguageModel
    from shared.ports.media import Fetcher, MediaTool
    from shared.ports.provider import Gate
    from shared.ports.speech import Diarizer, SpeakerEmbedder, Transcriber, VoiceActivity
    from shared.ports.store import ObjectStore
    from shared.ports.voice import Synthesizer
    from shared.store.admission import OwnerUse
    from shared.store.ledger import Ledger
    from shared.store.usage import Spending


@dataclass
class Toolbox:
    """Adapters import their vendors' packages on first use, so a worker carries only what its stage needs."""

    settings: Settings = field(default_factory=load_settings)

    def close(self) -> None:
        """Gives back the database connections, if any were opened."""
        if "ledger" in self.__dict__:
            self.ledger.close()

    @cached_property
    def ledger(self) -> "Ledger":
        from shared.store.ledger import Ledger

        return Ledger.connect(self.settings)

    @cached_property
    def tokens(self) -> "Tokens":
        from shared.guard.tokens import Tokens

        return Tokens(self.settings)

    @cached_property
    def doorbell(self) -> "Doorbell":
        from shared.queue.doorbell import CeleryDoorbell

        return CeleryDoorbell(self.settings)

    @cached_property
    def objects(self) -> "ObjectStore":
        from shared.adapters.s3 import S3ObjectStore

        return watched(S3ObjectStore(self.settings), S3)

    @cached_property
    def fetcher(self) -> "Fetcher":
        from shared.adapters.http_fetcher import HttpFetcher

        return watched(HttpFetcher(self.settings), FETCH)

    @cached_property
    def media(self) -> "MediaTool":
        from shared.adapters.ffmpeg import Ffmpeg

        return watched(Ffmpeg(self.settings), FFMPEG)

    @cached_property
    def voice_activity(self) -> "VoiceActivity":
        from shared.adapters.silero import SileroVad

        return SileroVad(self.settings)

    @cached_property
    def gate(self) -> "Gate":
        """Before every call of a provider."""
        from shared.guard.provider import ProviderGate

        return ProviderGate(self.settings, self.spending)

    @cached_property
    def owner_use(self) -> "OwnerUse":
        from shared.store.admission import OwnerUse

        return OwnerUse(self.ledger.database, self.settings)

    @cached_property
    def spending(self) -> "Spending":
        from shared.store.usage import Spending

        return Spending(self.ledger.database, self.settings)

    @cached_property
    def transcriber(self) -> "Transcriber":
        match self.settings.transcriber:
            case "faster-whisper":
                from shared.adapters.faster_whisper import FasterWhisper

                return watched(FasterWhisper(self.settings), model("faster-whisper", local=True))
            case "openai":
                from shared.adapters.openai import OpenAITranscriber

                return watched(OpenAITranscriber(self.settings, self.gate), model("openai"))
            case other:
                raise SetupError(f"VIBEINSIGHT_TRANSCRIBER is {other!r}; use faster-whisper or openai")

    @cached_property
    def language_model(self) -> "LanguageModel | None":
        """None: coaching analysis follows the rules alone."""
        match self.settings.language_model:
            case "none":
                return None
            case "gemini":
                from shared.adapters.gemini import GeminiModel

                return watched(GeminiModel(self.settings, self.gate), model("gemini"))
            case "openai":
                from shared.adapters.chat import ChatModel

                return watched(ChatModel(self.settings, self.gate), model("openai"))
            case other:
                raise SetupError(f"VIBEINSIGHT_LANGUAGE_MODEL is {other!r}; use none, gemini or openai")

    @cached_property
    def diarizer(self) -> "Diarizer":
        match self.settings.diarizer:
            case "onnx":
                from shared.adapters.diarization.diarizer import OnnxDiarizer

                return watched(OnnxDiarizer(self.settings), model("diarizer", local=True))
            case "pyannote":
                from shared.adapters.diarization.pyannote import PyannoteDiarizer

                return watched(PyannoteDiarizer(self.settings), model("diarizer", local=True))
            case other:
                raise SetupError(f"VIBEINSIGHT_DIARIZER is {other!r}; use onnx or pyannote")

    @cached_property
    def embedder(self) -> "SpeakerEmbedder":
        from shared.adapters.diarization.embedding import CampplusEmbedder

        return CampplusEmbedder(self.settings)

    @cached_property
    def emotion_model(self) -> "EmotionModel | None":
        """None: arousal is measured from the voice by our own means, valence from words."""
        if self.settings.emotion_model is None:
            return None
        from shared.adapters.emotion_onnx import OnnxEmotion

        return OnnxEmotion(self.settings)  # not watched: a hundred short questions a job are no spans

    @cached_property
    def synthesizer(self) -> "Synthesizer":
        from shared.adapters.voices import InstalledVoices

        return watched(InstalledVoices(self.settings), model("voices", local=True))
