"""supabase-js as npm has it, against our channel: every row of one's own in order, and nothing of anybody else's."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.realtime.harness import CLIENT, DENO, ROOT, Api, JsClient, Told, deno_environment, new_user, token

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


def test_a_users_rows_with_a_token_refreshed_midway(api: Api, new_job: NewJob, js: Js) -> None:
    """What was asked for in the user's name, by session; the first token's end closes nothing."""
    user = new_user()
    mine, other = new_job(on_behalf_of=user, session_id="mine"), new_job(on_behalf_of=new_user(), session_id="mine")
    channels = {"session": "session_id=eq.mine", "all": ""}
    client = js(api.url, "sb_publishable_of-the-project", channels, access_token=token(user, lasts_s=6))
    client.wait_for(lambda: len(client.seen.systems) == 2, "both channels are subscribed")
    for job in (mine, other):
        job.tell(5)
    client.say(json.dumps({"token": token(user)}))
    time.sleep(7)
    for job in (mine, other):
        job.tell(5)
    for channel in channels:
        client.wait_for(lambda channel=channel: client.seen.versions(channel, mine.job_id) == mine.versions, channel)
    assert client.seen.jobs() == {mine.job_id}
    assert [status for _, status in client.seen.statuses] == ["SUBSCRIBED"] * 2


def test_a_token_that_ends_closes_the_channel(api: Api, new_job: NewJob, js: Js) -> None:
    """The page is told by a system message, and by the channel's status."""
    user = new_user()
    job = new_job(on_behalf_of=user)
    client = js(api.url, "sb_publishable_of-the-project", {"job": ""}, access_token=token(user, lasts_s=4))
    client.wait_for(lambda: ("job", "error", "Token has expired") in client.seen.systems, "the end of the token")
    client.wait_for(lambda: ("job", "CLOSED") in client.seen.statuses, "the end of the channel")
    job.tell(3)
    time.sleep(0.5)
    assert client.seen.versions("job", job.job_id) == [1]


@pytest.mark.usefixtures("_npm")
def test_the_documents_example_runs(api: Api, key: str, new_job: NewJob, tmp_path: Path) -> None:
    """The lines in docs/realtime.md, as they stand there, print each row of a job."""
    job = new_job()
    code = re.search(r"```js\n(.*?)```", (ROOT / "docs/realtime.md").read_text(), re.DOTALL)
    assert code is not None
    assert len(code[1].strip().splitlines()) <= 12
    program = tmp_path / "example.js"
    program.write_text(f"const [url, key, jobId] = Deno.args;\n{code[1]}")
    rights = ["--frozen", "--cached-only", "--allow-env", "--allow-net=127.0.0.1"]
    command = [DENO, "run", "--config", CLIENT / "deno.json", *rights, program, api.url, key, job.job_id]
    with subprocess.Popen(command, env=deno_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().split()[:2] == ["1", "queued"]
            job.tell(5)
            assert [process.stdout.readline().split()[0] for _ in range(5)] == list("23456")
        finally:
            process.kill()


@pytest.mark.usefixtures("_npm")
def test_the_client_is_formatted_and_from_npm_alone() -> None:
    """Types, lint and layout are as Deno wants them; the lock holds hashes and no addresses."""
    for words in ("check follow.ts", "lint", "fmt --check"):
        ran = subprocess.run(
            [DENO, *words.split()], cwd=CLIENT, env=deno_environment(), capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "http" not in (CLIENT / "deno.lock").read_text()
