"""Who said each word: words meet speakers one by one, never a whole segment at once.

Where channels carry one person each, the channel decides. Otherwise the exclusive turns do: the turn that covers most
of the word. A word that no turn covers goes to the nearest one, because recognisers place words up to a second early or
late around pauses. Where two turns claim it alike, punctuation decides: a sentence that is under way keeps its speaker,
an ended one hands over.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.insight.intervals import intersect, measure, to_ms, union
from pipelines.text.script import ends_sentence
from shared.domain.audio import PreparedAudio, Span
from shared.domain.ids import SpeakerId
from shared.domain.transcript import SpeakerTurn, Transcription, Word

NEAREST_TURN_S = 2.0  # further from any turn than word times are ever wrong: left without a speaker
ALIKE_S = 0.1  # two turns this close in overlap or distance claim a word alike: about one frame of a recogniser


@dataclass(frozen=True, slots=True)
class SpokenWord:
    word: Word
    speaker: SpeakerId | None
    channel: int | None


@dataclass(frozen=True, slots=True)
class _Claim:
    """How strongly a turn claims a word: seconds covered, or the negative distance to it."""

    strength_s: float
    turn: SpeakerTurn


def attribute(
    transcriptions: Sequence[Transcription],
    exclusive: Sequence[SpeakerTurn],
    channel_speakers: Mapping[int, SpeakerId],
) -> tuple[SpokenWord, ...]:
    """Every word of all shards and channels in time order, with its speaker or None."""
    by_turns = _ByTurns(exclusive)
    spoken = []
    for word, channel in _in_time_order(transcriptions):
        known = channel_speakers.get(channel) if channel is not None else None
        spoken.append(SpokenWord(word, known or by_turns.speaker_of(word), channel))
    return tuple(spoken)


def _in_time_order(transcriptions: Sequence[Transcription]) -> list[tuple[Word, int | None]]:
    words = [
        (_to_the_millisecond(w), t.channel) for t in sorted(transcriptions, key=lambda t: t.shard) for w in t.words
    ]
    return sorted(words, key=lambda pair: (pair[0].start_s, pair[0].end_s))  # stable: equal times keep their order


def _to_the_millisecond(word: Word) -> Word:
    return replace(word, start_s=round(word.start_s, 3), end_s=round(word.end_s, 3))


class _ByTurns:
    """Attribution in order: it remembers who spoke last, and whether that sentence was ended."""

    def __init__(self, exclusive: Sequence[SpeakerTurn]) -> None:
        self._turns = sorted(exclusive, key=lambda turn: turn.start_s)
        self._starts = [turn.start_s for turn in self._turns]
        self._last: SpeakerId | None = None
        self._sentence_ended = True

    def speaker_of(self, word: Word) -> SpeakerId | None:
        speaker = self._choose(self._claims(word))
        self._last, self._sentence_ended = speaker, ends_sentence(word.text)
        return speaker

    def _claims(self, word: Word) -> list[_Claim]:
        """Strongest first; of equal ones the earlier turn first."""
        first = bisect_left(self._starts, word.start_s) - 2  # exclusive: at most one earlier turn reaches into the word
        near = self._turns[max(0, first) : bisect_left(self._starts, word.end_s) + 1]
        claims = [_Claim(_closeness_s(word, turn), turn) for turn in near]
        return sorted((c for c in claims if c.strength_s >= -NEAREST_TURN_S), key=lambda c: -c.strength_s)

    def _choose(self, claims: list[_Claim]) -> SpeakerId | None:
        if not claims:
            return None
        alike = [c.turn for c in claims if claims[0].strength_s - c.strength_s < ALIKE_S]
        if len({turn.speaker for turn in alike}) == 1:
            return alike[0].speaker
        if self._sentence_ended:
            return max(alike, key=lambda turn: turn.start_s).speaker
        return next((turn.speaker for turn in alike if turn.speaker == self._last), alike[0].speaker)


def _closeness_s(word: Word, turn: SpeakerTurn) -> float:
    """Seconds of the word inside the turn; outside, minus the distance between them."""
    return min(word.end_s, turn.end_s) - max(word.start_s, turn.start_s)


def speakers_of_channels(prepared: PreparedAudio, turns: Sequence[SpeakerTurn]) -> dict[int, SpeakerId]:
    """Which speaker is on which channel: the one whose turns the channel's voice activity covers best."""
    found: dict[int, SpeakerId] = {}
    for track in prepared.channels:
        if track.channel is None:
            continue
        free = sorted({turn.speaker for turn in turns} - set(found.values()))
        covered = {speaker: _covered_share(speaker, turns, track.speech) for speaker in free}
        best = max(covered, key=covered.__getitem__, default=None)
        if best is not None and covered[best] > 0:
            found[track.channel] = best
    return found


def _covered_share(speaker: SpeakerId, turns: Sequence[SpeakerTurn], speech: Sequence[Span]) -> float:
    own = union((to_ms(turn.start_s), to_ms(turn.end_s)) for turn in turns if turn.speaker == speaker)
    heard = union((to_ms(span.start_s), to_ms(span.end_s)) for span in speech)
    return measure(intersect(own, heard)) / (measure(own) or 1)


def turns_of_channels(prepared: PreparedAudio) -> tuple[SpeakerTurn, ...]:
    """Turns by the channels' own voice activity, for when diarization is missing; S1 is who speaks first."""
    tracks = sorted((t for t in prepared.channels if t.speech), key=lambda t: t.speech[0].start_s)
    turns = [
        SpeakerTurn(span.start_s, span.end_s, SpeakerId(f"S{number}"))
        for number, track in enumerate(tracks, start=1)
        for span in track.speech
    ]
    return tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))
