"""Progress on a terminal and in a log."""

import io

import pytest
from rich.console import Console

from cli.follow import eta_words, shown_on

pytestmark = pytest.mark.unit


def _row(status: str, percent: float, eta_s: float | None = None) -> dict[str, object]:
    return {"status": status, "percent": percent, "message": f"[{status}] …", "eta_s": eta_s}


def test_a_log_gets_a_line_for_each_stage() -> None:
    """Where there is no terminal, further percents of one stage add no lines, and brackets stay as they are."""
    written = io.StringIO()
    with shown_on(Console(file=written, width=20)) as show:
        show(_row("transcribing", 10.0, 75.4))
        show(_row("transcribing", 11.0, 74.0))
        show(_row("completed", 100.0))
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].split() == ["10", "%", "transcribing", "[transcribing]", "…", "1", "min", "15", "s", "left"]


def test_a_terminal_gets_a_bar() -> None:
    """On a terminal the stage's message, the percentage and the time left are drawn."""
    written = io.StringIO()
    with shown_on(Console(file=written, width=120, force_terminal=True)) as show:
        show({"status": "analyzing", "percent": 90.0, "message": "Analyzing the conversation", "eta_s": 4.0})
    assert "Analyzing the conversation" in written.getvalue()
    assert "90%" in written.getvalue()
    assert "4 s left" in written.getvalue()


@pytest.mark.parametrize(
    ("eta_s", "words"), [(None, ""), (0.4, "0 s left"), (59.0, "59 s left"), (61.0, "1 min 01 s left")]
)
def test_time_left_in_words(eta_s: float | None, words: str) -> None:
    """Seconds below a minute, minutes and seconds above."""
    assert eta_words(eta_s) == words
