"""The steward's periodic duties: each done once a turn, none in the way of another or of the round."""

import threading

import pytest

from shared.store.chores import ChoreBook
from shared.toolbox import Toolbox
from tests.engine_lab import wait_for
from workers.chores import Chore, Chores

pytestmark = pytest.mark.integration


@pytest.fixture
def book(toolbox: Toolbox) -> ChoreBook:
    return ChoreBook(toolbox.ledger.database)


def execute(toolbox: Toolbox, statement: str) -> None:
    with toolbox.ledger.database.begin() as connection:
        connection.exec_driver_sql(statement)


def test_two_stewards_share_the_turns(book: ChoreBook) -> None:
    """Of many that ask at once, one does it; nobody before it is due again."""
    done: list[int] = []
    chore = Chore("count", 3600.0, lambda: done.append(1))
    stewards = [threading.Thread(target=Chores(book, [chore]).do, args=(chore,)) for _ in range(6)]
    for steward in stewards:
        steward.start()
    for steward in stewards:
        steward.join()
    assert done == [1]
    assert 3590 < book.claim("count", 3600.0).wait_s <= 3600


def test_a_failing_chore_is_noted_and_goes_on(book: ChoreBook, toolbox: Toolbox) -> None:
    """Failures are counted until it works again."""
    outcomes = iter([True, True, False])

    def run() -> None:
        if next(outcomes):
            raise OSError("away")

    chore = Chore("fails", 60.0, run)
    for failures in (1, 2, 0):
        execute(toolbox, "UPDATE chores SET due_at = now()")
        Chores(book, [chore]).do(chore)
        [facts] = book.all_chores()
        assert (facts.failures, facts.error) == (failures, "OSError" if failures else None)


def test_a_dead_stewards_chore_is_taken_over(book: ChoreBook, toolbox: Toolbox) -> None:
    """While it is held nobody else does it; when the hold runs out, somebody does, and the dead one writes nothing."""
    dead = book.claim("swept", 0.0)
    assert dead.holder is not None
    assert book.claim("swept", 0.0).holder is None
    execute(toolbox, "UPDATE chores SET held_until = now() - interval '1 s'")
    alive = book.claim("swept", 0.0)
    assert alive.holder is not None
    book.finish("swept", dead.holder, 1.0, "late")
    assert book.all_chores()[0].error is None


def test_a_hanging_chore_holds_up_nobody(book: ChoreBook) -> None:
    """Another chore has its turns while one hangs, and the steward can still be told to stop."""
    hang, stop = threading.Event(), threading.Event()
    turns: list[int] = []
    duties = Chores(book, [Chore("hangs", 1.0, hang.wait), Chore("works", 0.0, lambda: turns.append(1))])
    duties.start(stop)
    wait_for("three turns beside a chore that hangs", lambda: len(turns) >= 3)
    stop.set()
    hang.set()
    duties.join()
    assert not [thread for thread in threading.enumerate() if thread.name in ("hangs", "works")]


def test_a_chore_goes_on_where_it_was(book: ChoreBook) -> None:
    """What a slice remembers is there for the next one, before and after the first turn."""
    assert book.recall("slices") == {}
    book.remember("slices", {"after": "jobs/1"})
    assert book.claim("slices", 1.0).holder is not None
    assert book.recall("slices") == {"after": "jobs/1"}
