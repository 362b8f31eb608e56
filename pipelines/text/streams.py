"""Words that belong together: those of one speaker on one channel, in the order in which they were said."""

from collections.abc import Iterator, Sequence

from pipelines.text.attribution import SpokenWord


def by_voice(words: Sequence[SpokenWord]) -> Iterator[list[int]]:
    """The places of each speaker's words."""
    streams: dict[tuple[object, object], list[int]] = {}
    for place, spoken in enumerate(words):
        streams.setdefault((spoken.speaker, spoken.channel), []).append(place)
    yield from streams.values()
