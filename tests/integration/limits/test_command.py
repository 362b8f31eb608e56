"""The operator's command over an owner's limits, as a process."""

import json
import os
import subprocess
import sys

import pytest

from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of

pytestmark = pytest.mark.integration


def vibeinsight(toolbox: Toolbox, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "limits", *words]
    environment = os.environ | environment_of(toolbox.settings)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_an_operator_sets_and_shows(toolbox: Toolbox, owner: OwnerId) -> None:
    """A limit of one owner's own holds at once; what is misspelt or nobody's is said with an exit code."""
    told = vibeinsight(toolbox, "set", owner, "open_jobs=7", "owner_day_budget_usd=0.5", "--json")
    assert told.returncode == 0, told.stderr
    limits = json.loads(told.stdout)["limits"]
    assert (limits["open_jobs"]["allowed"], limits["owner_day_budget_usd"]["allowed"]) == (7, 0.5)
    assert toolbox.owner_use.now(owner)[0].limits.open_jobs == 7
    wrong = vibeinsight(toolbox, "set", owner, "open_job=7")
    assert wrong.returncode != 0
    assert "open_jobs" in wrong.stderr
    nobody = vibeinsight(toolbox, "set", "0b9c3c3e-4f43-4f0e-9a51-5d1f6a3f7f10", "open_jobs=7")
    assert nobody.returncode != 0
    assert "no owner" in nobody.stderr


def test_a_limit_can_be_taken_back(toolbox: Toolbox, owner: OwnerId) -> None:
    """The default holds again."""
    toolbox.owner_use.set_limits(owner, open_jobs=7)
    toolbox.owner_use.set_limits(owner, open_jobs=None)
    assert toolbox.owner_use.now(owner)[0].limits.open_jobs == toolbox.settings.open_jobs
