"""What one process keeps: its toolbox, with the models loaded so far. Nothing of it survives a fork."""

import ctypes
from functools import cache

from shared.toolbox import Toolbox


@cache
def toolbox() -> Toolbox:
    """Made on first use; models stay in it from one run to the next."""
    return Toolbox()


def after_fork() -> None:
    """The parent's sockets are the parent's."""
    if toolbox.cache_info().currsize:
        tools = toolbox()
        if "ledger" in tools.__dict__:
            tools.ledger.database.forget_connections()
        toolbox.cache_clear()


def give_memory_back() -> None:
    """After a run: glibc keeps what was freed for later, and a child that waits holds the peak of its last run."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
