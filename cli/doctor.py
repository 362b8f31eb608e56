"""`vibeinsight doctor`: uses every part once, in small, and says how to mend what does not work."""

import json
import platform
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from cli import running
from cli.client import Client
from cli.stack import Stack
from shared.domain.audio import Span
from shared.domain.errors import VibeInsightError
from shared.ports.language import Question
from shared.ports.provider import OpenGate
from shared.ports.tick import no_tick
from shared.settings import Settings
from shared.toolbox import Toolbox

OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 14)
NEEDED_BYTES = 2 * 1024**3  # models 0.3 GB, servers 0.1 GB, and room for recordings
SMALL_QUESTION = Question(
    name="check",
    system='Answer with the JSON object {"fine": true}.',
    user="Is everything fine?",
    schema={
        "type": "object",
        "properties": {"fine": {"type": "boolean"}},
        "required": ["fine"],
        "additionalProperties": False,
    },
    max_output_tokens=2_000,  # a model that thinks needs room before its first word
)
SAMPLE_RATE_HZ, SAMPLE_S = 16_000, 2


class State(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    name: str
    state: State
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Part:
    """One thing to try. `look` returns what it saw, or raises."""

    name: str
    look: Callable[[], str]
    mend: str
    needed: bool = True

    def check(self) -> Check:
        trouble = State.BROKEN if self.needed else State.WARNING
        began = time.monotonic()
        try:
            seen = self.look()
        except VibeInsightError as error:
            return Check(self.name, trouble, error.message, self.mend)
        except Exception as error:  # a broken installation fails in any way it likes; the others are still looked at
            return Check(self.name, trouble, f"{type(error).__name__}: {error}", self.mend)
        return Check(self.name, State.FINE, f"{seen} ({time.monotonic() - began:.1f} s)")


def examine(settings: Settings) -> list[Check]:
    """Servers that are not configured are started in a folder of their own, so nothing that runs is disturbed."""
    with tempfile.TemporaryDirectory(prefix="vibeinsight-doctor-") as name:
        folder = Path(name)
        parts = [*_machine(settings), *_servers(settings, folder), *_engines(settings, folder), _api(settings)]
        return [part.check() for part in parts]


def _machine(settings: Settings) -> Iterator[Part]:
    yield Part("python", _python, "Install Python 3.11, 3.12 or 3.13 and run `make setup` again.")
    yield Part("disk", lambda: _disk(settings), "Free some space, or set VIBEINSIGHT_DATA_DIR to a larger disk.")


def _python() -> str:
    if not OLDEST_PYTHON <= sys.version_info[:2] < TOO_NEW_PYTHON:
        raise RuntimeError(f"Python {platform.python_version()} is not supported")
    return f"Python {platform.python_version()} on {platform.machine()}"


def _disk(settings: Settings) -> str:
    folder = next(
        path for path in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise RuntimeError(f"only {free / 1024**3:.1f} GiB are free")
    return f"{free / 1024**3:.0f} GiB free"


def _servers(settings: Settings, folder: Path) -> Iterator[Part]:
    def look() -> str:
        with Stack.start(settings.model_copy(update={"data_dir": folder / "data"}), durable=False) as stack:
            toolbox = Toolbox(stack.settings)
            toolbox.ledger.ping()
            toolbox.objects.ping()
            started = ", ".join(server.recipe.name for server in stack.servers)
        return f"started and stopped {started}" if started else "the configured ones answer"

    yield Part("servers", look, "`make setup`, or set DATABASE_URL, REDIS_URL and S3_ENDPOINT_URL to servers of yours.")


def _engines(settings: Settings, folder: Path) -> Iterator[Part]:
    toolbox, recording = Toolbox(settings), folder / "silence.wav"
    _write_silence(recording)

    def media() -> str:
        decoded = toolbox.media.decode(recording, folder, denoise=False, on_progress=lambda _: None)
        return f"decoded {decoded.samples / SAMPLE_RATE_HZ:.0f} s"

    def transcriber() -> str:
        speech = [Span(0.0, float(SAMPLE_S))]
        toolbox.transcriber.transcribe(recording, speech=speech, language="en", tick=no_tick)
        return f"{toolbox.transcriber.provenance.provider} {toolbox.transcriber.provenance.model}"

    def diarizer() -> str:
        toolbox.diarizer.diarize(recording, speakers=2, tick=no_tick)
        return toolbox.diarizer.provenance.model

    def activity() -> str:
        blocks = iter([np.zeros(512, np.float32)])
        return f"speech probability of silence {next(iter(toolbox.voice_activity.probabilities(blocks))):.2f}"

    setup = "Run `make setup`."
    yield Part("audio decoder", media, "`make setup` brings an ffmpeg; or install one on PATH.")
    yield Part("voice activity", activity, setup)
    yield Part(
        "transcription", transcriber, "`make setup` brings weights; or set VIBEINSIGHT_WHISPER_MODEL to a folder."
    )
    yield Part("diarization", diarizer, setup)
    yield language_model_part(settings)
    for language, text in (("en", "Hello."), ("ja", "こんにちは。")):
        yield Part(f"voice {language}", lambda t=text, c=language: _speak(toolbox, t, c), setup, needed=False)  # type: ignore[misc]


def language_model_part(settings: Settings) -> Part:
    """One small question with a schema shows that key, name and way with schemas are right."""

    def look() -> str:
        toolbox = Toolbox(settings)
        toolbox.gate = OpenGate()  # nobody's job pays for this, and no servers run
        model = toolbox.language_model
        if model is None:
            return "none is configured; the coaching part follows the rules"
        answer = json.loads(model.ask(SMALL_QUESTION).text)
        if not isinstance(answer.get("fine"), bool):
            raise ValueError("the answer is not by the schema; try VIBEINSIGHT_LANGUAGE_MODEL_SCHEMA=instructed")
        return f"{model.provenance.provider} {model.provenance.model} answers by the schema"

    return Part("language model", look, "docs/analysis-model.md lists the settings, all of VIBEINSIGHT_LANGUAGE_MODEL…")


def _speak(toolbox: Toolbox, text: str, language: str) -> str:
    speech = toolbox.synthesizer.speak(text, language)
    return f"{speech.engine}, {len(speech.samples) / speech.sample_rate_hz:.1f} s of speech"


def _write_silence(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(bytes(2 * SAMPLE_RATE_HZ * SAMPLE_S))


def _api(settings: Settings) -> Part:
    def look() -> str:
        address = running.find(settings)
        if address is None:
            return "none runs on this data folder; `vibeinsight up` starts one"
        with Client(address) as client:
            if not client.is_ready():
                raise RuntimeError(f"{client.url} runs, but is not ready")
            return f"{client.url} is ready, {len(client.jobs())} jobs on its first page"

    return Part("api", look, "Look into logs/api.log in the data folder; `vibeinsight up` starts it again.")


def as_json(checks: list[Check]) -> str:
    return json.dumps([asdict(check) for check in checks], ensure_ascii=False, indent=2)


def as_table(checks: list[Check]) -> Table:
    colours = {State.FINE: "green", State.WARNING: "yellow", State.BROKEN: "red"}
    table = Table("part", "state", "what was seen", "how to mend it")
    for check in checks:
        table.add_row(check.name, Text(check.state, colours[check.state]), Text(check.detail), Text(check.mend))
    return table
