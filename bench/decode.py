"""Our decode of one file, alone in its process: prints wall and CPU seconds, and the peak with ffmpeg."""

import json
import resource
import sys
import time
from pathlib import Path

from shared.adapters.ffmpeg import Ffmpeg
from shared.settings import Settings


def main(recording: Path, folder: Path) -> None:
    ffmpeg = Ffmpeg(Settings())
    wall = time.perf_counter()
    ffmpeg.decode(recording, folder, denoise=False, on_progress=lambda _: None)
    wall_s = time.perf_counter() - wall
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": sum(one.ru_maxrss for one in used) / 1024}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
