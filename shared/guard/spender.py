"""Who pays for what is done in this thread right now: set once a run, read by the gate before each call."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.ports.purse import Spender

_current: ContextVar[Spender | None] = ContextVar("spender", default=None)


def current_spender() -> Spender | None:
    """None outside of a run: nobody is charged, and no cap holds."""
    return _current.get()


@contextmanager
def spending(spender: Spender) -> Iterator[None]:
    token = _current.set(spender)
    try:
        yield
    finally:
        _current.reset(token)
