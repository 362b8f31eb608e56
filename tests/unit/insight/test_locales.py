"""The report's texts are complete in every language."""

import json
import re
import string
from importlib.resources import files
from pathlib import Path
from typing import get_type_hints

import pytest

from pipelines.insight.catalogue import REPORT_LANGUAGES, Catalogue, catalogue
from pipelines.insight.coach_report import SKILLS
from pipelines.insight.diagnosis import _TABLE
from shared.domain.ids import SpeakerId
from shared.domain.insight import CoachingSkills, EventType, Role, RoleSource, Speaker

pytestmark = pytest.mark.unit

SOURCES = [
    path
    for folder in ("pipelines/insight", "pipelines/text", "pipelines/stages")
    for path in sorted(Path(__file__).parents[3].joinpath(folder).rglob("*"))
    if path.suffix in (".py", ".j2")
]
INDICATORS = (
    *("client_share", "coach_interruptions", "patience", "longest_coach_turn"),
    *("open_share", "question_rate", "stacked_questions"),
    *("reflections", "feelings", "affirmations", "next_steps"),
)


def _texts(language: str) -> dict[str, str]:
    texts = json.loads(files("shared").joinpath("locales", f"{language}.json").read_text(encoding="utf-8"))
    assert isinstance(texts, dict)
    return texts


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", REPORT_LANGUAGES)
def test_every_language_has_the_same_keys(language: str) -> None:
    """A missing or a spare key fails here, not in front of a reader."""
    assert set(_texts(language)) ^ set(_texts("en")) == set()


@pytest.mark.parametrize("language", REPORT_LANGUAGES)
def test_every_translation_has_the_same_placeholders(language: str) -> None:
    """Order is free, names are not; plain texts may leave none out."""
    english, other = _texts("en"), _texts(language)
    assert {key for key in english if _placeholders(english[key]) != _placeholders(other[key])} == set()


@pytest.mark.parametrize("language", REPORT_LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    """Only the joints between sentences may be, where a script has no spaces."""
    assert {key for key, text in _texts(language).items() if not text} <= {"rationale.join", "summary.join"}


def test_every_key_in_the_sources_exists() -> None:
    """Keys written out in Python and in the templates."""
    written = {
        key for path in SOURCES for key in re.findall(r"""\b(?:text|t)\(\s*["']([\w.]+)["']""", path.read_text("utf-8"))
    }
    assert len(written) > 30
    assert {key for key in written if not key.endswith(".")} - set(_texts("en")) == set()


def test_every_key_that_is_put_together_exists() -> None:
    """For each indicator, row of the diagnosis, event and skill there is."""
    keys = {f"indicator.{name}" for name in INDICATORS}
    keys |= {f"prescription.{name}.{part}" for name in INDICATORS for part in ("title", "text")}
    keys |= {f"diagnosis.{key}.{part}" for key, _ in _TABLE for part in ("name", "description")}
    keys |= {f"event_type.{kind}" for kind in EventType} | {f"skill.{skill}" for skill in SKILLS}
    assert keys - set(_texts("en")) == set()


def test_skills_are_those_of_the_document() -> None:
    """The list of skills follows the document's fields."""
    assert set(get_type_hints(CoachingSkills)) == set(SKILLS)


@pytest.mark.parametrize("language", REPORT_LANGUAGES)
def test_two_of_one_role_are_told_apart(language: str) -> None:
    """Two clients are two people in the report too."""
    texts: Catalogue = catalogue(language)
    clients = tuple(Speaker(SpeakerId(s), Role.CLIENT, RoleSource.OPTIONS, 1.0) for s in ("S2", "S3"))
    names = texts.speakers(clients)
    assert names[SpeakerId("S2")] != names[SpeakerId("S3")]


def test_braces_in_a_quotation_are_no_placeholders() -> None:
    """What people say is put in as it is."""
    assert "{0} {name}" in catalogue("en").text("summary.quote", quote="{0} {name}")
