"""What we build from: every package pinned by its hash, no address of any index, and flaws asked about honestly."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.audit import FINE, VULNERABLE, judge

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-image.lock")
PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:\[[\w,-]+\])?==[^\s;]+", re.IGNORECASE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def _entries(lock: str) -> list[str]:
    """One text a package: its line and the hashes that follow it."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_pinned_by_hash(lock: str) -> None:
    """A version and at least one SHA-256 each: what is installed is what was looked at."""
    entries = _entries(lock)
    assert len(entries) > 50
    assert [entry for entry in entries if not PINNED.match(entry) or not HASH.search(entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_address(lock: str) -> None:
    """Whose index it comes from is the installer's choice; the hash says whether it is the same."""
    assert not re.search(r"://|--(?:extra-)?index|--find-links|git\+|\bfile:| @ ", (ROOT / lock).read_text())


def test_the_image_has_nothing_that_was_not_looked_at() -> None:
    """Its lock is a part of the whole one, version by version and hash by hash."""
    whole = {entry.split(" ")[0]: set(HASH.findall(entry)) for entry in _entries(LOCKS[0])}
    foreign = [
        entry.split(" ")[0]
        for entry in _entries(LOCKS[1])
        if not set(HASH.findall(entry)) <= whole.get(entry.split(" ")[0], set())
    ]
    assert foreign == []


def _package(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": "1.0", **more}


FLAW = {"id": "PYSEC-1", "fix_versions": ["1.1"]}


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([_package("a", vulns=[]), _package("b", vulns=[])], FINE, "2 of 2 packages, 0 flaws"),
        ([_package("a", vulns=[FLAW])], VULNERABLE, "a 1.0: PYSEC-1, mended in 1.1"),
        ([_package("a", vulns=[]), _package("b", skip_reason="not found")], FINE, "1 of 2 packages"),
        ([_package("a", skip_reason="not found")], FINE, "NOTICE: skipped"),
    ],
)
def test_the_audit_says_what_it_could_not_ask(packages: list[dict[str, Any]], code: int, told: str) -> None:
    """A flaw fails; an index without advisories is a notice and never passes for a clean answer."""
    judged, lines = judge({"dependencies": packages})
    assert judged == code
    assert told in "\n".join(lines)
