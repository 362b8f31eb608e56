"""The search for secrets at the end of a test run, and that what it seeks is hidden from logs."""

import json
from pathlib import Path

import pytest

from cli.running import KEY
from cli.stack import SECRETS
from shared.observe.redaction import hide_secrets
from tests.secret_watch import LOOKS, found_in, secrets_below

pytestmark = pytest.mark.unit

SAMPLES = {
    "an API key": "made vi_" + "a" * 43,
    "a token": "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw",
    "a signed address": "PUT https://s3.example/b/k?X-Amz-Date=1&X-Amz-Signature=" + "0a" * 32,
    "a webhook's secret": "whsec_" + "b" * 32,
    "a password in an address": "postgresql+psycopg://me:hunter2@127.0.0.1:5432/db",
}


@pytest.mark.parametrize("kind", LOOKS)
def test_each_kind_is_found_and_is_hidden_by_the_logs(kind: str) -> None:
    """What would be a leak is seen, and our own logging never makes it one."""
    assert kind in found_in(SAMPLES[kind], {})
    assert found_in(hide_secrets(SAMPLES[kind]), {}) == []


def test_the_secrets_of_a_stack_are_sought_word_for_word(tmp_path: Path) -> None:
    """Passwords look like nothing, so that they are read from where the stack keeps them; the leak names none."""
    (tmp_path / SECRETS).write_text(json.dumps({"redis_password": "0123abcd", "s3_access_key": "name"}))
    (tmp_path / KEY).write_text("vi_short\n")
    secrets = secrets_below(tmp_path)
    assert sorted(secrets.values()) == ["0123abcd", "vi_short"]
    leaks = found_in("AUTH default 0123abcd", secrets)
    assert len(leaks) == 1
    assert "0123abcd" not in leaks[0]
    assert found_in("nothing here", secrets) == []
