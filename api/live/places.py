"""How many sockets there are, and whose: each holds a place from its opening to its end."""

from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from shared.domain.ids import OwnerId
from shared.settings import Settings

NOBODY = OwnerId("")  # sockets that have not said yet whose they are; they cannot fill more than half


class TooMany(Exception):
    """In the words that Supabase's clients know."""

    def __init__(self) -> None:
        super().__init__("ConnectionRateLimitReached: Too many connected users")


@dataclass
class Places:
    settings: Settings
    _taken: Counter[OwnerId] = field(default_factory=Counter)

    def take(self, who: OwnerId) -> "Place":
        """Raises TooMany."""
        if self._taken.total() >= self.settings.realtime_sockets:
            raise TooMany
        self.enter(who)
        return Place(self, who)

    def enter(self, who: OwnerId) -> None:
        most = self.settings.realtime_sockets // 2 if who == NOBODY else self.settings.realtime_sockets_per_owner
        if self._taken[who] >= most:
            raise TooMany
        self._taken[who] += 1

    def leave(self, who: OwnerId) -> None:
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]


@dataclass
class Place:
    """Of one socket. Given back at the end of a `with`."""

    places: Places
    who: OwnerId

    @property
    def named(self) -> bool:
        return self.who != NOBODY

    def name(self, who: OwnerId) -> None:
        """The first channel says whose it is. Raises TooMany."""
        if not self.named:
            self.places.enter(who)
            self.places.leave(NOBODY)
            self.who = who

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.places.leave(self.who)
