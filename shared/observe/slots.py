"""Under which name a process counts. A child that takes a dead one's place goes on in its files, so that they stay few
and what the dead one counted is not lost."""

import os

_slot: list[str] = []


def identity() -> str:
    """Of this process, among those that share a folder of counts."""
    return _slot[0] if _slot else str(os.getpid())


def take_slot(name: str) -> None:
    """This process is the one that `name` stands for now."""
    _slot[:] = [name]
