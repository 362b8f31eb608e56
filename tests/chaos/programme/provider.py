"""A provider of transcriptions that hangs or says 429 when it is told to: OpenAI's call, on the loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.speech_server import Answer, TranscriptionServer, problem, serving, transcription

WELL, HANGS, STORM = "well", "hangs", "says 429"
_GOOD = transcription("yes", [("yes", 0.2, 0.6)])
_BUSY = problem(429, "Rate limit reached", "rate_limit_exceeded", Retry_After="1")


@dataclass
class Provider:
    server: TranscriptionServer
    mood: str = WELL
    struck: dict[str, int] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def turn(self, mood: str) -> None:
        """Who hangs is let go when the mood changes."""
        self.released.set()
        self.mood, self.released = mood, threading.Event()

    def answer(self) -> Answer:
        if self.mood != WELL:
            self.struck[self.mood] = self.struck.get(self.mood, 0) + 1
        if self.mood == HANGS:
            return Answer(503, hold=self.released)
        return _BUSY if self.mood == STORM else _GOOD


@contextmanager
def providing() -> Iterator[Provider]:
    with serving(_GOOD) as server:
        provider = Provider(server)
        server.choose = provider.answer
        try:
            yield provider
        finally:
            provider.turn(WELL)
