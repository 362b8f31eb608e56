"""Filters of postgres_changes: what each operator lets through, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.filters import FilterRefused, read_filter

pytestmark = pytest.mark.unit

JOB = "6b1f3c7e-55a0-4a43-9f0c-0d1d6a3f7a11"
ROW = {
    **{"job_id": JOB, "version": 3, "session_id": "a, b", "owner_id": JOB, "status": "queued", "stage": None},
    **{"percent": 12.5, "eta_s": None, "message_key": "queued", "message": "Hello World"},
    "updated_at": "2026-11-21T02:35:32.93779+00:00",
}
PASS = (
    *("percent=gte.12", "percent=eq.12.50", "version=lt.10", "version=not.gt.3", f"job_id=eq.{JOB.upper()}"),
    *("status=in.(queued,error)", 'status=in.("queued")', "status=in.(queued,error),percent=gt.1", "stage=is.null"),
    *("stage=isdistinct.download", "message=like.Hello%", "message=ilike.%o_w%d", "updated_at=gt.2026-11-20"),
)
STOP = (
    *("percent=gt.12.5", "version=neq.3", "status=not.in.(queued)", "stage=eq.download", "stage=neq.download"),
    *("stage=not.is.null", "percent=isdistinct.12.5", "message=like.hello%", "message=like.Hell", "status=eq.x"),
)
REFUSED = (
    *("nothing=eq.1", "job_id=eq.1", "percent=eq.a", "status=match.a+", "status", "=", "", "status=eq", "status=in.a"),
    *("percent=like.1%", "stage=is.true", "status=eq.\0", "status=eq.\ud800", "x" * 1_001, "updated_at=gt.soon"),
)


def passes(text: str) -> bool:
    return all(test(ROW) for test in read_filter(text))


@pytest.mark.parametrize("text", PASS)
def test_lets_the_row_through(text: str) -> None:
    """Numbers, times and ids compare as such; a comma means and."""
    assert passes(text)


@pytest.mark.parametrize("text", STOP)
def test_keeps_the_row_back(text: str) -> None:
    """What is not known (null) passes no comparison, as in SQL."""
    assert not passes(text)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text)[:30])
def test_refuses_what_it_does_not_know(text: str) -> None:
    """Instead of letting everything or nothing through."""
    with pytest.raises(FilterRefused):
        read_filter(text)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    """A filter is read or refused, and one that is read can be asked of a row."""
    try:
        tests = read_filter(text)
    except FilterRefused:
        return
    assert all(test(ROW) in (True, False) for test in tests)


def test_a_pattern_costs_no_more_than_its_length() -> None:
    """Two hundred stars against a text of ten thousand characters: steps, not branches."""
    (test,) = read_filter("message=like." + "%a" * 200 + "%b")
    assert not test({"message": "a" * 10_000})
