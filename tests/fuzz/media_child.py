"""Takes files as a worker would, one after the other, and says how it went; that it ends by itself is a finding.

`python -m tests.fuzz.media_child FOLDER`; a path a line comes in, an answer as JSON goes out.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from pipelines.stages.download import download
from pipelines.stages.preprocess import preprocess
from shared.adapters.ffmpeg import Ffmpeg
from shared.adapters.silero import SileroVad
from shared.domain.audio import IntakeLimits
from shared.domain.errors import VibeInsightError
from shared.domain.job import JobOptions, Source, SourceKind
from shared.ports.store import ObjectFacts
from shared.ports.tick import no_tick
from shared.settings import Settings

LIMITS = IntakeLimits(max_bytes=10**9, max_duration_s=600.0, min_duration_s=0.5)
DECODE_S = 20.0


def peak_mb() -> int:
    """This program's own peak: `ru_maxrss` would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


class OneFile:
    """The object store, as far as the download asks it: one local file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def head(self, key: str) -> ObjectFacts:
        return ObjectFacts(key, self._path.stat().st_size, "application/octet-stream", "x")

    def stream(self, key: str, first: int | None = None, last: int | None = None) -> Iterator[bytes]:
        yield self._path.read_bytes()


class Taker:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settings = Settings(decode_timeout_s=DECODE_S)
        self._media, self._ears = Ffmpeg(settings), SileroVad(settings)

    def take(self, path: Path) -> dict[str, Any]:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        began, cpu = time.monotonic(), time.process_time()
        outcome = self._outcome(path)
        return {
            "outcome": outcome,
            "seconds": round(time.monotonic() - began, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            "own_mb": peak_mb(),
            "decoder_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            "left_running": len(psutil.Process().children(recursive=True)),
            "left_mb": sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file()) // 1024**2,
        }

    def _outcome(self, path: Path) -> str:
        try:
            return self._prepare(path)
        except VibeInsightError as error:
            return error.code
        except Exception as error:
            return f"CRASH {type(error).__name__}: {error}"

    def _prepare(self, path: Path) -> str:
        source, file = download(
            Source(SourceKind.UPLOAD, "x"),
            fetcher=None,  # type: ignore[arg-type]
            objects=OneFile(path),  # type: ignore[arg-type]
            media=self._media,
            limits=LIMITS,
            workdir=self._folder,
            upload_key="uploads/x",
            tick=no_tick,
        )
        prepared, files = preprocess(
            file,
            options=JobOptions(language="en"),
            media=self._media,
            voice_activity=self._ears,
            transcriber=None,  # type: ignore[arg-type]  # the language is given, so nobody asks it
            target_shards=2,
            limits=LIMITS,
            workdir=self._folder,
            tick=no_tick,
        )
        whole = prepared.samples > 0 and all(made.stat().st_size > 0 for made in files.values())
        return "taken" if whole else f"CRASH an output is empty: {source.facts}"


def main() -> None:
    taker = Taker(Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(taker.take(Path(line.strip()))), flush=True)


if __name__ == "__main__":
    main()
