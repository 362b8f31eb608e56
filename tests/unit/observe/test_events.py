"""The list of events in the documents is the list of events in the code; and metrics likewise."""

import ast
import re
from pathlib import Path

import pytest

from shared.observe.metrics import REGISTRY

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/observability.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged(path: Path) -> set[str]:
    """First arguments of `log.info("…")` and its like."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    ours = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS]
    named = [call for call in ours if isinstance(call.func.value, ast.Name) and call.func.value.id == "log"]  # type: ignore[attr-defined]
    return {str(call.args[0].value) for call in named if call.args and isinstance(call.args[0], ast.Constant)}


def test_every_event_is_documented() -> None:
    """Whoever adds an event adds it to docs/observability.md, and says there what it means."""
    folders = ("api", "workers", "pipelines", "shared", "cli")
    in_code = {event for folder in folders for path in (ROOT / folder).rglob("*.py") for event in logged(path)}
    table = PAGE[PAGE.index("### Events") : PAGE.index("## Metrics")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    in_page = {event for row in rows for event in re.findall(r"`([\w.]+)`", row)}
    assert in_code - in_page == set(), "not in docs/observability.md"
    assert in_page - in_code == set(), "in docs/observability.md, but nowhere in the code"


def test_every_metric_is_documented() -> None:
    """By the name a scrape shows it under."""
    names = {f"{one.name}_total" if one.type == "counter" else one.name for one in REGISTRY.collect()}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
