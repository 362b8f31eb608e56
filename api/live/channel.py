"""One joined channel: its bindings, whom it is for, and the rows that go down it in order, each once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from api.live.bindings import Binding, change
from api.live.callers import Caller
from api.live.frames import Frame
from shared.store.feed import FeedRow

PREFIX = "realtime:"
MOST_HELD = 1_000  # rows that come while those from before are read


@dataclass(eq=False)
class Channel:
    """`send` takes a frame or, when its queue is full, ends the socket."""

    topic: str
    join_ref: str | None
    caller: Caller
    bindings: tuple[Binding, ...]
    send: Callable[[Frame], None]
    _held: list[FeedRow] | None = field(default_factory=list)
    _told: dict[str, int] = field(default_factory=dict)  # by job: the last version among the rows from before

    def hear(self, row: FeedRow) -> None:
        """A row that came just now."""
        if not self.caller.may_see(row):
            return
        if self._held is not None:
            self._held.append(row)
            del self._held[:-MOST_HELD]
        elif row.version > self._told.get(row.job_id, 0):
            self._tell(row)

    def first(self, row: FeedRow) -> Frame | None:
        """The frame for a row from before, which comes ahead of what is held."""
        self._told[row.job_id] = row.version
        return self._frame(row)

    def go_live(self) -> None:
        held, self._held = self._held or [], None
        for row in held:
            self.hear(row)

    def push(self, event: str, payload: dict[str, object]) -> Frame:
        return Frame(self.topic, event, payload, join_ref=self.join_ref)

    def system(self, status: str, message: str, extension: str = "postgres_changes") -> Frame:
        """What Realtime says of itself. Clients know the words."""
        told = {"status": status, "message": message, "extension": extension}
        return self.push("system", {**told, "channel": self.topic.removeprefix(PREFIX)})

    def _tell(self, row: FeedRow) -> None:
        frame = self._frame(row)
        if frame is not None:
            self.send(frame)

    def _frame(self, row: FeedRow) -> Frame | None:
        payload = change(row, self.bindings) if self.caller.may_see(row) else None
        return None if payload is None else self.push("postgres_changes", payload)
