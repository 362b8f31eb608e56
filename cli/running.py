"""How a command finds the VibeInsight that runs: by configuration, else by the note that `up` leaves."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.client import Address
from cli.servers.identity import identity, lives
from cli.servers.secrets import write_private
from shared.domain.errors import SetupError
from shared.settings import Settings

NOTE, KEY = "stack.json", "key"


@dataclass(frozen=True)
class Note:
    """What `up` writes down while it runs. The key is in a file of its own."""

    process: str
    url: str
    flower_url: str | None


def leave_note(data_dir: Path, url: str, flower_url: str | None) -> None:
    write_private(data_dir / NOTE, json.dumps(asdict(Note(identity(os.getpid()), url, flower_url))))


def take_note_back(data_dir: Path) -> None:
    (data_dir / NOTE).unlink(missing_ok=True)


def read_note(data_dir: Path) -> Note | None:
    """None when nothing runs; a note that a killed `up` left does not count."""
    try:
        note = Note(**json.loads((data_dir / NOTE).read_text()))
    except FileNotFoundError:
        return None
    return note if lives(note.process) else None


def find(settings: Settings) -> Address | None:
    if settings.api_url is not None:
        if settings.api_key is None:
            raise SetupError("VIBEINSIGHT_API_URL is set, but VIBEINSIGHT_API_KEY is not: set it to a key of that API.")
        return Address(settings.api_url, settings.api_key.get_secret_value())
    note = read_note(settings.data_dir)
    return Address(note.url, (settings.data_dir / KEY).read_text().strip()) if note else None


def find_or_say_how(settings: Settings) -> Address:
    found = find(settings)
    if found is None:
        raise SetupError(
            "No VibeInsight runs on this data folder. Start one with `vibeinsight up`, "
            "or set VIBEINSIGHT_API_URL and VIBEINSIGHT_API_KEY."
        )
    return found
