"""`vibeinsight keys`: the operator's way to API keys, straight in the ledger, so that the first one can be made."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared.domain.access import OWNER_SCOPES, ApiKey, AuditEntry, NewKey, Scope, read_scopes
from shared.domain.errors import SetupError
from shared.domain.ids import OwnerId
from shared.settings import load_settings
from shared.toolbox import Toolbox

app = typer.Typer(no_args_is_help=True, help="API keys of any owner, for the operator.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The id that list prints; not the secret.")]


@app.command("list")
def list_keys(
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None, as_json: AsJson = False
) -> None:
    """Every key there is, newest first, without secrets."""
    with _ledger() as tools:
        keys = tools.ledger.list_keys(OwnerId(owner) if owner else None)
    if as_json:
        _print_json([_shown(key) for key in keys])
    else:
        Console().print(_table(keys))


@app.command()
def create(
    label: Annotated[str, typer.Option(help="What the key is for.")],
    owner: Annotated[str | None, typer.Option(help="An owner's id; without it a new owner is made.")] = None,
    scopes: Annotated[
        str, typer.Option(help=f"What it may do, of: {', '.join(Scope)}; all but the last when not given.")
    ] = "",
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Its life; without it, until revoked.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret, this once."""
    given = read_scopes(filter(None, (word.strip() for word in scopes.split(",")))) or OWNER_SCOPES
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    with _ledger() as tools:
        owner_id = OwnerId(owner) if owner else tools.ledger.create_owner(label)
        made = tools.ledger.create_key(owner_id, label, scopes=given, expires_at=expires_at, entry=_entry("createKey"))
    _print_new(made, as_json=as_json)


@app.command()
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old secret is still taken.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it, this once."""
    with _ledger() as tools:
        made = tools.ledger.rotate_key(None, key_id, grace=timedelta(hours=grace_hours), entry=_entry("rotateKey"))
    _print_new(made, as_json=as_json)


@app.command()
def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """End a key, at once and for good."""
    with _ledger() as tools:
        key = tools.ledger.revoke_key(None, key_id, entry=_entry("revokeKey"))
    if as_json:
        _print_json(_shown(key))
    else:
        typer.echo(f"Revoked {key.id} ({key.label}).")


@contextmanager
def _ledger() -> Iterator[Toolbox]:
    settings = load_settings()
    if settings.database_url is None:
        raise SetupError("Keys are kept in the ledger: set VIBEINSIGHT_DATABASE_URL to it")
    tools = Toolbox(settings)
    try:
        yield tools
    finally:
        tools.close()


def _entry(action: str) -> AuditEntry:
    return AuditEntry(actor="operator", action=action, outcome="ok")


def _shown(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    named = {"id": key.id, "owner_id": key.owner_id, "label": key.label, "scopes": sorted(key.scopes)}
    return named | {name: moment.isoformat() if moment else None for name, moment in times.items()}


def _print_new(made: NewKey, *, as_json: bool) -> None:
    """The secret alone on stdout, so that it can be piped to where secrets are kept."""
    if as_json:
        _print_json({**_shown(made.key), "secret": made.secret})
        return
    Console(stderr=True).print(f"Key {made.key.id} of owner {made.key.owner_id}; its secret is shown this once:")
    typer.echo(made.secret)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _table(keys: list[ApiKey]) -> Table:
    table = Table("key", "owner", "label", "scopes", "state", "last used")
    for key in keys:
        used = key.last_used_at.isoformat(timespec="minutes") if key.last_used_at else "never"
        table.add_row(key.id, key.owner_id, key.label, " ".join(sorted(key.scopes)), _state(key), used)
    return table


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"
