"""Recognised words made readable, by the rules of their language. What is done is said in the result's provenance."""

from collections.abc import Sequence

from pipelines.text.attribution import SpokenWord
from pipelines.text.chinese import in_one_script
from pipelines.text.japanese import punctuated
from pipelines.text.script import base_language

TEXT_RULES_VERSION = 1  # raise it with every change of what is written: results in the cache are then made anew
TEXT_RULES = {
    "version": TEXT_RULES_VERSION,
    "ja": "sentence marks placed by rule: pauses and endings",
    "zh": "one script, by OpenCC",
}


def readable(
    words: Sequence[SpokenWord], language: str | None, report_language: str | None = None
) -> tuple[SpokenWord, ...]:
    match base_language(language):
        case "ja":
            return punctuated(words)
        case "zh":
            return in_one_script(words, language or "zh", report_language)
        case _:
            return tuple(words)
