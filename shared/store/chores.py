"""Whose turn a chore is: a row that one steward at a time holds, for a while that ends even if the steward does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.store.changes import seconds
from shared.store.keeping_tables import chores
from shared.store.session import Database
from shared.store.tables import JSONB

HELD_S = 900.0  # a chore works in slices of seconds; after this its steward is taken for dead


@dataclass(frozen=True, slots=True)
class Turn:
    """`holder` None: not now; look again in `wait_s`."""

    holder: str | None
    wait_s: float


@dataclass(frozen=True, slots=True)
class ChoreFacts:
    """How a chore has been going. `failures` are those in a row."""

    name: str
    due_at: datetime
    ran_at: datetime | None
    took_s: float | None
    failures: int
    error: str | None


class ChoreBook:
    def __init__(self, database: Database) -> None:
        self.database = database

    def claim(self, name: str, every_s: float) -> Turn:
        """Ours when it is due and nobody holds it; the next is due `every_s` after this one began."""
        holder = str(uuid4())
        free = or_(chores.c.held_until.is_(None), chores.c.held_until < func.now())
        taken = {
            "holder": holder,
            "held_until": func.now() + seconds(HELD_S),
            "due_at": func.now() + seconds(every_s),
        }
        with self.database.begin() as connection:
            connection.execute(insert(chores).values(name=name).on_conflict_do_nothing())
            due = (chores.c.name == name, chores.c.due_at <= func.now(), free)
            if connection.execute(update(chores).where(*due).values(taken)).rowcount:
                return Turn(holder, 0.0)
            wait_s = connection.execute(select(_wait_s()).where(chores.c.name == name)).scalar_one()
            return Turn(None, max(0.0, min(float(wait_s), every_s)))

    def finish(self, name: str, holder: str, took_s: float, error: str | None) -> None:
        """Whoever has lost the row to another in the meantime writes nothing."""
        ran = {
            "holder": None,
            "held_until": None,
            "ran_at": func.now(),
            "took_s": took_s,
            "error": error,
            "failures": 0 if error is None else chores.c.failures + 1,
        }
        ours = (chores.c.name == name, chores.c.holder == holder)
        with self.database.begin() as connection:
            connection.execute(update(chores).where(*ours).values(ran))

    def recall(self, name: str) -> dict[str, Any]:
        """What the chore's last slice wanted to be remembered."""
        with self.database.begin() as connection:
            found = connection.execute(select(chores.c.state).where(chores.c.name == name)).scalar_one_or_none()
        return dict(found or {})

    def remember(self, name: str, state: Mapping[str, object]) -> None:
        kept = literal(dict(state), JSONB)
        with self.database.begin() as connection:
            once = insert(chores).values(name=name, state=kept)
            connection.execute(once.on_conflict_do_update(index_elements=["name"], set_={"state": kept}))

    def all_chores(self) -> list[ChoreFacts]:
        """For the operator: what is done, when, and what fails."""
        columns = (chores.c.name, chores.c.due_at, chores.c.ran_at, chores.c.took_s, chores.c.failures, chores.c.error)
        with self.database.begin() as connection:
            return [ChoreFacts(*row) for row in connection.execute(select(*columns).order_by(chores.c.name))]


def _wait_s() -> ColumnElement[Any]:
    """Until it is due, or until its holder may be taken for dead."""
    until = func.greatest(chores.c.due_at, func.coalesce(chores.c.held_until, chores.c.due_at))
    return func.extract("epoch", until - func.now())
