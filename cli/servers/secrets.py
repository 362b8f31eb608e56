"""The embedded servers' passwords: drawn once for a data folder, readable by its owner alone."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class StackSecrets:
    redis_password: str
    postgres_password: str
    s3_access_key: str
    s3_secret_key: str
    flower_password: str


def write_private(path: Path, text: str) -> None:
    """Written beside and moved into place: a reader sees the old text or the new, never half of it."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def load_or_draw(path: Path) -> StackSecrets:
    if path.exists():
        return StackSecrets(**json.loads(path.read_text()))
    drawn = StackSecrets(*(secrets.token_hex(16) for _ in range(5)))  # 128 bits each
    write_private(path, json.dumps(asdict(drawn)))
    return drawn
