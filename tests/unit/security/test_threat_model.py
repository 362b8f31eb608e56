"""The threat model names tests that exist, and a threat without one is not in it."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/security.md").read_text()
THREATS = re.findall(r"^\| ([STRIDE]) \| (.+?) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_threat_has_its_control_and_its_test() -> None:
    """All six kinds are thought of, and each line names at least one test."""
    assert len(THREATS) > 30
    assert {kind for kind, *_ in THREATS} == set("STRIDE")
    assert [threat for _, threat, control, tests in THREATS if not control.strip() or not NAMED.search(tests)] == []


@pytest.mark.parametrize(("file", "test"), sorted({found for *_, tests in THREATS for found in NAMED.findall(tests)}))
def test_each_named_test_exists(file: str, test: str) -> None:
    """A control is as good as the test that would notice its end."""
    assert re.search(rf"^(?:async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
