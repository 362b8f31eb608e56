"""The watchdog remembers whom to end."""

import os
import signal

import pytest

from cli.servers.identity import identity, lives
from cli.watchdog import watch

pytestmark = pytest.mark.unit


def test_only_what_was_not_released_is_left_to_end() -> None:
    """A guarded and released process is forgotten; one that is still guarded is returned with its signal."""
    me, parent = os.getpid(), os.getppid()
    left = watch([f"guard {me} {signal.SIGTERM:d}", f"guard {parent} {signal.SIGINT:d}", f"release {me}"])
    assert list(left) == [parent]
    assert left[parent][1] == signal.SIGINT


def test_a_process_that_is_gone_is_not_guarded() -> None:
    """An id without a process behind it is not kept: a stranger may get it later."""
    assert watch([f"guard {2**22 + 1} 15"]) == {}


def test_identity_tells_a_process_from_its_successor() -> None:
    """The same id with another start time is somebody else."""
    assert lives(identity(os.getpid()))
    assert not lives(f"{os.getpid()} 1")
    assert not lives("")
