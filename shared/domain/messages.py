"""What a progress row says to a person, in the languages of our users."""

import json
from functools import cache
from pathlib import Path

from shared.domain.job import JobOptions

CATALOGUE = Path(__file__).parents[1] / "locales" / "progress.json"
FALLBACK = "en"
LANGUAGES = {"en": "en", "ja": "ja", "zh": "zh-TW", "zh-TW": "zh-TW"}  # a caller's word -> a column of the catalogue


@cache
def catalogue() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return loaded


def message(key: str, language: str | None) -> str:
    """The message for `key`, in English where we do not speak the language."""
    return catalogue()[key][LANGUAGES.get(language or FALLBACK, FALLBACK)]


def language_of(options: JobOptions) -> str | None:
    """The language that a job's messages are written in."""
    return options.report_language or options.language
