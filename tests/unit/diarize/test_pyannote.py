"""pyannote by configuration: what its annotations become, and what is said where it is not installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.diarization.pyannote import PyannoteDiarizer
from shared.domain.errors import SetupError
from shared.ports.tick import no_tick
from shared.settings import Settings
from shared.toolbox import Toolbox

pytestmark = pytest.mark.unit


@dataclass
class Stretch:
    start: float
    end: float


class Annotation:
    """As pyannote.core's: tracks with labels."""

    def __init__(self, *tracks: tuple[float, float, str]) -> None:
        self._tracks = tracks

    def itertracks(self, yield_label: bool) -> Any:
        return ((Stretch(a, b), n, label) for n, (a, b, label) in enumerate(self._tracks))


@dataclass
class Output:
    """As version 4 gives it."""

    speaker_diarization: Annotation
    exclusive_speaker_diarization: Annotation


OVERLAPPED = Annotation((0.0, 4.0, "B"), (3.0, 6.0, "A"), (6.5, 6.55, "A"))


def diarized(output: object, speakers: int | None = None) -> tuple[Any, dict[str, int]]:
    asked: dict[str, int] = {}

    def pipeline(path: str, **more: int) -> object:
        asked.update(more)
        return output

    port = PyannoteDiarizer(Settings(), load=lambda model, token: pipeline)
    return port.diarize(Path("audio.flac"), speakers=speakers, tick=no_tick), asked


def test_annotations_become_turns() -> None:
    """Names in order of first speech, clicks left out, overlap kept; the floor stays with who began."""
    spoken, _ = diarized(OVERLAPPED)
    assert [(t.start_s, t.end_s, t.speaker) for t in spoken.turns] == [(0.0, 4.0, "S1"), (3.0, 6.0, "S2")]
    assert [(t.start_s, t.end_s, t.speaker) for t in spoken.exclusive] == [(0.0, 4.0, "S1"), (4.0, 6.0, "S2")]


def test_its_own_exclusive_turns_are_taken() -> None:
    """Where the pipeline decides who has the floor, that is better than who came first."""
    spoken, _ = diarized(Output(OVERLAPPED, Annotation((0.0, 3.4, "B"), (3.4, 6.0, "A"))))
    assert [t.end_s for t in spoken.exclusive] == [3.4, 6.0]


@pytest.mark.parametrize(("speakers", "asked"), [(2, {"num_speakers": 2}), (None, {})])
def test_the_number_of_speakers_is_asked_for(speakers: int | None, asked: dict[str, int]) -> None:
    """Unknown means that the pipeline counts."""
    assert diarized(OVERLAPPED, speakers)[1] == asked


def test_what_is_not_installed_is_said() -> None:
    """Chosen by a setting, and a clear error with what to do where the package is missing."""
    port = Toolbox(Settings(diarizer="pyannote")).diarizer
    with pytest.raises(SetupError, match=r"pyannote\.audio is not installed"):
        port.diarize(Path("audio.flac"), speakers=2, tick=no_tick)


def test_an_unknown_diarizer_is_refused() -> None:
    """A misspelt setting is said, not passed over."""
    with pytest.raises(SetupError, match="VIBEINSIGHT_DIARIZER"):
        _ = Toolbox(Settings(diarizer="pianote")).diarizer
