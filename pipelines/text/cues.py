"""Subtitle cues: segments cut to what can be read on a screen, as SRT and WebVTT."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.text.labels import clock
from pipelines.text.script import is_mostly_cjk, join_words
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Segment, Word

# Two lines of 42 characters (of 16 where characters are square) for at most 7 s: the common subtitling guidelines.
LONGEST_CUE_S = 7.0
MOST_CHARACTERS, MOST_CJK_CHARACTERS = 84, 32
SHORTEST_CUE_S = 0.001  # a cue must end after it starts


@dataclass(frozen=True, slots=True)
class Cue:
    start_s: float
    end_s: float
    speaker: SpeakerId | None
    text: str


def cues_of(segments: Sequence[Segment]) -> Iterator[Cue]:
    for segment in segments:
        for words in _parts(segment):
            end_s = max(words[0].start_s + SHORTEST_CUE_S, *(word.end_s for word in words))
            yield Cue(words[0].start_s, end_s, segment.speaker, join_words([word.text for word in words]))


def _parts(segment: Segment) -> list[list[Word]]:
    parts: list[list[Word]] = []
    for word in segment.words:
        if parts and not _full([*parts[-1], word]):
            parts[-1].append(word)
        else:
            parts.append([word])
    return parts


def _full(words: list[Word]) -> bool:
    text = "".join(word.text for word in words).strip()
    most = MOST_CJK_CHARACTERS if is_mostly_cjk(text) else MOST_CHARACTERS
    return len(text) > most or words[-1].end_s - words[0].start_s > LONGEST_CUE_S


def render_srt(segments: Sequence[Segment], names: Mapping[SpeakerId | None, str]) -> str:
    cues = enumerate(cues_of(segments), start=1)
    return "\n".join(f"{n}\n{_times(cue, ',')}\n{_plain(names[cue.speaker])}: {_plain(cue.text)}\n" for n, cue in cues)


def _times(cue: Cue, decimal_mark: str) -> str:
    return f"{clock(cue.start_s, decimal_mark)} --> {clock(cue.end_s, decimal_mark)}"


def _plain(text: str) -> str:
    """SRT has no escapes: what a player would take for markup or for a time line is written with look-alikes."""
    return " ".join(text.split()).replace("<", "‹").replace(">", "›").replace("{", "(").replace("}", ")")


def render_vtt(segments: Sequence[Segment], names: Mapping[SpeakerId | None, str]) -> str:
    cues = (
        f"{_times(cue, '.')}\n<v {_escaped(names[cue.speaker])}>{_escaped(cue.text)}\n" for cue in cues_of(segments)
    )
    return "\n".join(["WEBVTT\n", *cues])


def _escaped(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False)
