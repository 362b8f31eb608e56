"""What Flower can show of us: Celery's configuration, without secrets."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit


def test_the_configuration_page_shows_no_password() -> None:
    """Flower asks workers for their configuration; they censor it themselves."""
    program = "from workers.app import app; print(app.conf.table(with_defaults=True, censored=True))"
    environment = os.environ | {"VIBEINSIGHT_REDIS_URL": "redis://user:hunter2@127.0.0.1:1/0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "127.0.0.1" in done.stdout
    assert "hunter2" not in done.stdout
