"""Who spoke when: errors, talk ratio and cost over real recordings, beside the usual pipeline on the same networks.

Every recording is measured in a process of its own, so that its memory is its own. The talk ratio is compared at voice
activity level where the reference has it. Ends with 1 when a two-person recording loses a speaker or the median error
of the talk ratio is above two points.
"""

import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import typer
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.console import Console
from rich.table import Table

from bench.diarization_baseline import Baseline, Turn
from pipelines.audio.tracks import listen_to
from pipelines.stages.diarize import by_channel
from shared.adapters.diarization.diarizer import OnnxDiarizer
from shared.adapters.ffmpeg import Ffmpeg
from shared.adapters.silero import SileroVad
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.transcript import Diarization
from shared.ports.media import Decoded
from shared.ports.tick import no_tick
from shared.settings import Settings

FOLDER = Path(os.environ.get("VIBEINSIGHT_AUDIO", "../shared/audio"))
COLLARS_S = (0.0, 0.25)  # on each side of a reference's edge
MEDIAN_POINTS = 2.0


@dataclass(frozen=True)
class Recording:
    name: str
    audio: tuple[str, ...]  # several are joined
    reference: str | None
    people: int
    way: str = "ears"  # ears, channels or baseline
    given: int | None = 2  # None: estimate
    judged_from_s: float = 0.0


@dataclass(frozen=True)
class Score:
    name: str
    way: str
    given: int | None
    people: int
    found: int
    errors: tuple[float, ...]  # DER in % at each collar; empty without a reference
    confusion: float | None  # % at the first collar
    ratio_points: float | None  # of the talk ratio, where two people talk
    cpu_s_a_minute: float
    wall_s_a_minute: float
    peak_mb: float  # above what the models and libraries take


def _calls() -> list[Recording]:
    """Two people, each recording by ear and by the usual pipeline, and by channel where they are apart."""
    mono = [
        Recording("call", ("aws_call/call40.mono16k.flac",), "aws_call/call40.vad.rttm", 2),
        Recording("katie+steve", ("azure_katiesteve/katiesteve.wav",), "azure_katiesteve/katiesteve.aligned.rttm", 2),
        Recording(
            "commercial",
            ("google_commercial/commercial_mono.wav",),
            "google_commercial/commercial_mono.aligned.rttm",
            2,
            judged_from_s=4.3,  # nobody knows who says the first words
        ),
        Recording("pyannote", ("pyannote_sample/sample.wav",), "pyannote_sample/sample.rttm", 2),
    ]
    stereo = [Recording("call", ("aws_call/call40.stereo.flac",), "aws_call/call40.vad.rttm", 2, "channels")]
    for name in ("d02_fm", "d02_mm", "d02_ff_overlap"):
        reference = f"dialogues/{name}/{name}.vad.rttm"
        mono.append(Recording(name, (f"dialogues/{name}/{name}.flac",), reference, 2))
        stereo.append(Recording(name, (f"dialogues/{name}/{name}.stereo.flac",), reference, 2, "channels"))
    return [*mono, *stereo]


def _counts(folder: Path) -> list[Recording]:
    """How many people there are, when nobody says so; and one person where two were expected."""
    talks = [Recording(**{**asdict(call), "given": None}) for call in _calls() if call.way == "ears"]
    three = ("picovoice_3spk/test.wav",)
    several = [Recording("picovoice", three, "picovoice_3spk/test.rttm", 3, given=given) for given in (3, None)]
    alone = []
    for voice in sorted(folder.glob("librispeech_other/*/")):
        clips = tuple(str(clip.relative_to(folder)) for clip in sorted(voice.glob("*.flac"))[:5])
        alone += [Recording(f"reader {voice.name}", clips, None, 1, given=given) for given in (2, None)]
    return [*talks, *several, *alone]


def measure(recording: Recording, folder: Path) -> Score:
    """In a fresh process."""
    settings = Settings()
    with tempfile.TemporaryDirectory() as scratch:
        decoded = Ffmpeg(settings).decode(
            _joined(recording, folder, Path(scratch)), Path(scratch), denoise=False, on_progress=no_tick
        )
        work = _worker(recording, decoded, settings)
        before_mb, wall, cpu = _peak_mb(), time.perf_counter(), time.process_time()
        turns = work()
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    minutes = decoded.samples / SAMPLE_RATE_HZ / 60
    errors, confusion, points = _judged(recording, folder, turns, minutes * 60)
    found = len({speaker for *_, speaker in turns})
    return Score(
        recording.name,
        recording.way,
        recording.given,
        recording.people,
        found,
        errors,
        confusion,
        points,
        cpu_s / minutes,
        wall_s / minutes,
        _peak_mb() - before_mb,
    )


