"""`python -m shared.adapters.weights` fills the model cache: at the build of an image, so that no first task has to."""

from shared.adapters.diarization.weights import voice_weights
from shared.adapters.weights.whisper_base import whisper_base
from shared.settings import load_settings


def main() -> None:
    settings = load_settings()
    whisper_base(settings)
    voice_weights(settings.model_cache)


if __name__ == "__main__":
    main()
