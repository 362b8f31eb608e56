"""What a channel wants to hear: one entry of `postgres_changes` each."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.live.filters import FilterRefused, Test, read_filter
from shared.store.feed import COLUMNS, FeedRow

MOST_BINDINGS = 20  # of one channel; each is tried on every row
SCHEMA, TABLE = "public", "job_progress"
EVENTS = frozenset({"*", "INSERT", "UPDATE", "DELETE"})
_ID_BITS = 0x7FFFFFF  # hosted Realtime's ids have 27 bits


class JoinRefused(ValueError):
    """The join is no join; says why."""


@dataclass(frozen=True, slots=True)
class Binding:
    """`asked` goes back to the client as it came: it compares, and leaves when something differs."""

    asked: Mapping[str, Any]
    id: int
    tests: tuple[Test, ...] = ()
    refused: str | None = None  # why nothing can ever come of it
    inserts: bool = True
    columns: frozenset[str] | None = None  # None: all

    def wants(self, row: FeedRow) -> bool:
        return self.inserts and self.refused is None and all(test(row.record) for test in self.tests)

    def named(self, column: str) -> str | None:
        """The one value that this column must have, if the filter says so."""
        return next((test.equal_to for test in self.tests if test.column == column and test.equal_to), None)


def read_bindings(entries: object) -> tuple[Binding, ...]:
    """In the order in which they were asked for. Raises JoinRefused."""
    if entries is None:
        return ()
    if not isinstance(entries, list) or len(entries) > MOST_BINDINGS:
        raise JoinRefused(f"postgres_changes is a list of up to {MOST_BINDINGS} entries")
    return tuple(_binding(entry) for entry in entries)


def _binding(entry: object) -> Binding:
    if not isinstance(entry, dict) or entry.get("event") not in EVENTS:
        raise JoinRefused("an entry of postgres_changes has an event: *, INSERT, UPDATE or DELETE")
    number = zlib.crc32(json.dumps(entry, sort_keys=True).encode()) & _ID_BITS
    if entry.get("schema", SCHEMA) not in ("*", SCHEMA) or entry.get("table", TABLE) not in ("*", TABLE):
        return Binding(entry, number, refused=_no_such(entry))
    try:
        tests = read_filter(entry["filter"]) if isinstance(entry.get("filter"), str) else ()
        columns = _columns(entry.get("select"))
    except FilterRefused as error:
        return Binding(entry, number, refused=f"{_no_such(entry)}: {error}")
    return Binding(entry, number, tests, inserts=entry["event"] in ("*", "INSERT"), columns=columns)


def _columns(wanted: object) -> frozenset[str] | None:
    if wanted is None:
        return None
    known = {name for name, _ in COLUMNS}
    if not isinstance(wanted, list) or not all(isinstance(name, str) and name in known for name in wanted):
        raise FilterRefused("select is a list of columns of job_progress")
    return frozenset(wanted) or None


def _no_such(entry: Mapping[str, Any]) -> str:
    """The words by which clients know it."""
    named = ", ".join(f"{name}: {str(entry.get(name))[:100]}" for name in ("event", "schema", "table", "filter"))
    return (
        "Unable to subscribe to changes with given parameters."
        f" Please check Realtime is enabled for the given connect parameters: [{named}]"
    )


def change(row: FeedRow, bindings: Sequence[Binding]) -> dict[str, Any] | None:
    """The payload that hosted Realtime sends when this row is inserted, or None when nobody asked for it."""
    wanted = [binding for binding in bindings if binding.wants(row)]
    if not wanted:
        return None
    kept = None
    if all(binding.columns is not None for binding in wanted):
        kept = frozenset[str]().union(*(binding.columns or () for binding in wanted))
    return {
        "ids": [binding.id for binding in wanted],
        "data": {
            "schema": SCHEMA,
            "table": TABLE,
            "type": "INSERT",
            "commit_timestamp": row.committed_at,
            "columns": [{"name": name, "type": kind} for name, kind in COLUMNS if kept is None or name in kept],
            "record": {name: value for name, value in row.record.items() if kept is None or name in kept},
            "errors": None,
        },
    }
