"""Filters of `postgres_changes`, as Supabase's clients send them: `job_id=eq.X`, `percent=gte.50,status=neq.error`.

Regular expressions (`match`, `imatch`) are not taken: one of them can hold a processor for minutes.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.store.feed import COLUMNS

LONGEST = 1_000  # characters of one filter
MOST_VALUES = 100  # of one `in`: as hosted Realtime
_TYPES = dict(COLUMNS)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class FilterRefused(ValueError):
    """Says what of the filter is wrong."""


@dataclass(frozen=True, slots=True)
class Test:
    """One of a filter's comparisons. An unknown value (null) passes none but `is.null` and `isdistinct`."""

    column: str
    passes: Callable[[Any], bool]
    turned: bool = False
    knows_null: bool = False
    equal_to: str | None = None  # the text of an `eq`: which job or session is meant

    def __call__(self, record: Mapping[str, Any]) -> bool:
        value = _typed(self.column, record.get(self.column))
        if value is None and not self.knows_null:
            return False
        return self.passes(value) is not self.turned


def read_filter(text: str) -> tuple[Test, ...]:
    """All of them must pass. Raises FilterRefused."""
    if len(text) > LONGEST or any(character < " " or "\ud800" <= character <= "\udfff" for character in text):
        raise FilterRefused(f"a filter is plain text of up to {LONGEST} characters")
    return tuple(_test(part) for part in _parts(text))


def _parts(text: str) -> list[str]:
    """Cut at commas, but for those between the brackets of an `in`."""
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth <= 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def _test(part: str) -> Test:
    column, sign, rest = part.partition("=")
    if not sign or column not in _TYPES:
        raise FilterRefused(f"there is no column {column!r}")
    turned = rest.startswith("not.")
    name, dot, value = rest.removeprefix("not.").partition(".")
    if not dot:
        raise FilterRefused(f"{part!r} is not column=operator.value")
    return _build(column, name, value, turned)


def _build(column: str, name: str, value: str, turned: bool) -> Test:
    if name in _COMPARE:
        wanted, compare = _read(column, value), _COMPARE[name]
        named = value if name == "eq" and not turned else None
        return Test(column, lambda found: compare(found, wanted), turned, equal_to=named)
    if name == "in":
        values = _values(value)
        among = [_read(column, one) for one in values]
        named = values[0] if len(values) == 1 and not turned else None
        return Test(column, lambda found: found in among, turned, equal_to=named)
    if name == "is":
        return _is(column, value, turned)
    if name == "isdistinct":
        other = None if value == "null" else _read(column, value)
        return Test(column, lambda found: found != other, turned, knows_null=True)
    if name in ("like", "ilike") and _TYPES[column] == "text":
        return Test(column, _like(value, name == "ilike"), turned)
    raise FilterRefused(f"{name!r} cannot be asked of {column}")


def _is(column: str, value: str, turned: bool) -> Test:
    if value.lower() != "null":
        raise FilterRefused(f"'is' asks for null here: no column is {value!r}")
    return Test(column, lambda found: found is None, turned, knows_null=True)


def _values(text: str) -> list[str]:
    if not (text.startswith("(") and text.endswith(")")):
        raise FilterRefused("'in' wants its values in brackets")
    values = [one.strip().strip('"') for one in text[1:-1].split(",")]
    if len(values) > MOST_VALUES:
        raise FilterRefused(f"'in' takes up to {MOST_VALUES} values")
    return values


def _read(column: str, text: str) -> Any:
    try:
        return str(UUID(text)) if _TYPES[column] == "uuid" else _typed(column, text)
    except ValueError:
        raise FilterRefused(f"{text!r} is no value of {column}") from None


def _typed(column: str, value: Any) -> Any:
    """Numbers and times compare as such."""
    if value is None:
        return None
    match _TYPES[column]:
        case "int4" | "float8":
            return float(value)
        case "timestamptz":
            at = datetime.fromisoformat(value)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        case _:
            return str(value)


def _like(pattern: str, any_case: bool) -> Callable[[Any], bool]:
    """`%` for any text and `_` for one character, in time that only grows with pattern times text."""
    wanted = pattern.lower() if any_case else pattern

    def matches(found: str) -> bool:
        text = found.lower() if any_case else found
        at = in_pattern = resume = 0
        star = -1
        while at < len(text):
            here = wanted[in_pattern] if in_pattern < len(wanted) else None
            if here == "%":
                star, resume = in_pattern, at
                in_pattern += 1
            elif here is not None and here in ("_", text[at]):
                at, in_pattern = at + 1, in_pattern + 1
            elif star >= 0:
                resume += 1
                at, in_pattern = resume, star + 1
            else:
                return False
        return not wanted[in_pattern:].strip("%")

    return matches
