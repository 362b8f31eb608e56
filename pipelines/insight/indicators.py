"""What of coaching can be measured: eleven figures, each with a range that maps it to 0..1, and the moment to look at.

The ranges follow the ICF's PCC markers (2020) and the MITI 4 thresholds where these say something, and plain judgement
where they do not. They are published here so that they can be disputed; a score from them describes, it does not grade.

| indicator           | figure                                             | 0 at | 1 at | after           |
| client_share        | client's share of summed speech                    | 0.35 | 0.65 | PCC 7.8         |
| coach_interruptions | coach's interruptions in 10 min of client's speech | 6    | 0    | PCC 6.6         |
| patience            | coach's median wait after the client, in seconds   | 0.2  | 1.0  | PCC 5.5         |
| longest_coach_turn  | in seconds                                         | 90   | 30   | PCC 7.8         |
| open_share          | open questions / questions of the coach            | 0.2  | 0.7  | PCC 7.6, MITI 3 |
| question_rate       | coach's questions / coach's turns                  | 0.1  | 0.5  | PCC 7           |
| stacked_questions   | turns with 2 or more questions / turns with any    | 0.5  | 0    | PCC 7.6         |
| reflections         | coach's reflections / coach's questions            | 0    | 1    | PCC 6.7, MITI 4 |
| feelings            | coach's sentences naming a feeling / coach's turns | 0    | 0.2  | PCC 4.3, 6.3    |
| affirmations        | coach's affirmations / coach's turns               | 0    | 0.2  | PCC 4.1         |
| next_steps          | commitments with a date or rhythm, by anybody      | 0    | 2    | PCC 8           |
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.floor import FloorTransfer
from pipelines.insight.intervals import Speech
from pipelines.insight.language.rules import QuestionKind
from shared.domain.ids import SpeakerId

TEN_MINUTES_MS = 600_000
LEAST_RATED_MS = 300_000


@dataclass(frozen=True, slots=True)
class Indicator:
    """One figure of one skill. `score` is 0..1; `at_ms` is the moment that shows it best, if any."""

    key: str
    value: float
    score: float
    at_ms: int | None = None
    speaker: SpeakerId | None = None  # who is heard at that moment
    out_of_s: float = 0.0  # the speech in which `value` was counted, where it is a count


@dataclass(frozen=True, slots=True)
class Pair:
    """The coaches and their clients in one conversation."""

    conversation: Conversation
    coach: Sequence[SpeakerId]
    client: Sequence[SpeakerId]

    def turns(self, speakers: Sequence[SpeakerId]) -> list[Speech]:
        return [turn for turn in self.conversation.floor.turns if turn.speaker in speakers]

    def talk_ms(self, speakers: Sequence[SpeakerId]) -> int:
        return sum(self.conversation.talk_ms[speaker] for speaker in speakers)

    def coach_sentences(self) -> list[Sentence]:
        return self.conversation.said_by(self.coach)

    def coach_questions(self) -> list[Sentence]:
        return [sentence for sentence in self.coach_sentences() if sentence.question]


def ramp(value: float, worst: float, best: float) -> float:
    """0 at `worst` or beyond, 1 at `best` or beyond, straight between; `best` may be the smaller one."""
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def listening(pair: Pair) -> list[Indicator]:
    return [_client_share(pair), _coach_interruptions(pair), *_patience(pair), _longest_coach_turn(pair)]


def _client_share(pair: Pair) -> Indicator:
    client_ms, longest = pair.talk_ms(pair.client), _longest(pair.turns(pair.coach))
    share = client_ms / (client_ms + pair.talk_ms(pair.coach))
    return Indicator("client_share", share, ramp(share, 0.35, 0.65), longest.start_ms, longest.speaker)


def _coach_interruptions(pair: Pair) -> Indicator:
    """The rate takes at least five minutes of client's speech, so that one slip in a short talk is not a habit."""
    made = [i for i in pair.conversation.floor.interruptions if i.by in pair.coach and i.of in pair.client]
    client_ms = pair.talk_ms(pair.client)
    rate = len(made) * TEN_MINUTES_MS / max(client_ms, LEAST_RATED_MS)
    worst = max(made, key=lambda i: i.overlap_ms, default=None)
    at_ms, by = (worst.start_ms, worst.by) if worst else (None, None)
    return Indicator("coach_interruptions", len(made), ramp(rate, 6, 0), at_ms, by, client_ms / 1000)


