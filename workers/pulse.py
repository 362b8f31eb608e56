"""A worker's sign of life: the moment at which one of its processes last claimed a run or held one.

It lies in memory that is shared over the fork, so the main process can tell children that work from children that are
frozen, or that nobody hands anything to.
"""

import mmap
import struct
import time

_MOMENT = struct.Struct("d")  # of the monotonic clock, which all processes of a machine read alike


class Pulse:
    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _MOMENT.size)
        self.beat()

    def beat(self) -> None:
        _MOMENT.pack_into(self._memory, 0, time.monotonic())

    @property
    def last(self) -> float:
        return float(_MOMENT.unpack_from(self._memory, 0)[0])


PULSE = Pulse()  # made when the main process imports this, before it forks
