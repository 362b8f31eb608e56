"""`vibeinsight limits`: what an owner may use and has used, and the operator's word over the defaults."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.domain.errors import InvalidInput, NotFound
from shared.domain.ids import OwnerId
from shared.domain.limits import MICRO, Limits, Look, Money
from shared.settings import load_settings
from shared.toolbox import Toolbox

app = typer.Typer(no_args_is_help=True, help="Limits and costs of an owner, for the operator.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
Owner = Annotated[str, typer.Argument(metavar="OWNER", help="The owner's id, as `keys list` prints it.")]
NAMES = tuple(Limits.__dataclass_fields__)
DEFAULT = "default"


@app.command()
def show(owner: Owner, as_json: AsJson = False) -> None:
    """Each limit with what is used of it, and what providers have cost this month."""
    tools = Toolbox(load_settings())
    try:
        _print(*tools.owner_use.now(OwnerId(owner)), as_json=as_json)
    finally:
        tools.close()


@app.command("set")
def set_limits(
    owner: Owner,
    words: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE…", help=f"Of: {', '.join(NAMES)}. `default` takes one back.")
    ],
    as_json: AsJson = False,
) -> None:
    """Give an owner limits of their own. Holds from the next request on."""
    wanted = dict(map(_read, words))
    tools = Toolbox(load_settings())
    try:
        if not tools.owner_use.set_limits(OwnerId(owner), **wanted):
            raise NotFound(f"There is no owner {owner!r}; `vibeinsight keys list` prints their ids")
        _print(*tools.owner_use.now(OwnerId(owner)), as_json=as_json)
    finally:
        tools.close()


def _read(word: str) -> tuple[str, float | None]:
    name, _, value = word.partition("=")
    if name not in NAMES:
        raise InvalidInput(f"{name!r} is no limit; limits are {', '.join(NAMES)}")
    try:
        number = None if value == DEFAULT else float(value)
    except ValueError:
        raise InvalidInput(f"{name} needs a number or `{DEFAULT}`, not {value!r}") from None
    if number is not None and not 0 <= number < float("inf"):
        raise InvalidInput(f"{name} cannot be {value}")
    return name, number


def _print(seen: Look, money: Money, *, as_json: bool) -> None:
    used = asdict(seen.use) | {
        "audio_minutes_day": seen.use.audio_s_day / 60.0,
        "audio_minutes_month": seen.use.audio_s_month / 60.0,
        "owner_day_budget_usd": money.micro_usd_day / MICRO,
        "owner_month_budget_usd": money.micro_usd_month / MICRO,
    }
    rows = {name: {"allowed": allowed, "used": used.get(name)} for name, allowed in asdict(seen.limits).items()}
    if as_json:
        typer.echo(json.dumps({"limits": rows, "spent_this_month": [asdict(item) for item in money.month]}))
        return
    table = Table("limit", "used", "allowed")
    for name, row in rows.items():
        table.add_row(name, "" if row["used"] is None else f"{row['used']:g}", f"{row['allowed']:g}")
    Console().print(table)
    for item in money.month:
        Console().print(
            f"{item.provider} {item.model}: {item.calls} calls, {item.micro_usd / MICRO:.4f} USD this month"
        )
