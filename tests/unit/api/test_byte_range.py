"""The Range header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.byte_range import ByteRange, Unsatisfiable, parse_range

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=10-19", ByteRange(10, 19)),
        ("bytes=90-", ByteRange(90, 99)),
        ("bytes=90-500", ByteRange(90, 99)),
        ("bytes=-10", ByteRange(90, 99)),
        ("bytes=-500", ByteRange(0, 99)),
        (None, None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=1-2,4-5", None),
        ("seconds=1-2", None),
        ("bytes=99999999999999999999-", None),
    ],
)
def test_range_of_a_hundred_bytes(header: str | None, expected: ByteRange | None) -> None:
    """A single range gives its bytes; what is malformed or plural is ignored, as the RFC allows."""
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_range_behind_the_end_is_unsatisfiable(header: str) -> None:
    """What lies wholly behind the end cannot be served."""
    with pytest.raises(Unsatisfiable):
        parse_range(header, 100)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1500))
def test_range_never_leaves_the_file(first: int, last: int, size: int) -> None:
    """Whatever is asked for, what is served lies inside the file."""
    try:
        part = parse_range(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size
        return
    if part is not None:
        assert 0 <= part.first <= part.last < size
        assert part.first == first
