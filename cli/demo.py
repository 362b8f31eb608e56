"""A two-voice coaching conversation, made by the installed speech engines: for the demo, the tests and the benchmark.

The words, who says them and when are known exactly, and are written beside the recording.
"""

import json
import sys
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from shared.adapters.voices import InstalledVoices
from shared.domain.errors import InvalidInput
from shared.ports.speech import Samples
from shared.ports.voice import Speech
from shared.settings import Settings

SCRIPTS = Path(__file__).with_name("conversations.json")
RATE_HZ = 24_000
LEAD_S, TAIL_S = 0.5, 1.0
LEVEL_RMS = 0.06  # -24 dBFS: a calm voice close to the microphone
QUIET = 0.01  # below this, an engine's leading and trailing silence
# One engine, two people: playing a voice faster raises its pitch and its formants, as a smaller vocal tract does.
SHIFT = {"coach": (1, 1), "client": (6, 5)}


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of the reference; times in seconds."""

    start_s: float
    end_s: float
    speaker: str
    text: str


def make_conversation(folder: Path, language: str = "en") -> Path:
    """Writes conversation-<language>.flac and, as its reference, the JSON of the same name. Returns the recording."""
    scripts = json.loads(SCRIPTS.read_text(encoding="utf-8"))
    if language not in scripts:
        raise InvalidInput(f"There is no demo conversation in {language!r}; there is one in {', '.join(scripts)}")
    folder.mkdir(parents=True, exist_ok=True)
    turns = scripts[language]
    said = InstalledVoices(Settings()).speak_each([turn["text"] for turn in turns], language)
    spoken = [_as_person(turn["who"], speech) for turn, speech in zip(turns, said, strict=True)]
    lines = _place(turns, spoken)
    target = folder / f"conversation-{language}.flac"
    soundfile.write(target, _mix(lines, spoken), RATE_HZ)
    target.with_suffix(".json").write_text(json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=1))
    return target


def talk_ratio(lines: list[Line], speaker: str) -> float:
    """Share of the summed speech, 0..1."""
    seconds = {who: sum(line.end_s - line.start_s for line in said) for who, said in _by_speaker(lines)}
    return seconds[speaker] / sum(seconds.values())


def _by_speaker(lines: list[Line]) -> list[tuple[str, list[Line]]]:
    ordered = sorted(lines, key=lambda line: line.speaker)
    return [(who, list(said)) for who, said in groupby(ordered, key=lambda line: line.speaker)]


def _as_person(who: str, speech: Speech) -> Samples:
    slower, faster = SHIFT[who]
    samples = resample_poly(speech.samples, RATE_HZ * faster, speech.sample_rate_hz * slower).astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    voiced: Samples = samples[loud[0] : loud[-1] + 1]
    return voiced * np.float32(LEVEL_RMS / np.sqrt(np.mean(voiced**2)))


def _place(turns: list[dict[str, object]], spoken: list[Samples]) -> list[Line]:
    """`gap_s` counts from the end of what was said before; an aside is said meanwhile and moves nothing."""
    lines: list[Line] = []
    floor_s = LEAD_S
    for turn, samples in zip(turns, spoken, strict=True):
        start_s = floor_s + float(str(turn["gap_s"]))
        end_s = start_s + len(samples) / RATE_HZ
        lines.append(Line(round(start_s, 3), round(end_s, 3), str(turn["who"]), str(turn["text"])))
        if not turn.get("aside"):
            floor_s = end_s
    return lines


def _mix(lines: list[Line], spoken: list[Samples]) -> Samples:
    length_s = max(line.end_s for line in lines) + TAIL_S
    track = np.zeros(int(length_s * RATE_HZ), np.float32)
    for line, samples in zip(lines, spoken, strict=True):
        first = int(line.start_s * RATE_HZ)
        track[first : first + len(samples)] += samples
    return (track / max(1.0, float(np.abs(track).max()))).astype(np.float32)


if __name__ == "__main__":
    make_conversation(Path(sys.argv[1]), sys.argv[2])
