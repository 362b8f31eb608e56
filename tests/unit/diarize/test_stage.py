"""The stage's own decisions: channels, silence, or the diarizer."""

from pathlib import Path

import pytest

from pipelines.stages.diarize import BY_CHANNEL, diarize
from shared.domain.audio import PreparedAudio, Span, Track
from shared.domain.job import JobOptions
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn
from shared.ports.tick import Tick, no_tick

pytestmark = pytest.mark.unit


class _Ear:
    """A diarizer that notes what it was asked."""

    provenance = Provenance("test", "ear", "1")

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def diarize(self, audio: Path, *, speakers: int | None, tick: Tick) -> Diarization:
        self.asked.append(speakers)
        return Diarization((), (), (), {}, None, self.provenance)


def _track(channel: int | None, *speech: tuple[float, float]) -> Track:
    return Track("audio.flac", channel, -20.0, tuple(Span(*span) for span in speech))


def _prepared(mix: Track, *channels: Track) -> PreparedAudio:
    return PreparedAudio(20.0, 320_000, mix, channels, (), None, False)


def _run(prepared: PreparedAudio, ear: _Ear, options: JobOptions | None = None) -> Diarization:
    return diarize(prepared, Path("audio.flac"), options=options or JobOptions(), diarizer=ear, tick=no_tick)


def test_channels_need_no_ear() -> None:
    """One person a channel: turns are the channels' speech, S1 is who speaks first."""
    ear = _Ear()
    left, right = _track(0, (5.0, 8.0)), _track(1, (1.0, 3.0), (7.5, 9.0))
    spoken = _run(_prepared(_track(None, (0.9, 9.1)), left, right), ear)
    assert spoken.turns == (SpeakerTurn(1.0, 3.0, "S1"), SpeakerTurn(5.0, 8.0, "S2"), SpeakerTurn(7.5, 9.0, "S1"))
    assert spoken.exclusive == (SpeakerTurn(1.0, 3.0, "S1"), SpeakerTurn(5.0, 8.0, "S2"), SpeakerTurn(8.0, 9.0, "S1"))
    assert (spoken.speakers, spoken.provenance, ear.asked) == (("S1", "S2"), BY_CHANNEL, [])


def test_a_turn_inside_another_has_no_exclusive_time() -> None:
    """A word thrown in while the other goes on keeps its turn; the floor stays where it was."""
    left, right = _track(0, (0.9, 9.1)), _track(1, (3.9, 5.1))
    spoken = _run(_prepared(_track(None, (0.9, 9.1)), left, right), _Ear())
    assert [turn.speaker for turn in spoken.turns] == ["S1", "S2"]
    assert [turn.speaker for turn in spoken.exclusive] == ["S1"]


def test_a_silent_channel_is_nobody() -> None:
    """Only channels with speech become speakers."""
    spoken = _run(_prepared(_track(None, (0.9, 3.1)), _track(0), _track(1, (0.9, 3.1))), _Ear())
    assert spoken.speakers == ("S1",)


def test_a_breath_does_not_end_a_turn() -> None:
    """Spans of one channel less than 0.3 s apart are one turn."""
    left = _track(0, (1.0, 2.0), (2.25, 3.0), (3.4, 4.0))
    spoken = _run(_prepared(_track(None, (1.0, 4.0)), left, _track(1, (5.0, 6.0))), _Ear())
    assert [(turn.start_s, turn.end_s) for turn in spoken.turns] == [(1.0, 3.0), (3.4, 4.0), (5.0, 6.0)]


def test_no_speech_is_not_listened_to() -> None:
    """Silence gives an empty document without asking the networks."""
    ear = _Ear()
    spoken = _run(_prepared(_track(None)), ear)
    assert (spoken.turns, spoken.speakers, ear.asked) == ((), (), [])


@pytest.mark.parametrize("speakers", [None, 2, 3])
def test_the_wished_number_reaches_the_diarizer(speakers: int | None) -> None:
    """A mono recording goes to the diarizer with the caller's number of speakers."""
    ear = _Ear()
    _run(_prepared(_track(None, (1.0, 2.0))), ear, JobOptions(speakers=speakers))
    assert ear.asked == [speakers]
