"""The exact metrics of a conversation, in integer milliseconds until the last division.

Every figure is measured on overlap-aware speech, never on recogniser segments, which hide overlaps and pauses.
The vocabulary (IPU, floor, turn, backchannel, interruption) and its thresholds are in `floor.py`.
Figures that need a role, an exchange or a language with rules are None where these are missing; `not_measured.py`
says why. Ranges for coaching are the business of `indicators.py`: nothing here judges.
"""

import statistics
from collections.abc import Sequence

from pipelines.insight.conversation import Conversation
from pipelines.insight.floor import FloorTransfer
from pipelines.insight.intervals import measure, to_s
from pipelines.insight.language.rules import QuestionKind
from pipelines.insight.roles import speakers_with
from pipelines.insight.timeline import reflective_silences, talk_windows
from pipelines.text.script import UNSPACED_LANGUAGES, base_language, count_words, join_sentences
from shared.domain.ids import SpeakerId
from shared.domain.insight import Metrics, Role, Speaker, SpeakerMetrics, WordUnit

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
RATIO_DECIMALS = 4  # a hundredth of a percentage point
RATE_DECIMALS = 1


def measure_metrics(conversation: Conversation, speakers: Sequence[Speaker]) -> Metrics:
    """All metrics of a conversation whose speakers are known."""
    coach, client = speakers_with(Role.COACH, speakers), speakers_with(Role.CLIENT, speakers)
    transfers = conversation.floor.transfers
    return Metrics(
        per_speaker={s: _of_speaker(conversation, s) for s in conversation.speakers},
        word_unit=word_unit(conversation.language),
        coach_speaking_ratio=speaking_ratio(conversation, coach),
        client_speaking_ratio=speaking_ratio(conversation, client),
        gini_coefficient=gini_coefficient(list(conversation.talk_ms.values())),
        overlap_s=to_s(measure(conversation.overlapped)),
        silence_s=to_s(silence_ms(conversation)),
        interactivity_per_hour=interactivity_per_hour(conversation),
        median_floor_transfer_offset_s=_median_s([t.offset_ms for t in transfers]),
        patience_s=median_wait_s(transfers, of=client, by=coach),
        think_time_s=median_wait_s(transfers, of=coach, by=client),
        reflective_silences=reflective_silences(conversation),
        timeline=talk_windows(conversation),
    )


def speaking_ratio(conversation: Conversation, speakers: Sequence[SpeakerId]) -> float | None:
    """Speech of these speakers / sum of everybody's speech. Overlapped time counts for each who speaks.

    Denominator: summed speech, not the span and not the recording, so the shares of all speakers sum to 1.
    Source: "talk ratio" of conversation analytics (Gong, Amazon Contact Lens use the span instead: another number).
    """
    total_ms = sum(conversation.talk_ms.values())
    if not speakers or not total_ms:
        return None
    return round(sum(conversation.talk_ms[s] for s in speakers) / total_ms, RATIO_DECIMALS)


def gini_coefficient(talk_ms: Sequence[int]) -> float | None:
    """Gini's mean difference of the speaking times: sum of |a - b| over all ordered pairs / (2 · n · total).

    0 is an equal split, (n - 1) / n one speaker alone. For two speakers it is |2p - 1| / 2 with p the talk ratio, so it
    says nothing beyond the ratio. None for fewer than two speakers. Source: Gini 1912.
    """
    total_ms = sum(talk_ms)
    if len(talk_ms) < 2 or not total_ms:
        return None
    differences_ms = sum(abs(a - b) for a in talk_ms for b in talk_ms)
    return round(differences_ms / (2 * len(talk_ms) * total_ms), RATIO_DECIMALS)


def silence_ms(conversation: Conversation) -> int:
    """Span from the first speech to the last, less the time in which anybody speaks.

    Silence before the first and after the last word is the recording's, not the conversation's.
    """
    return conversation.span_ms - measure(conversation.spoken)


