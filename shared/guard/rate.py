"""How many requests a minute: a bucket for each key and each address, in Redis, one round trip a request.

When Redis is away everything is let through, and the log says so: these limits keep one caller from crowding out the
others, and refusing all callers would do worse. What costs money or disk is limited in PostgreSQL, which holds.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from shared.guard.away import SharedMemory
from shared.settings import Settings

WINDOW_S = 60
_SCRIPT = Path(__file__).with_name("rate.lua").read_text()


@dataclass(frozen=True, slots=True)
class Policy:
    """`units` a minute; all of them may come at once, after which they refill evenly."""

    name: str
    units: int

    @property
    def header(self) -> str:
        return f'"{self.name}";q={self.units};w={WINDOW_S}'


@dataclass(frozen=True, slots=True)
class Verdict:
    policy: Policy
    allowed: bool
    left: int
    wait_s: float  # until more is available; when refused, until this request would fit

    @property
    def header(self) -> str:
        return f'"{self.policy.name}";r={max(0, self.left)};t={ceil(self.wait_s)}'


class RateLimiter:
    def __init__(self, settings: Settings) -> None:
        self._memory = SharedMemory(settings)

    async def take(self, policy: Policy, who: str, units: int) -> Verdict | None:
        """None: Redis is away. A request dearer than the whole minute costs the whole minute."""
        asked = [policy.units, WINDOW_S, min(units, policy.units)]

        async def question(client: Any) -> Any:
            return await client.register_script(_SCRIPT)([f"vibeinsight:rate:{policy.name}:{who}"], asked)

        answer = await self._memory.ask_async("requests", question)
        return None if answer is None else Verdict(policy, bool(int(answer[0])), int(answer[1]), float(answer[2]))

    async def close(self) -> None:
        await self._memory.close_async()
