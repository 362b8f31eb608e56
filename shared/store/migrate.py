"""Brings a database to the newest schema: what `alembic upgrade head` does, as a function."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from shared.settings import Settings

ROOT = Path(__file__).parents[2]


def upgrade(settings: Settings, revision: str = "head") -> None:
    command.upgrade(_config(settings), revision)


def downgrade(settings: Settings, revision: str = "base") -> None:
    command.downgrade(_config(settings), revision)


def _config(settings: Settings) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.attributes["settings"] = settings
    return config
