"""The steward's periodic duties. Each has a thread of its own beside the one-second round, so that none waits for
another, and one that hangs or fails costs itself alone. With two stewards each turn is one steward's.

To add one: a line in `chores()`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from shared.domain.errors import StorageUnavailable
from shared.keeping import duties
from shared.keeping.deleting import delete_decided
from shared.keeping.orphans import CHORE, abort_parts, sweep_orphans
from shared.store.chores import ChoreBook
from shared.toolbox import Toolbox

VOICE_RERING_S = 30.0  # a ring for a voice's sample is taken as lost after this
LONGEST_NAP_S = 30.0  # then look at the row again: the steward whose turn it was may be gone
SHORTEST_NAP_S = 0.2
AFTER_TROUBLE_S = 5.0  # the database is away
ENDING_S = 5.0  # a chore's slice takes less; a steward that is asked to stop does not wait for a store that hangs

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """`run` does one bounded slice, may be done by two at once without harm, and raises what went wrong."""

    name: str
    every_s: float
    run: Callable[[], object]


def chores(tools: Toolbox) -> list[Chore]:
    """The table of duties."""
    database, objects = tools.ledger.database, tools.objects
    return [
        Chore("deletions", 10.0, lambda: delete_decided(database, objects)),
        Chore("erasures", 15.0, lambda: duties.go_on_erasing(database, objects)),
        Chore("retention", 300.0, lambda: duties.expire(database, objects)),
        Chore("prune", 300.0, lambda: duties.prune(database)),
        Chore(CHORE, 600.0, lambda: sweep_orphans(database, objects)),
        Chore("parts", 3_600.0, lambda: abort_parts(objects)),
        Chore("bucket-rules", 86_400.0, lambda: duties.keep_bucket_rules(objects)),
        # A sample whose ring was lost waits this much longer; who enrols a voice looks again after seconds.
        Chore("voices", 5.0, lambda: tools.doorbell.ring_voices(tools.ledger.take_due_voices(VOICE_RERING_S))),
    ]


class Chores:
    def __init__(self, book: ChoreBook, table: Sequence[Chore]) -> None:
        self._book, self._table = book, table
        self._threads: list[threading.Thread] = []

    def start(self, stop: threading.Event) -> None:
        for chore in self._table:
            thread = threading.Thread(target=self._keep_doing, args=(chore, stop), name=chore.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """After `stop`. What hangs ends with the process: its turn is given away when its hold runs out."""
        until = time.monotonic() + ENDING_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def do(self, chore: Chore) -> float:
        """The chore, if it is its time. Returns the seconds until the next look."""
        turn = self._book.claim(chore.name, chore.every_s)
        if turn.holder is None:
            return turn.wait_s
        began = time.monotonic()
        error = self._run(chore)
        self._book.finish(chore.name, turn.holder, time.monotonic() - began, error)
        return chore.every_s

    def _keep_doing(self, chore: Chore, stop: threading.Event) -> None:
        nap_s = 0.0
        while not stop.wait(nap_s):
            nap_s = self._guarded(chore)

    def _guarded(self, chore: Chore) -> float:
        try:
            return min(LONGEST_NAP_S, max(SHORTEST_NAP_S, self.do(chore)))
        except StorageUnavailable:
            log.warning("chore.no_database", chore=chore.name)
        except Exception:
            log.exception("chore.not_noted", chore=chore.name)
        return AFTER_TROUBLE_S

    def _run(self, chore: Chore) -> str | None:
        """None, or what went wrong: the next turn may do better."""
        try:
            chore.run()
        except Exception as error:
            log.exception("chore.failed", chore=chore.name)
            return type(error).__name__
        return None
