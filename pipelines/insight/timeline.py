"""How talk moves along the time line: silences long enough to think in, and who talks how much when."""

from bisect import bisect_right
from collections.abc import Iterator

from pipelines.insight.conversation import Conversation
from pipelines.insight.intervals import Bounds, clip, gaps, measure, to_s
from shared.domain.ids import SpeakerId
from shared.domain.insight import ReflectiveSilence, TalkWindow

REFLECTIVE_MS = 3000  # ten times an everyday gap; PCC marker 5.5: the coach allows silence and reflection
# Window, step and threshold of ConvoKit's talk-time sharing (Zhang et al. 2025, arXiv 2506.20474).
WINDOW_MS = 150_000
STEP_MS = 30_000
DOMINANT_SHARE = 0.6
NOBODY = SpeakerId("")  # stands for everybody's speech where speakers are not known


def reflective_silences(conversation: Conversation) -> tuple[ReflectiveSilence, ...]:
    """Silences of 3 s or more inside the conversation, with who spoke before and who breaks them."""
    long = [(start, end) for start, end in gaps(conversation.spoken) if end - start >= REFLECTIVE_MS]
    return tuple(
        ReflectiveSilence(
            start_s=to_s(start),
            end_s=to_s(end),
            duration_s=to_s(end - start),
            after=_speaker_at(conversation, start, edge=1),
            broken_by=_speaker_at(conversation, end, edge=0),
        )
        for start, end in long
    )


def _speaker_at(conversation: Conversation, at_ms: int, *, edge: int) -> SpeakerId | None:
    """Whose speech begins (edge 0) or ends (edge 1) here; of several at once, who speaks first in the recording."""
    found = next((s for s, own in conversation.by_speaker.items() if any(b[edge] == at_ms for b in own)), NOBODY)
    return found or None


def talk_windows(conversation: Conversation) -> tuple[TalkWindow, ...]:
    """Shares of summed speech in windows of 2.5 min every 30 s, from the first speech until the last is covered."""
    return tuple(_window(conversation, bounds) for bounds in _window_bounds(conversation.spoken))


def _window_bounds(spoken: list[Bounds]) -> Iterator[Bounds]:
    if not spoken:
        return
    start, last = spoken[0][0], spoken[-1][1]
    while True:
        yield start, min(start + WINDOW_MS, last)
        if start + WINDOW_MS >= last:
            return
        start += STEP_MS


def _window(conversation: Conversation, bounds: Bounds) -> TalkWindow:
    talk = {s: measure(_clipped(own, bounds)) for s, own in conversation.by_speaker.items()}
    total_ms = sum(talk.values())
    shares = {s: ms / total_ms for s, ms in talk.items()} if total_ms else {}
    dominant = next((s for s, share in shares.items() if share >= DOMINANT_SHARE), None)
    return TalkWindow(to_s(bounds[0]), to_s(bounds[1]), shares, dominant)


def _clipped(own: list[Bounds], bounds: Bounds) -> list[Bounds]:
    """Only the pieces near the window are looked at: an hour has a hundred windows."""
    first = max(0, bisect_right(own, (bounds[0], bounds[0])) - 1)
    return clip(own[first : bisect_right(own, (bounds[1], bounds[1]))], *bounds)
