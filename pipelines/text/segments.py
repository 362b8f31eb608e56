"""Readable segments: one speaker, one sentence or a stretch between long pauses.

Two people who talk at once keep their sentences whole, on separate channels and on one; the segments are then put in
time order and numbered.
"""

from collections.abc import Iterable, Mapping, Sequence

from pipelines.text.attribution import SpokenWord
from pipelines.text.script import ends_sentence, join_sentences, join_words
from shared.domain.ids import SpeakerId
from shared.domain.insight import Transcript
from shared.domain.transcript import Segment

LONG_PAUSE_S = 1.0  # longer than a breath inside a sentence (0.2 to 0.6 s)
MOST_INTERPOSED = 8  # words that fit into a pause below LONG_PAUSE_S
LONGEST_SEGMENT_S = 20.0  # more without a full stop is a recogniser that writes no punctuation


def build_transcript(words: Sequence[SpokenWord]) -> Transcript:
    stretches = [part for stream in _streams(words) for stretch in _stretches(stream) for part in _shortened(stretch)]
    stretches.sort(key=lambda stretch: (stretch[0].word.start_s, stretch[0].channel or 0))
    segments = _numbered(stretches)
    return Transcript(join_sentences([segment.text for segment in segments]), segments)


def _streams(words: Sequence[SpokenWord]) -> Iterable[list[SpokenWord]]:
    channels = sorted({word.channel for word in words}, key=lambda channel: -1 if channel is None else channel)
    return ([word for word in words if word.channel == channel] for channel in channels)


def _stretches(stream: list[SpokenWord]) -> list[list[SpokenWord]]:
    """Two who talk at once are kept apart: a word ends the other's stretch only if it lies wholly in its pause."""
    stretches: list[list[SpokenWord]] = []
    running: dict[SpeakerId | None, list[SpokenWord]] = {}
    for word in stream:
        own = running.get(word.speaker)
        if own is None or _breaks(own[-1], word) or _came_between(running, own[-1], word):
            running[word.speaker] = own = []
            stretches.append(own)
        own.append(word)
    return stretches


def _breaks(before: SpokenWord, after: SpokenWord) -> bool:
    return after.word.start_s - before.word.end_s >= LONG_PAUSE_S or ends_sentence(before.word.text)


def _came_between(
    running: Mapping[SpeakerId | None, Sequence[SpokenWord]], before: SpokenWord, after: SpokenWord
) -> bool:
    """Somebody else said a word after `before` ended and before `after` began."""
    return any(
        said.word.start_s >= before.word.end_s and said.word.end_s <= after.word.start_s
        for speaker, others in running.items()
        if speaker != after.speaker
        for said in others[-MOST_INTERPOSED:]
    )


def _shortened(stretch: list[SpokenWord]) -> list[list[SpokenWord]]:
    """Cut at the longest pause in the middle half until no part is longer than LONGEST_SEGMENT_S."""
    duration_s = stretch[-1].word.end_s - stretch[0].word.start_s
    quarter = len(stretch) // 4
    if duration_s <= LONGEST_SEGMENT_S or quarter == 0:
        return [stretch]
    places = range(quarter, len(stretch) - quarter + 1)
    cut = max(places, key=lambda at: stretch[at].word.start_s - stretch[at - 1].word.end_s)
    return _shortened(stretch[:cut]) + _shortened(stretch[cut:])


def _numbered(stretches: list[list[SpokenWord]]) -> tuple[Segment, ...]:
    texts = [join_words([spoken.word.text for spoken in stretch]) for stretch in stretches]
    kept = [(stretch, text) for stretch, text in zip(stretches, texts, strict=True) if text]
    return tuple(_segment(number, stretch, text) for number, (stretch, text) in enumerate(kept, start=1))


def _segment(number: int, stretch: list[SpokenWord], text: str) -> Segment:
    words = tuple(spoken.word for spoken in stretch)
    end_s = max(word.end_s for word in words)
    return Segment(f"seg-{number:04d}", words[0].start_s, end_s, stretch[0].speaker, text, words)
