"""Alerts and their runbooks: each leads to the other, and what a runbook says to type can be typed."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.__main__ import app
from workers.__main__ import parse

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
RUNBOOKS = sorted(path for path in (ROOT / "docs/runbooks").glob("*.md") if path.name != "README.md")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "infra/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
QUOTED = re.compile(r"(?:^|`)((?:vibeinsight|python -m workers|python -m api) [^`\n]*)", re.MULTILINE)
COMMANDS = sorted({(path.name, line) for path in RUNBOOKS for line in QUOTED.findall(path.read_text())})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_names_its_runbook(rule: dict[str, Any]) -> None:
    """A rule says how bad it is, what has happened, and where it is written what to do; the page names it back."""
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    page = ROOT / rule["annotations"]["runbook"]
    assert page in RUNBOOKS
    assert f"Alert `{rule['alert']}`" in page.read_text()


def test_every_runbook_belongs_to_an_alert() -> None:
    """And is in the list, under how urgent it is."""
    assert {ROOT / rule["annotations"]["runbook"] for rule in RULES} == set(RUNBOOKS)
    index = (ROOT / "docs/runbooks/README.md").read_text()
    assert [path.name for path in RUNBOOKS if f"]({path.name})" not in index] == []


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_four_parts(page: Path) -> None:
    """Somebody who was woken finds the same four questions answered on every page."""
    parts = re.findall(r"^## (.+)", page.read_text(), re.MULTILINE)
    assert parts == ["What it means", "How to see", "What to do", "How to know it is over"]
    assert "```sh" in page.read_text()


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_what_a_runbook_says_to_type_can_be_typed(page: str, line: str) -> None:
    """Every command and every option that is quoted is there."""
    words = shlex.split(line)
    if words[0] == "vibeinsight":
        _parse_vibeinsight(words[1:])
    elif words[2] == "workers":
        parse(words[3:])
    else:
        assert set(words[3::2]) <= {"--workers", "--port", "--host"}


def _parse_vibeinsight(words: list[str]) -> None:
    """As the command line itself would, without doing it."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    context = command.make_context(words[0], words[1:], resilient_parsing=False)
    context.close()
