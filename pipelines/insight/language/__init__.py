"""The published rules of each language: what counts as a question, a filler, a reflection … One module a language."""

from pipelines.insight.language.chinese import CHINESE
from pipelines.insight.language.english import ENGLISH
from pipelines.insight.language.japanese import JAPANESE
from pipelines.insight.language.rules import LanguageRules
from pipelines.text.script import base_language

_RULES = {rules.language: rules for rules in (ENGLISH, JAPANESE, CHINESE)}


def rules_for(language: str | None) -> LanguageRules | None:
    """None for a language without published rules: counts that need them are then null, not zero."""
    return _RULES.get(base_language(language) or "")
