"""What one process keeps: its toolbox, with the models loaded so far. Nothing of it survives a fork."""

import ctypes
import os
import signal
from contextlib import suppress
from functools import cache
from typing import NoReturn

import psutil

from shared.toolbox import Toolbox

LEFT = 75  # EX_TEMPFAIL: the exit code of a process that ended itself because its work was no longer wanted


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


def end_at_once() -> NoReturn:
    """This process and all that it started, with their groups: a cancelled decoder has nothing to put away."""
    own_group = os.getpgrp()
    for child in psutil.Process().children(recursive=True):
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            group = os.getpgid(child.pid)
            os.kill(child.pid, signal.SIGKILL) if group == own_group else os.killpg(group, signal.SIGKILL)
    os._exit(LEFT)


def give_memory_back() -> None:
    """After a run: glibc keeps what was freed for later, and a child that waits holds the peak of its last run."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
