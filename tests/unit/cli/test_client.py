"""What the client reads on the wire."""

import pytest

from cli.client import Event, parse_events

pytestmark = pytest.mark.unit


def test_events_are_read_with_their_ids() -> None:
    """Comments are skipped, an event ends at the empty line, and an id holds until the next."""
    lines = [
        ": ping",
        "",
        "id: 7",
        "event: progress",
        'data: {"percent": 10,',
        'data:  "status": "queued"}',
        "",
        "data: {}",
        "",
    ]
    assert list(parse_events(iter(lines))) == [Event("7", {"percent": 10, "status": "queued"}), Event("7", {})]


def test_half_an_event_is_no_event() -> None:
    """What a broken connection cut off is not shown; it comes again after the reconnection."""
    assert list(parse_events(iter(["id: 1", 'data: {"percent": 10}']))) == []
