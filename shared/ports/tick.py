"""How a long piece of work reports that it moved, and how it learns that it must stop."""

from typing import Protocol


class Tick(Protocol):
    def __call__(self, done_s: float) -> None:
        """Report seconds of audio done so far in this run; cheap. Raises Stopped when the work must end now."""
        ...


def no_tick(done_s: float) -> None:
    """For callers without progress."""
