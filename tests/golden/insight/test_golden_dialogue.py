"""The metrics of one dialogue whose values were worked out once, by hand and by an independent program."""

import pytest

from pipelines.insight.conversation import Conversation
from pipelines.insight.intervals import measure
from pipelines.insight.metrics import measure_metrics
from pipelines.insight.roles import assign_roles
from shared.domain.ids import SpeakerId
from shared.domain.insight import Metrics, SpeakerMetrics
from shared.domain.transcript import SpeakerTurn

pytestmark = pytest.mark.golden

COACH, CLIENT = SpeakerId("S1"), SpeakerId("S2")
# Milliseconds. An interruption that succeeds at 19.0 s, a backchannel at 21.0 s, another interruption at 39.2 s.
DIALOGUE = (
    (0, 6000, COACH),
    (6500, 20000, CLIENT),
    (19000, 24000, COACH),
    (21000, 21400, CLIENT),
    (24500, 40000, CLIENT),
    (39200, 50000, COACH),
    (51500, 58000, CLIENT),
    (58300, 58700, COACH),
)


@pytest.fixture(scope="module")
def conversation() -> Conversation:
    turns = [SpeakerTurn(start / 1000, end / 1000, speaker) for start, end, speaker in DIALOGUE]
    return Conversation.of(turns, [], "en")


@pytest.fixture(scope="module")
def metrics(conversation: Conversation) -> Metrics:
    return measure_metrics(conversation, assign_roles(conversation, ("coach", "client"), {}))


def _of(metrics: Metrics, speaker: SpeakerId) -> SpeakerMetrics:
    assert metrics.per_speaker is not None
    return metrics.per_speaker[speaker]


def test_talk_ratio(metrics: Metrics) -> None:
    """22.2 s of coach and 35.9 s of client are 0.3821 and 0.6179 of the summed speech."""
    assert _of(metrics, COACH).speaking_s == 22.2
    assert _of(metrics, CLIENT).speaking_s == 35.9
    assert metrics.coach_speaking_ratio == 0.3821
    assert metrics.client_speaking_ratio == 0.6179


def test_gini_of_two_is_half_the_distance_of_the_shares(metrics: Metrics) -> None:
    """|2p - 1| / 2 with p = 0.3821."""
    assert metrics.gini_coefficient == 0.1179


def test_overlap_and_silence(metrics: Metrics, conversation: Conversation) -> None:
    """2.2 s are spoken by both, 2.8 s of the 58.7 s by nobody, and no silence reaches 3 s."""
    assert metrics.overlap_s == 2.2
    assert metrics.silence_s == 2.8
    assert round(measure(conversation.spoken) / conversation.span_ms, 4) == 1 - 0.0477
    assert metrics.reflective_silences == ()


def test_turns_leave_the_backchannel_out(metrics: Metrics) -> None:
    """Four turns of the coach, three of the client, and one backchannel that took no floor."""
    assert (_of(metrics, COACH).turns, _of(metrics, CLIENT).turns) == (4, 3)
    assert (_of(metrics, COACH).backchannels, _of(metrics, CLIENT).backchannels) == (0, 1)


def test_longest_turns(metrics: Metrics) -> None:
    """10.8 s and 15.5 s."""
    assert _of(metrics, COACH).longest_turn_s == 10.8
    assert _of(metrics, CLIENT).longest_turn_s == 15.5


def test_floor_transfers(metrics: Metrics) -> None:
    """Six in 58.7 s are 368 an hour; offsets 500, -1000, 500, -800, 1500 and 300 ms have the median 400 ms."""
    assert metrics.interactivity_per_hour == 368.0
    assert metrics.median_floor_transfer_offset_s == 0.4


def test_waits(metrics: Metrics) -> None:
    """The coach waits 300 ms once and twice comes in over the client; the client's waits are 500, 500 and 1500 ms."""
    assert metrics.patience_s == 0.3
    assert metrics.think_time_s == 0.5


def test_interruptions(conversation: Conversation, metrics: Metrics) -> None:
    """Both are the coach's, with 1.0 s and 0.8 s of overlap, and both take the floor."""
    found = conversation.floor.interruptions
    assert [(i.start_ms, i.by, i.of, i.overlap_ms, i.success) for i in found] == [
        (19000, COACH, CLIENT, 1000, True),
        (39200, COACH, CLIENT, 800, True),
    ]
    assert (_of(metrics, COACH).interruptions, _of(metrics, CLIENT).interruptions) == (2, 0)


def test_timeline_of_a_short_recording_is_one_window(metrics: Metrics) -> None:
    """Below 2.5 minutes the window is the span itself, with the shares of the whole."""
    (window,) = metrics.timeline
    assert (window.start_s, window.end_s, window.dominant) == (0.0, 58.7, CLIENT)
    assert window.shares[COACH] == pytest.approx(0.3821, abs=5e-5)
