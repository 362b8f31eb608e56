"""No secret in any log line of a test run: what tests and servers have logged and printed is searched at its end.

Sought are the run's own secrets (each stack's passwords and keys, read from where it keeps them) and whatever looks
like one of ours: an API key, a token of three parts, the signature of an address, a webhook's secret.
"""

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.running import KEY
from cli.stack import SECRETS

LOOKS = {
    "an API key": re.compile(r"\bvi_[\w-]{43}(?![\w-])"),
    "a token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "a signed address": re.compile(r"[?&](?:X-Amz-Signature=[0-9a-f]{64}|token=eyJ)"),
    "a webhook's secret": re.compile(r"\bwhsec_[\w+/=-]{20,}"),
    "a password in an address": re.compile(r"\b(?:postgres\w*(?:\+\w+)?|rediss?)://[^\s:/@]*:(?!\*+@)[^\s:/@]+@"),
}
NOT_SECRET = {"s3_access_key"}  # a name; it stands in every signed address
MOST_BYTES = 50_000_000  # of one file
PLANTED = ("test_logs.py", "test_redaction.py", "test_secret_watch.py")  # log made-up secrets to see them hidden

_captured = pytest.StashKey[list[tuple[str, str]]]()


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    """What of it must not be there, by its kind: never the secret itself."""
    kinds = [kind for kind, look in LOOKS.items() if look.search(text)]
    return kinds + [name for name, secret in secrets.items() if secret in text]


def secrets_below(folder: Path) -> dict[str, str]:
    """Of every stack whose data lie there."""
    found: dict[str, str] = {}
    for file in folder.rglob(SECRETS):
        kept: dict[str, str] = json.loads(file.read_text())
        found |= {f"{name} of {file.parent}": value for name, value in kept.items() if name not in NOT_SECRET}
    for file in folder.rglob(KEY):
        if file.is_file() and (key := file.read_text(errors="replace").strip()).startswith("vi_"):
            found[f"the key of {file.parent}"] = key
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "teardown" and item.path.name not in PLANTED:
        seen = item.config.stash.setdefault(_captured, [])
        seen.extend((item.nodeid, text) for title, text in report.sections if "log" in title or "stderr" in title)
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_secret_in_any_log(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[None]:
    """The first to be set up, so the last to be torn down: the servers have written their last line."""
    yield
    folder = tmp_path_factory.getbasetemp()
    secrets = secrets_below(folder)
    logs = [
        (str(file.relative_to(folder)), file.read_bytes()[:MOST_BYTES].decode(errors="replace"))
        for file in folder.rglob("*.log")
        if file.is_file()
    ]
    told = [*logs, *pytestconfig.stash.get(_captured, [])]
    leaks = [f"{place}: {', '.join(kinds)}" for place, text in told if (kinds := found_in(text, secrets))]
    assert not leaks, "secrets stand in what was logged:\n" + "\n".join(leaks)
