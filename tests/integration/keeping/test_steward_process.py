"""The steward as it runs: every chore has its turn, and a webhook arrives."""

from pathlib import Path

import httpx
import pytest

from shared.store.chores import ChoreBook
from tests.engine_lab import Lab, wait_for
from tests.engine_processes import Processes
from tests.webhook_receiver import receiving
from workers.chores import chores

pytestmark = pytest.mark.integration


def test_every_chore_runs_and_a_webhook_arrives(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """In two real stewards at once: no chore fails, the delivery is made once, and both end when they are told to."""
    stewards = Processes(lab.tools.settings, tmp_path)
    book = ChoreBook(lab.database)
    try:
        with receiving() as receiver:
            secret = client.post("/v1/webhooks", json={"url": receiver.url}).json()["secret"]
            lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
            running = [stewards.steward(), stewards.steward()]
            names = {chore.name for chore in chores(lab.tools)}
            wait_for("every chore", lambda: names <= {facts.name for facts in book.all_chores() if facts.ran_at})
            wait_for("the delivery", lambda: receiver.got)
            wait_for("the log", lambda: lab.execute("SELECT id FROM webhook_deliveries WHERE status = 'delivered'"))
            assert len(receiver.got) == 1
        for process in running:
            process.terminate()
        assert [process.wait(30) for process in running] == [0, 0]
    finally:
        stewards.stop()
    assert [(facts.name, facts.error) for facts in book.all_chores() if facts.failures] == []
    assert secret not in stewards.log()
    assert "webhook.tried" in stewards.log()