def _worker(recording: Recording, decoded: Decoded, settings: Settings) -> Callable[[], list[Turn]]:
    """What is timed, with its models loaded by a second of silence."""
    quiet = decoded.mix.with_name("quiet.flac")
    soundfile.write(quiet, np.zeros(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    if recording.way == "baseline":
        baseline = Baseline(settings)
        baseline.diarize(quiet, 2)
        return lambda: baseline.diarize(decoded.mix, recording.given)
    if recording.way == "channels":
        ear = SileroVad(settings)
        return lambda: _turns(
            by_channel([side.track for side in listen_to(decoded, ear, two_party=True, on_share=no_tick).channels])
        )
    ours = OnnxDiarizer(settings)
    ours.load()
    return lambda: _turns(ours.diarize(decoded.mix, speakers=recording.given, tick=no_tick))


def _joined(recording: Recording, folder: Path, scratch: Path) -> Path:
    if len(recording.audio) == 1:
        return folder / recording.audio[0]
    parts = [soundfile.read(folder / name, dtype="float32") for name in recording.audio]
    target = scratch / "joined.wav"
    soundfile.write(target, np.concatenate([samples for samples, _ in parts]), parts[0][1])
    return target


def _turns(spoken: Diarization) -> list[Turn]:
    return [(turn.start_s, turn.end_s, turn.speaker) for turn in spoken.turns]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---- against the reference


def _judged(
    recording: Recording, folder: Path, turns: list[Turn], duration_s: float
) -> tuple[tuple[float, ...], float | None, float | None]:
    if recording.reference is None:
        return (), None, None
    judged = Segment(recording.judged_from_s, duration_s)
    reference, found = _annotation(_read_rttm(folder / recording.reference)), _annotation(turns)
    reports = [
        DiarizationErrorRate(collar=2 * collar_s)(reference, found, uem=Timeline([judged]), detailed=True)
        for collar_s in COLLARS_S
    ]
    errors = tuple(100 * report["diarization error rate"] for report in reports)
    points = _ratio_points(reference.crop(judged), found.crop(judged)) if recording.people == 2 else None
    return errors, 100 * reports[0]["confusion"] / reports[0]["total"], points


def _annotation(turns: list[Turn]) -> Annotation:
    annotation = Annotation()
    for number, (start_s, end_s, speaker) in enumerate(turns):
        annotation[Segment(start_s, end_s), number] = speaker
    return annotation


def _read_rttm(path: Path) -> list[Turn]:
    lines = (line.split() for line in path.read_text().splitlines() if line.strip())
    return [(float(start), float(start) + float(length), who) for _, _, _, start, length, _, _, who, *_ in lines]


def _ratio_points(reference: Annotation, found: Annotation) -> float:
    """By how many points the first person's share of the talk is off."""
    mapping = DiarizationErrorRate().optimal_mapping(reference, found)
    first = sorted(reference.labels())[0]
    mine = [label for label in found.labels() if mapping.get(label) == first]
    return 100 * abs(_share(reference, [first]) - _share(found, mine))


def _share(annotation: Annotation, labels: list[str]) -> float:
    total = sum(annotation.label_duration(label) for label in annotation.labels())
    return sum(annotation.label_duration(label) for label in labels) / total if total else 0.0


# ---- what is shown


def table(scores: list[Score]) -> Table:
    shown = Table(title="Who spoke when")
    for name in ("recording", "way", "given", "people", "found"):
        shown.add_column(name, justify="left" if name in ("recording", "way") else "right")
    for name in ("DER %", "±0.25 s", "confusion %", "ratio points", "cpu s/min", "wall s/min", "peak MB"):
        shown.add_column(name, justify="right")
    for one in scores:
        errors = [f"{error:.1f}" for error in one.errors] or ["", ""]
        parts = ["" if value is None else f"{value:.2f}" for value in (one.confusion, one.ratio_points)]
        cost = f"{one.cpu_s_a_minute:.2f}", f"{one.wall_s_a_minute:.2f}", f"{one.peak_mb:.0f}"
        counts = str(one.given or "?"), str(one.people), str(one.found)
        shown.add_row(one.name, one.way, *counts, *errors, *parts, *cost)
    return shown


def summary(scores: list[Score]) -> str:
    lines = []
    for way in ("ears", "baseline", "channels"):
        judged = [one for one in scores if one.way == way and one.given == 2 and one.ratio_points is not None]
        points = [one.ratio_points for one in judged if one.ratio_points is not None]
        errors = [statistics.mean(one.errors[index] for one in judged) for index in range(len(COLLARS_S))]
        lines.append(
            f"{way}: two found {sum(one.found == 2 for one in judged)}/{len(judged)}; talk ratio off by "
            f"{statistics.median(points):.2f} points in the median, {max(points):.2f} at worst; "
            f"DER {errors[0]:.1f} %, with collar {errors[1]:.1f} %"
        )
    counted = [one for one in scores if one.given is None]
    lines.append(f"number unknown: right in {sum(one.found == one.people for one in counted)}/{len(counted)}")
    return "\n".join(lines)


def main(folder: Path = FOLDER, only: str = "", as_json: bool = typer.Option(False, "--json")) -> None:
    """Score the recordings in FOLDER; `--only` takes those with this in their name."""
    calls = _calls()
    usual = [Recording(**{**asdict(call), "way": "baseline"}) for call in calls if call.way == "ears"]
    chosen = [recording for recording in [*calls, *usual, *_counts(folder)] if only in recording.name]
    OnnxDiarizer(Settings()).load()  # converts the weights once, and says so if they are missing
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        scores = pool.starmap(measure, [(recording, folder) for recording in chosen], chunksize=1)
    if as_json:
        print(json.dumps([asdict(one) for one in scores], indent=1))
    else:
        Console(width=140).print(table(scores))
        print(summary(scores))
    talks = [one for one in scores if one.way != "baseline" and one.given == 2 and one.ratio_points is not None]
    median = statistics.median(one.ratio_points for one in talks if one.ratio_points is not None)
    sys.exit(0 if all(one.found == 2 for one in talks) and median <= MEDIAN_POINTS else 1)


if __name__ == "__main__":
    typer.run(main)
