"""Which bytes a `Range` header asks for (RFC 9110, section 14). Players seek with it."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Both ends are inclusive, as in the header."""

    first: int
    last: int

    @property
    def bytes(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(ValueError):
    """The range lies behind the end."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """None: send everything. So it is for no header, a malformed one and several ranges, as the RFC allows."""
    match = _ONE_RANGE.fullmatch(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return ByteRange(int(first), min(int(last) if last else size - 1, size - 1))


def _suffix(length: int, size: int) -> ByteRange:
    """`bytes=-500` is the last 500."""
    if length == 0 or size == 0:
        raise Unsatisfiable
    return ByteRange(max(0, size - length), size - 1)
