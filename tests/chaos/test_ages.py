"""What the oracle takes for the age of a run."""

import pytest

from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.chaos.programme.recovery import Recovery
from tests.engine_lab import Lab

pytestmark = pytest.mark.integration


def test_a_run_that_is_asked_for_again_begins_another_life(toolbox: Toolbox, owner: OwnerId) -> None:
    """The hour between its end and the retry is nobody's delay; the hour in which it was open is counted."""
    lab = Lab(toolbox, owner)
    Recovery(lab)
    job = lab.job({"preprocess": {"fail": "not_audio", "times": 1}}).job
    lab.work_off()
    hour = "interval '1 hour'"
    lab.execute(f"UPDATE stage_runs SET created_at = created_at - 2 * {hour}, finished_at = finished_at - {hour}")
    lab.tools.ledger.retry(owner, job.id)
    lab.work_off()
    ages = lab.execute("SELECT round(age_s / 3600) FROM ages WHERE stage = 'preprocess' ORDER BY age_s")
    assert [int(hours) for (hours,) in ages] == [0, 1]
