"""What provider calls cost: prices.json, or the operator's own file, in whole micro-dollars.

Rounded up, and an unknown model of a known provider at that provider's dearest price: a cap that errs holds.
A server of one's own (`openai-compatible`) costs nothing unless the operator's file says otherwise.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from math import ceil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import SetupError
from shared.ports.provider import Units

TABLE = Path(__file__).with_name("prices.json")
MILLION = 1_000_000  # of tokens or characters in a price, and of micro-dollars in a dollar


@dataclass(frozen=True, slots=True)
class Price:
    """In US dollars. `model` is also the beginning of dated names: gpt-4o prices gpt-4o-2024-08-06."""

    provider: str
    model: str
    read_on: date
    source: str
    million_tokens_in: float = 0.0
    million_tokens_out: float = 0.0
    audio_minute: float = 0.0
    million_characters: float = 0.0
    since: date = date.min  # of several entries for one model, the latest that has begun

    def micro_usd(self, units: Units) -> int:
        """A dollar a million tokens is a micro-dollar a token."""
        cost = (
            Fraction(str(self.million_tokens_in)) * units.tokens_in
            + Fraction(str(self.million_tokens_out)) * units.tokens_out
            + Fraction(str(self.million_characters)) * units.characters
            + Fraction(str(self.audio_minute)) * Fraction(units.audio_s) / 60 * MILLION
        )
        return ceil(cost)


class Prices:
    def __init__(self, prices: Sequence[Price]) -> None:
        self._prices = tuple(prices)

    @classmethod
    def load(cls, own: Path | None = None) -> "Prices":
        """The operator's entries come first: they win over ours."""
        return cls([*(_read(own) if own else ()), *_read(TABLE)])

    def micro_usd(self, provider: str, model: str, units: Units, today: date | None = None) -> int:
        found = self.find(provider, model, today or datetime.now(UTC).date())
        if found is not None:
            return found.micro_usd(units)
        return max((price.micro_usd(units) for price in self._prices if price.provider == provider), default=0)

    def find(self, provider: str, model: str, today: date) -> Price | None:
        """The entry with the longest name that fits; of several, the one that began last."""
        fitting = [
            price
            for price in self._prices
            if price.provider == provider and price.since <= today and _names(price.model, model)
        ]
        return max(fitting, key=lambda price: (len(price.model), price.since), default=None)


def _names(known: str, model: str) -> bool:
    return model == known or (model.startswith(f"{known}-") and model[len(known) + 1 :][:1].isdigit())


def _read(path: Path) -> list[Price]:
    try:
        entries = json.loads(path.read_text())["prices"]
        return TypeAdapter(list[Price]).validate_python(entries)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise SetupError(
            f"The price list {path.name} cannot be read ({type(error).__name__}); see docs/limits.md"
        ) from error
