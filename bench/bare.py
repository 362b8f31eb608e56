"""The bare engines on one file, one after the other: what a user gets who calls the two libraries and nothing else.

Run as a program of its own, so that its CPU time and memory are its own. Prints one JSON object.
Imports are not counted; loading the models is, as it is for us.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from shared.adapters.diarization.diarizer import OnnxDiarizer
from shared.adapters.weights.whisper_base import whisper_base
from shared.ports.tick import no_tick
from shared.settings import Settings

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """The result, and the wall and CPU seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def recognise(recording: Path, threads: int) -> str:
    """faster-whisper as its manual shows it: the whole file, its own voice activity filter, word times."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(whisper_base(Settings())), device="cpu", compute_type="int8", cpu_threads=threads)
    segments, _ = model.transcribe(
        str(recording), beam_size=5, vad_filter=True, word_timestamps=True, condition_on_previous_text=False
    )
    return "".join(segment.text for segment in segments)


def diarize(recording: Path, threads: int, speakers: int) -> int:
    """Our own networks alone on the decoded mix; the decoding is the caller's, as for any diarizer."""
    settings = Settings(engine_threads=threads)
    return len(OnnxDiarizer(settings).diarize(recording, speakers=speakers, tick=no_tick).turns)


def main(recording: Path, mix: Path, threads: int, speakers: int) -> None:
    import faster_whisper  # noqa: F401 - imports are not counted

    text, speech = timed(lambda: recognise(recording, threads))
    turns, voices = timed(lambda: diarize(mix, threads, speakers))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    outcome = {"transcribe": speech, "diarize": voices, "characters": len(text), "turns": turns, "peak_mb": peak_mb}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
