"""The diarize stage: who spoke when, from the channels where they tell, else by ear."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.audio.voiceprints import prints_of_speakers
from shared.domain.audio import PreparedAudio, Track
from shared.domain.ids import SpeakerId
from shared.domain.job import JobOptions
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn
from shared.ports.speech import Diarizer, SpeakerEmbedder
from shared.ports.tick import Tick

BY_CHANNEL = Provenance(provider="vibeinsight", model="voice activity by channel", version="1")
PAUSE_S = 0.3  # a pause of this length ends a turn


def diarize(
    prepared: PreparedAudio,
    audio: Path,
    *,
    options: JobOptions,
    diarizer: Diarizer,
    tick: Tick,
    embedder: SpeakerEmbedder | None = None,
) -> Diarization:
    """`audio` is the mono mix. Channels that carry one person each need no ear at all.

    `embedder` gives each speaker a vector by which they can be found in other recordings.
    """
    if not prepared.channels and not prepared.mix.speech:
        return Diarization((), (), (), {}, None, diarizer.provenance)
    if prepared.channels:
        spoken = by_channel(prepared.channels)
    else:
        spoken = diarizer.diarize(audio, speakers=options.speakers, tick=tick)
    if embedder is None:
        return spoken
    embeddings, model = prints_of_speakers(audio, spoken.exclusive, embedder)
    return replace(spoken, embeddings=embeddings, embedding_model=model)


def by_channel(channels: Sequence[Track]) -> Diarization:
    """Each channel's voice activity is one speaker's turns; speakers are named in order of first speech."""
    spoken = sorted((track for track in channels if track.speech), key=lambda track: track.speech[0].start_s)
    names = [SpeakerId(f"S{number}") for number in range(1, len(spoken) + 1)]
    turns = tuple(
        sorted(
            (turn for name, track in zip(names, spoken, strict=True) for turn in _turns(name, track)),
            key=lambda turn: (turn.start_s, turn.end_s),
        )
    )
    return Diarization(turns, tuple(_exclusive(turns)), tuple(names), {}, None, BY_CHANNEL)


def _turns(name: SpeakerId, track: Track) -> list[SpeakerTurn]:
    """The margin around each span stays: voice activity misses about as much at the edges as the margin adds."""
    turns: list[SpeakerTurn] = []
    for span in track.speech:
        goes_on = turns and span.start_s - turns[-1].end_s < PAUSE_S
        start_s = turns.pop().start_s if goes_on else span.start_s
        turns.append(SpeakerTurn(start_s, span.end_s, name))
    return turns


def _exclusive(turns: Iterable[SpeakerTurn]) -> Iterable[SpeakerTurn]:
    """Where two speak at once, who began first keeps the floor until they end."""
    taken_s = 0.0
    for turn in turns:
        if turn.end_s > taken_s:
            yield SpeakerTurn(max(turn.start_s, taken_s), turn.end_s, turn.speaker)
            taken_s = turn.end_s
