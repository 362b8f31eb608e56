"""The whole job against the bare engines on the same recording in the same run: wall, CPU and memory as ratios.

    python bench/batch.py [FILE] [--json]      a 10-minute conversation is made when no FILE is given

`whole_job_over_bare_engines` is the wall time from the request to the finished report, over the wall time of
faster-whisper (same weights, same settings, the whole file) and then the diarizer, both with all cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import soundfile
from rich.console import Console
from rich.table import Table

from bench.measure import cpu_s, watched_memory
from cli.client import Client
from cli.demo import make_conversation
from cli.installation import Installation, installed
from shared.adapters.ffmpeg import ffmpeg_binary
from shared.settings import Settings

MADE_S = 600.0  # long enough for the queue's cost to vanish and for both cores to be used
PAUSE_S = 1.0  # between the repetitions of the made conversation
SETTLE_S = 5.0  # until the workers have forked their children: before that, less is idle than will be
POLL_S = 0.1  # what the job's end may be seen late; 0.1 % of a 10-minute job
BEFORE = {"transcribe": "preprocess", "diarize": "preprocess", "analyze": "transcribe"}  # stages that keep no files
STAGE_ENDS = "SELECT stage, max(finished_at) FROM stage_runs WHERE job_id = %s GROUP BY stage"
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Usage:
    wall_s: float
    cpu_s: float
    peak_mb: float


def made_recording(folder: Path) -> Path:
    """The demo's conversation, repeated to ten minutes."""
    samples, rate = soundfile.read(make_conversation(folder, "en"), dtype="float32")
    once = np.concatenate([samples, np.zeros(int(PAUSE_S * rate), np.float32)])
    target = folder / "ten-minutes.flac"
    soundfile.write(target, np.tile(once, int(np.ceil(MADE_S * rate / len(once)))), rate)
    return target


def run_child(command: list[str]) -> tuple[str, Usage]:
    """A command's output, and what it used itself; not its children."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    wall_s = time.perf_counter() - began
    return output, Usage(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def bare_decode(recording: Path, folder: Path, ffmpeg: str) -> Usage:
    """ffmpeg alone, to what the models want."""
    target = folder / "bare.flac"
    command = [ffmpeg, "-v", "error", "-nostdin", "-y", "-threads", "1", "-i", str(recording)]
    return run_child([*command, "-ac", "1", "-ar", "16000", str(target)])[1]


def our_decode(recording: Path, folder: Path) -> Usage:
    """Our decode in a process of its own; the peak is that process's and ffmpeg's together."""
    output, _ = run_child([sys.executable, "-m", "bench.decode", str(recording), str(folder)])
    return Usage(**json.loads(output))


def bare_engines(recording: Path, mix: Path, speakers: int) -> dict[str, Any]:
    output, _ = run_child([sys.executable, "-m", "bench.bare", str(recording), str(mix), str(CORES), str(speakers)])
    outcome: dict[str, Any] = json.loads(output)
    parts = (outcome["transcribe"], outcome["diarize"])
    outcome["wall_s"] = sum(part["wall_s"] for part in parts)
    outcome["cpu_s"] = sum(part["cpu_s"] for part in parts)
    return outcome


def run_job(client: Client, recording: Path, speakers: int) -> str:
    """One job through the public API, to its end; returns its id."""
    with recording.open("rb") as file:
        job = client.create_from_file(recording, file, {"speakers": str(speakers)})
    while job["status"] in ("queued", "running"):
        time.sleep(POLL_S)
        job = client.job(job["id"])
    if not job["status"].startswith("completed"):
        raise SystemExit(f"the job ended {job['status']}: {job['error']}")
    return str(job["id"])


def whole_job(recording: Path, stack: Installation, speakers: int) -> dict[str, Any]:
    """Timed from the request to the end of the job; then once more from the cache, for the overhead."""
    with Client(stack.address) as client:
        with watched_memory(os.getpid()) as memory:
            cpu, wall = cpu_s(os.getpid()), time.perf_counter()
            job_id = run_job(client, recording, speakers)
            used = {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s(os.getpid()) - cpu}
        result = client.result(job_id)
        overhead_ms = median_overhead_ms(stack, run_job(client, recording, speakers))
    return used | {
        "above_idle_mb": memory.above_idle_mb,
        "idle_mb": memory.idle_mb,
        "audio_s": result["audio"]["duration_s"],
        "stages": result["timings"],
        "overhead_per_stage_ms": overhead_ms,
    }


def median_overhead_ms(stack: Installation, job_id: str) -> float:
    """What a stage costs beside its work, seen on a job whose every stage is in the cache and so has none.

    From the commit of the stage before to this one's: the ring, the queue, the claim, the look-up, the commit.
    """
    assert stack.stack.settings.database_url is not None
    with psycopg.connect(stack.stack.settings.database_url.get_secret_value()) as link:
        ended: dict[str, datetime] = dict(link.execute(STAGE_ENDS, (job_id,)).fetchall())
    return 1000 * statistics.median([(ended[stage] - ended[BEFORE[stage]]).total_seconds() for stage in BEFORE])


def measure(file: Path | None, folder: Path, speakers: int) -> dict[str, Any]:
    recording = (file or made_recording(folder)).absolute()
    with installed(Settings(data_dir=folder / "data"), lambda _: None, port=None, with_flower=False) as stack:
        time.sleep(SETTLE_S)
        job = whole_job(recording, stack, speakers)
    bare_decoding = bare_decode(recording, folder, ffmpeg_binary())
    our_decoding = our_decode(recording, folder)
    bare = bare_engines(recording, folder / "bare.flac", speakers)
    return {
        "audio_s": job["audio_s"],
        "whole_job_over_bare_engines": round(job["wall_s"] / bare["wall_s"], 3),
        "decode_over_bare_ffmpeg": round(our_decoding.wall_s / bare_decoding.wall_s, 3),
        "overhead_per_stage_ms": round(job["overhead_per_stage_ms"], 1),
        "memory_above_idle_mb": round(job["above_idle_mb"]),
        "rows": {
            "bare engines": {key: bare[key] for key in ("wall_s", "cpu_s", "peak_mb")},
            "whole job": {"wall_s": job["wall_s"], "cpu_s": job["cpu_s"], "peak_mb": job["above_idle_mb"]},
            "bare ffmpeg": asdict(bare_decoding),
            "our decode": asdict(our_decoding),
        },
        "bare": bare,
        "job": job,
    }


def report(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{figures['audio_s'] / 60:.1f} minutes, {CORES} cores", title_justify="left")
    for column in ("", "wall s", "CPU s", "memory MB"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in figures["rows"].items():
        table.add_row(name, *(f"{row[key]:.1f}" for key in ("wall_s", "cpu_s", "peak_mb")))
    console.print(table)
    for name in ("whole_job_over_bare_engines", "decode_over_bare_ffmpeg", "overhead_per_stage_ms"):
        console.print(f"{name}: {figures[name]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("--speakers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(arguments.file, Path(name), arguments.speakers)
    if arguments.json:
        print(json.dumps(figures))
    else:
        report(figures, Console())


if __name__ == "__main__":
    main()
