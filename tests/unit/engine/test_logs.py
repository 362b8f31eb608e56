"""What the logs hold, and what they never hold."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.observe.logs import hide_secrets, set_up_logs

pytestmark = pytest.mark.unit


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    before = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    set_up_logs("info", stream=out)
    yield out
    logging.root.handlers[:], level = before
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_one_json_object_a_line(logged: io.StringIO) -> None:
    """Ours and a library's events look alike to a machine."""
    with structlog.contextvars.bound_contextvars(job_id="j1"):
        structlog.get_logger("ours").info("run.done", next=2)
        logging.getLogger("theirs").warning("connection %s", "lost")
    ours, theirs = map(json.loads, logged.getvalue().splitlines())
    assert (ours["event"], ours["next"], ours["job_id"], ours["level"]) == ("run.done", 2, "j1", "info")
    assert (theirs["event"], theirs["logger"], theirs["job_id"]) == ("connection lost", "theirs", "j1")


def test_a_traceback_is_kept_without_its_secrets(logged: io.StringIO) -> None:
    """An exception is logged whole, but an address in it loses its password."""
    try:
        raise OSError("cannot reach redis://:hunter2@127.0.0.1:6379/0")
    except OSError:
        structlog.get_logger("ours").exception("run.crashed", api_key="vi_abcdefgh")
    line = json.loads(logged.getvalue())
    assert "OSError" in line["exception"]
    assert "hunter2" not in logged.getvalue()
    assert line["api_key"] == "***"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://u:p%40ss@db/x", "p%40ss"),
        ("GET https://s3/x?X-Amz-Signature=abcdef&X-Amz-Date=1", "abcdef"),
        ("https://x/storage?token=eyJhbGci", "eyJhbGci"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("key vi_QWERTYUIOPASDF was used", "QWERTYUIOPASDF"),
        ("key sk-abcdefghijkl was used", "abcdefghijkl"),
    ],
)
def test_secrets_are_known_by_their_look(text: str, hidden: str) -> None:
    """A secret in the middle of a sentence does not get out."""
    assert hidden not in hide_secrets(text)


def test_ordinary_text_is_left_alone() -> None:
    """Nothing but a secret is changed."""
    text = "run 3 of job 5f0c at https://example.org/a?page=2 took 3 s (vi_x)"
    assert hide_secrets(text) == text