def _patience(pair: Pair) -> list[Indicator]:
    waits = [t for t in pair.conversation.floor.transfers if _is_wait(t, pair)]
    if not waits:
        return []
    median_s = statistics.median(t.offset_ms for t in waits) / 1000
    quickest = min(waits, key=lambda t: t.offset_ms)
    return [Indicator("patience", median_s, ramp(median_s, 0.2, 1.0), quickest.start_ms, quickest.after)]


def _is_wait(transfer: FloorTransfer, pair: Pair) -> bool:
    return transfer.before in pair.client and transfer.after in pair.coach and transfer.offset_ms >= 0


def _longest_coach_turn(pair: Pair) -> Indicator:
    longest = _longest(pair.turns(pair.coach))
    seconds = longest.duration_ms / 1000
    return Indicator("longest_coach_turn", seconds, ramp(seconds, 90, 30), longest.start_ms, longest.speaker)


def _longest(turns: Iterable[Speech]) -> Speech:
    return max(turns, key=lambda turn: turn.duration_ms)


def questioning(pair: Pair) -> list[Indicator]:
    asked = pair.coach_questions()
    rate = len(asked) / len(pair.turns(pair.coach))
    found = [Indicator("question_rate", rate, ramp(rate, 0.1, 0.5))]
    return [*found, _open_share(asked), _stacked(pair, asked)] if asked else found


def _open_share(asked: Sequence[Sentence]) -> Indicator:
    closed = [sentence for sentence in asked if sentence.question is QuestionKind.CLOSED]
    share = 1 - len(closed) / len(asked)
    moment = (closed[0].start_ms, closed[0].speaker) if closed else (None, None)
    return Indicator("open_share", share, ramp(share, 0.2, 0.7), *moment)


def _stacked(pair: Pair, asked: Sequence[Sentence]) -> Indicator:
    """One question at a time: how many of the coach's asking turns hold two or more."""
    turns = pair.turns(pair.coach)
    in_turn = Counter(min(range(len(turns)), key=lambda n: _distance_ms(turns[n], s.start_ms)) for s in asked)
    stacked = [turns[number] for number, count in sorted(in_turn.items()) if count > 1]
    share = len(stacked) / len(in_turn)
    moment = (stacked[0].start_ms, stacked[0].speaker) if stacked else (None, None)
    return Indicator("stacked_questions", share, ramp(share, 0.5, 0), *moment)


def _distance_ms(turn: Speech, at_ms: int) -> int:
    return max(turn.start_ms - at_ms, at_ms - turn.end_ms, 0)


def empathy(pair: Pair) -> list[Indicator]:
    said, turns = pair.coach_sentences(), len(pair.turns(pair.coach))
    told_ms, teller = _told_most(pair)
    reflections = sum(sentence.reflection for sentence in said) / max(1, len(pair.coach_questions()))
    feelings = sum(sentence.feeling for sentence in said) / turns
    return [
        Indicator("reflections", reflections, ramp(reflections, 0, 1), told_ms, teller),
        Indicator("feelings", feelings, ramp(feelings, 0, 0.2), told_ms, teller),
    ]


def _told_most(pair: Pair) -> tuple[int, SpeakerId]:
    """The client's longest sentence in the longest turn: where a reflection would have had most to reflect."""
    turn = _longest(pair.turns(pair.client))
    inside = [s for s in pair.conversation.said_by([turn.speaker]) if turn.start_ms <= s.start_ms < turn.end_ms]
    longest = max(inside, key=lambda sentence: len(sentence.segment.text), default=None)
    return (longest.start_ms if longest else turn.start_ms), turn.speaker


def feedback(pair: Pair) -> list[Indicator]:
    affirmed = sum(sentence.affirmation for sentence in pair.coach_sentences()) / len(pair.turns(pair.coach))
    steps = sum(sentence.commitment for sentence in pair.conversation.sentences)
    (told_ms, teller), last = _told_most(pair), pair.conversation.floor.turns[-1]
    return [
        Indicator("affirmations", affirmed, ramp(affirmed, 0, 0.2), told_ms, teller),
        Indicator("next_steps", steps, ramp(steps, 0, 2), last.start_ms, last.speaker),
    ]
