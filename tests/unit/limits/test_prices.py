"""What calls cost: rounded up, dated, and never below what the bill may say."""

from datetime import date
from pathlib import Path

import pytest

from shared.domain.errors import SetupError
from shared.guard.prices import Price, Prices
from shared.ports.provider import Units

pytestmark = pytest.mark.unit

TODAY = date(2026, 11, 21)


def price(model: str, **what: object) -> Price:
    return Price("openai", model, TODAY, "a test", **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "units", "micro_usd"),
    [
        ("whisper-1", Units(audio_s=60.0), 6_000),
        ("whisper-1", Units(audio_s=0.001), 1),
        ("gpt-4o-mini", Units(tokens_in=1_000_000, tokens_out=1_000_000), 750_000),
        ("gpt-4o-mini", Units(tokens_in=1), 1),
        ("gpt-4o-mini-2024-07-18", Units(tokens_in=1_000_000), 150_000),
        ("tts-1", Units(characters=1_000), 15_000),
    ],
)
def test_known_models(model: str, units: Units, micro_usd: int) -> None:
    """By the table that ships, rounded up to whole micro-dollars; a dated name is its model."""
    assert Prices.load().micro_usd("openai", model, units, TODAY) == micro_usd


def test_every_price_says_when_and_where_it_was_read() -> None:
    """A price without a date and a source cannot be checked."""
    from shared.guard.prices import TABLE, _read

    for entry in _read(TABLE):
        assert entry.source.startswith("https://")
        assert entry.read_on <= TODAY


def test_an_unknown_model_costs_as_much_as_the_dearest() -> None:
    """A cap that errs must hold."""
    prices = Prices([price("cheap", million_tokens_in=1.0), price("dear", million_tokens_in=30.0)])
    assert prices.micro_usd("openai", "new-model", Units(tokens_in=10), TODAY) == 300


def test_a_server_of_one_s_own_is_free() -> None:
    """Nobody sends a bill for it."""
    assert Prices.load().micro_usd("openai-compatible", "whisper-1", Units(audio_s=3600.0), TODAY) == 0


def test_a_model_is_not_taken_for_its_smaller_namesake() -> None:
    """gpt-4o does not price gpt-4o-mini, nor the reverse."""
    prices = Prices([price("gpt-4o", million_tokens_in=2.0), price("gpt-4o-mini", million_tokens_in=1.0)])
    assert prices.micro_usd("openai", "gpt-4o-mini", Units(tokens_in=10), TODAY) == 10
    assert prices.micro_usd("openai", "gpt-4o", Units(tokens_in=10), TODAY) == 20


def test_a_price_begins_on_its_day() -> None:
    """An announced price holds from then on, not before."""
    prices = Prices([price("m", million_tokens_in=1.0), price("m", million_tokens_in=2.0, since=date(2027, 1, 1))])
    assert prices.micro_usd("openai", "m", Units(tokens_in=10), date(2026, 12, 31)) == 10
    assert prices.micro_usd("openai", "m", Units(tokens_in=10), date(2027, 1, 1)) == 20


def test_the_operator_s_list_wins(tmp_path: Path) -> None:
    """Newer prices need no new release; a list that cannot be read stops the start."""
    own = tmp_path / "prices.json"
    entry = '{"provider": "openai", "model": "whisper-1", "audio_minute": 1, "read_on": "2026-11-01", "source": "me"}'
    own.write_text(f'{{"prices": [{entry}]}}')
    assert Prices.load(own).micro_usd("openai", "whisper-1", Units(audio_s=60.0), TODAY) == 1_000_000
    own.write_text('{"prices": [{"model": 1}]}')
    with pytest.raises(SetupError, match=r"prices\.json"):
        Prices.load(own)