def interactivity_per_hour(conversation: Conversation) -> float | None:
    """Floor transfers / span in hours. Gong's 0..10 "interactivity" is proprietary; this is the plain rate."""
    if not conversation.span_ms:
        return None
    return round(len(conversation.floor.transfers) * HOUR_MS / conversation.span_ms, RATE_DECIMALS)


def median_wait_s(
    transfers: Sequence[FloorTransfer], *, of: Sequence[SpeakerId], by: Sequence[SpeakerId]
) -> float | None:
    """Median silence before `by` takes the floor from `of`; transfers in overlap (offset < 0) are no waits.

    Patience is the coach's wait after the client, think time the client's after the coach. The median of all
    transfers, overlaps included, is `median_floor_transfer_offset_s` (about 0.2 s in everyday talk: Levinson &
    Torreira 2015). Gong's exact rule for "patience" is not public.
    """
    return _median_s([t.offset_ms for t in transfers if t.before in of and t.after in by and t.offset_ms >= 0])


def _median_s(milliseconds: Sequence[int]) -> float | None:
    return round(statistics.median(milliseconds) / 1000, 4) if milliseconds else None  # half a millisecond is possible


def word_unit(language: str | None) -> WordUnit:
    return WordUnit.CHARACTER if base_language(language) in UNSPACED_LANGUAGES else WordUnit.WORD


def _of_speaker(conversation: Conversation, speaker: SpeakerId) -> SpeakerMetrics:
    """One speaker. `longest_turn_s` ignores backchannels of others; `interruptions` are those made, not suffered."""
    floor, own_ms = conversation.floor, conversation.talk_ms[speaker]
    turns = [turn for turn in floor.turns if turn.speaker == speaker]
    words = count_words(_text_of(conversation, speaker))
    questions, open_questions = _question_counts(conversation, speaker)
    return SpeakerMetrics(
        speaking_s=to_s(own_ms),
        share=own_ms / sum(conversation.talk_ms.values()),
        turns=len(turns),
        words=words,
        words_per_minute=round(words * MINUTE_MS / own_ms, RATE_DECIMALS) if own_ms else None,
        longest_turn_s=to_s(max((turn.duration_ms for turn in turns), default=0)),
        questions=questions,
        open_questions=open_questions,
        fillers=_filler_count(conversation, speaker),
        backchannels=sum(unit.speaker == speaker for unit in floor.backchannels),
        interruptions=sum(interruption.by == speaker for interruption in floor.interruptions),
    )


def _text_of(conversation: Conversation, speaker: SpeakerId) -> str:
    return join_sentences([segment.text for segment in conversation.segments if segment.speaker == speaker])


def _question_counts(conversation: Conversation, speaker: SpeakerId) -> tuple[int, int | None]:
    """Questions and open questions: sentences, judged by the published rules in `language/`.

    Without rules for the language a question is a sentence that ends in a question mark, and nobody knows which are
    open. Both depend on the recogniser's punctuation: measured on the transcript, not on the truth.
    """
    asked = [s.question for s in conversation.said_by([speaker]) if s.question]
    known = conversation.rules is not None
    return len(asked), sum(kind is QuestionKind.OPEN for kind in asked) if known else None


def _filler_count(conversation: Conversation, speaker: SpeakerId) -> int | None:
    """Lexicon hits. Recognisers leave many fillers out, so this undercounts."""
    if conversation.rules is None:
        return None
    return conversation.rules.count_fillers(_text_of(conversation, speaker))


def metrics_without_speakers(conversation: Conversation) -> Metrics:
    """Nobody can be told apart: only what voice activity alone shows (one nameless speaker) is measured."""
    return Metrics(
        per_speaker=None,
        word_unit=word_unit(conversation.language),
        coach_speaking_ratio=None,
        client_speaking_ratio=None,
        gini_coefficient=None,
        overlap_s=None,
        silence_s=to_s(silence_ms(conversation)) if conversation.spoken else None,
        interactivity_per_hour=None,
        median_floor_transfer_offset_s=None,
        patience_s=None,
        think_time_s=None,
        reflective_silences=reflective_silences(conversation),
        timeline=(),
    )
