"""The Diarizer port over pyannote.audio, for installations that have it: a larger model, on a GPU where there is one.

Not among our dependencies, since it brings torch along. Nothing of it is imported before the first recording.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shared.domain.errors import NotAudio, SetupError
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn
from shared.ports.tick import Tick
from shared.settings import Settings

METHOD_VERSION = "1"  # raise it with every change of what comes out: it is part of the cache key
_SHORTEST_S = 0.15  # shorter ones are clicks and breaths
HOW_TO_INSTALL = (
    "VIBEINSIGHT_DIARIZER is pyannote, but pyannote.audio is not installed here: install it with a torch that fits "
    "this machine (`pip install pyannote.audio`), or set VIBEINSIGHT_DIARIZER to onnx"
)

Load = Callable[[str, str | None], Any]


class PyannoteDiarizer:
    """Overlap-aware turns as the pipeline gives them; exclusive turns from its own, where it has them."""

    def __init__(self, settings: Settings, load: Load | None = None) -> None:
        self._settings, self._load = settings, load or _load
        self._pipeline: Any = None

    @property
    def provenance(self) -> Provenance:
        try:
            installed = version("pyannote.audio")
        except PackageNotFoundError:
            installed = "not installed"
        return Provenance(
            provider="pyannote",
            model=Path(self._settings.pyannote_model).name,
            version=f"{METHOD_VERSION} (pyannote.audio {installed})",
        )

    def diarize(self, audio: Path, *, speakers: int | None, tick: Tick) -> Diarization:
        if self._pipeline is None:
            token = self._settings.huggingface_token
            self._pipeline = self._load(self._settings.pyannote_model, token.get_secret_value() if token else None)
        asked = {} if speakers is None else {"num_speakers": speakers}
        tick(0.0)
        output = self._run(audio, asked)
        spoken = getattr(output, "speaker_diarization", output)  # version 4 wraps it, version 3 gave it as it is
        alone = getattr(output, "exclusive_speaker_diarization", None)
        names = _names(spoken)
        turns = _turns(spoken, names)
        exclusive = _turns(alone, names) if alone is not None else _first_come(turns)
        return Diarization(turns, exclusive, tuple(names.values()), {}, None, self.provenance)

    def _run(self, audio: Path, asked: dict[str, int]) -> Any:
        try:
            return self._pipeline(str(audio), **asked)
        except (ValueError, RuntimeError) as error:
            raise NotAudio(f"pyannote could not read {audio.name} ({type(error).__name__})") from error


def _load(model: str, token: str | None) -> Any:
    try:
        from pyannote.audio import Pipeline
    except ImportError as error:
        raise SetupError(HOW_TO_INSTALL) from error
    pipeline = Pipeline.from_pretrained(model, token=token)
    if pipeline is None:
        raise SetupError(
            f"pyannote has no model {model!r} for this token; accept its terms on the hub, or name a folder"
        )
    return pipeline


def _stretches(annotation: Any) -> list[tuple[float, float, str]]:
    found = [(s.start, s.end, str(label)) for s, _, label in annotation.itertracks(yield_label=True)]
    return sorted(stretch for stretch in found if stretch[1] - stretch[0] >= _SHORTEST_S)


def _names(annotation: Any) -> dict[str, SpeakerId]:
    """In order of first speech."""
    labels = dict.fromkeys(label for _, _, label in _stretches(annotation))
    return {label: SpeakerId(f"S{number}") for number, label in enumerate(labels, start=1)}


def _turns(annotation: Any, names: dict[str, SpeakerId]) -> tuple[SpeakerTurn, ...]:
    known = (stretch for stretch in _stretches(annotation) if stretch[2] in names)
    return tuple(SpeakerTurn(round(a, 3), round(b, 3), names[label]) for a, b, label in known)


def _first_come(turns: tuple[SpeakerTurn, ...]) -> tuple[SpeakerTurn, ...]:
    """Where two speak at once, who began first keeps the floor until they end."""
    alone, taken_s = [], 0.0
    for turn in turns:
        if turn.end_s > taken_s:
            alone.append(SpeakerTurn(max(turn.start_s, taken_s), turn.end_s, turn.speaker))
            taken_s = turn.end_s
    return tuple(alone)
