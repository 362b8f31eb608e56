"""supabase-js as npm has it, against our channel: every row of one's own in order, and nothing of anybody else's."""

from collections.abc import Callable

import pytest

from tests.realtime.harness import Api, JsClient, Told

pytestmark = pytest.mark.integration

NewJob = Callable[..., Told]
Js = Callable[..., JsClient]


def test_rows_come_in_order_also_across_a_cut(api: Api, key: str, new_job: NewJob, js: Js) -> None:
    """The socket dies in the middle and rows come while nobody listens: the page has each of them, in order."""
    mine, other = new_job(), new_job(owner=api.toolbox.ledger.create_owner("other"))
    client = js(api.url, key, {"job": f"job_id=eq.{mine.job_id}", "all": ""})
    client.wait_for(lambda: len(client.seen.systems) == 2, "both channels are subscribed")
    mine.tell(20)
    other.tell(5)
    client.wait_for(lambda: client.seen.versions("job", mine.job_id) == mine.versions, "rows before the cut")
    api.cut()
    mine.tell(10)
    client.wait_for(lambda: len(client.seen.systems) == 4, "both channels are joined again")
    mine.tell(20)
    for channel in ("job", "all"):
        client.wait_for(lambda channel=channel: client.seen.versions(channel, mine.job_id) == mine.versions, channel)
    assert client.seen.jobs() == {mine.job_id}
