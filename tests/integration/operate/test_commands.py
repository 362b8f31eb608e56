"""The operator's commands, on real servers."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli import operate
from cli.__main__ import app
from shared.domain.errors import SetupError, VibeInsightError
from shared.domain.ids import OwnerId
from shared.domain.job import JobStatus, RunStatus, Stage
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import Lab

pytestmark = pytest.mark.integration

Vibeinsight = Callable[..., "Ran"]


class Ran:
    def __init__(self, done: Result) -> None:
        error = done.exception if isinstance(done.exception, VibeInsightError) else None
        self.code, self.out = done.exit_code, done.stdout
        self.complaint = error.code if error else done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    tools = Toolbox(settings.model_copy(update={"retry_base_s": 3_600.0}))
    yield Lab(tools, OwnerId(tools.ledger.create_owner("lab")))
    tools.close()


@pytest.fixture
def vibeinsight(lab: Lab) -> Vibeinsight:
    """The command, on this test's servers."""

    def run(*arguments: str) -> Ran:
        with operate.on(lab.tools.settings):
            return Ran(CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}))

    return run


def failed_job(lab: Lab, stage: Stage = Stage.PREPROCESS) -> str:
    job_id = lab.job({"shards": 0, stage.value: {"fail": "not_audio"}}).job.id
    lab.work_off()
    assert lab.get(job_id).status is JobStatus.FAILED
    return job_id


def test_jobs_and_dead_tell_what_waits_and_what_failed(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """Who waits, for how long, how often it was tried, and why it failed; filters leave the others out."""
    broken, waiting = failed_job(lab), lab.job().job.id
    lab.execute(f"UPDATE stage_runs SET not_before = now() - interval '2 hours' WHERE job_id = '{waiting}'")
    (only,) = vibeinsight("jobs", "--json").json
    assert (only["id"], only["owner"], only["status"], only["attempts"]) == (waiting, "lab", "queued", 0)
    assert only["waiting_s"] > 7_000
    assert {line["id"] for line in vibeinsight("jobs", "--all", "--json").json} == {broken, waiting}
    assert vibeinsight("jobs", "--stage", "diarize", "--json").json == []
    assert vibeinsight("jobs", "--owner", "nobody", "--json").json == []
    assert vibeinsight("jobs", "--older-than", "1h", "--json").json == []
    table = vibeinsight("jobs").out
    assert waiting in table
    assert "2h" in table
    (buried,) = vibeinsight("dead", "--json").json
    assert (buried["job_id"], buried["stage"], buried["status"]) == (broken, "preprocess", RunStatus.FAILED)
    assert buried["error"]["code"] == "not_audio"
    assert "not_audio" in vibeinsight("dead", "--owner", "lab", "--stage", "preprocess").out
    assert "No buried run" in vibeinsight("dead", "--status", "dead").out


def test_replay_opens_a_job_again(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """From the stage that failed, or from a named one; many need a yes, and a dry run changes nothing."""
    one, two = failed_job(lab), failed_job(lab)
    assert vibeinsight("replay", "--all-failed").code == 2
    assert set(vibeinsight("replay", "--all-failed", "--dry-run", "--json").json["jobs"]) == {one, two}
    assert lab.get(one).status is JobStatus.FAILED
    assert vibeinsight("replay", one, "--json").json == {"replayed": [one], "failed": {}}
    assert [stage for stage, _ in lab.queued()] == [Stage.PREPROCESS]
    assert vibeinsight("replay", two, "--from-stage", "download").code == 0
    assert sorted(stage for stage, _ in lab.queued()) == [Stage.DOWNLOAD, Stage.PREPROCESS]
    again = vibeinsight("replay", one, "--json")
    assert (again.code, list(again.json["failed"])) == (1, [one])
    unknown = vibeinsight("replay", "5b0c1e3a-0000-4000-8000-000000000000")
    assert (unknown.code, "not_found" in unknown.complaint) == (1, True)


def test_requeue_rings_what_is_due(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """What waits for its next attempt is left alone, unless the operator wants it now."""
    lab.job()
    slow = lab.job({"download": {"fail": "provider_unavailable"}}).job.id
    lab.work_off(most=2)
    (runs,) = lab.execute(f"SELECT status, not_before > now() FROM stage_runs WHERE job_id = '{slow}'")
    assert tuple(runs) == ("queued", True)
    assert vibeinsight("requeue", slow, "--json").json == {"due": 0, "rung": 0, "woken": 0}
    assert vibeinsight("requeue", slow, "--now", "--json").json == {"due": 1, "rung": 1, "woken": 1}
    assert "runs are due" in vibeinsight("requeue", "--stage", "preprocess", "--dry-run").out


def test_drain_and_resume(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """A drained stage is not taken from, and says who drained it and why; a job under way is waited for."""
    lab.job()
    claim = lab.runs.claim(lab.queued()[0][1], message_id="m", lease_s=60)
    assert claim is not None
    drained = vibeinsight("drain", "download", "--reason", "new disk", "--wait", "0.1", "--json")
    assert (drained.code, drained.json[0]["drained"], drained.json[0]["running"]) == (3, False, 1)
    lab.execute("UPDATE stage_runs SET status = 'queued', ready = true, token = NULL, lease_until = NULL")
    assert vibeinsight("drain", "download", "--wait", "5").code == 0
    assert lab.runs.claim(lab.queued()[0][1], message_id="m", lease_s=60) is None
    shown = vibeinsight("queues").out
    assert "drained since" in shown
    assert "by operator: new disk" in shown
    assert vibeinsight("resume", "download", "--json").json[0]["pause"] is None
    assert lab.runs.claim(lab.queued()[0][1], message_id="m", lease_s=60) is not None


def test_purge_deletes_what_has_ended(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """Rows and objects; not without a yes, never what runs, and the audit log says who did it."""
    gone, runs = lab.job({"shards": 0}).job.id, lab.job({"job": 2}).job.id
    for stage, run_id in lab.queued()[:1]:
        lab.runner.run(run_id, lab.works[stage], "m")
    lab.tools.ledger.cancel(lab.owner, gone)
    assert vibeinsight("purge", "--owner", "lab").code == 2
    assert vibeinsight("purge").code == 2
    assert vibeinsight("purge", "--older-than", "soon", "--yes").code == 2
    assert vibeinsight("purge", "--owner", "lab", "--dry-run", "--json").json["jobs"] == [gone]
    assert vibeinsight("purge", "--owner", "lab", "--older-than", "30d", "--yes", "--json").json["purged"] == []
    assert vibeinsight("purge", "--owner", "lab", "--yes", "--json").json == {"purged": [gone], "failed": {}}
    assert [row[0] for row in lab.execute("SELECT id::text FROM jobs")] == [runs]
    entries = lab.execute("SELECT action, details->>'jobs' FROM audit_log WHERE actor = 'operator' ORDER BY id")
    assert entries[-1][0] == "purge"
    assert gone in entries[-1][1]


def test_everything_of_an_owner_goes(lab: Lab, vibeinsight: Vibeinsight) -> None:
    """Running jobs and objects too, with a report of what went; another owner's stay, and a hold stops it."""
    other = lab.tools.ledger.create_owner("other")
    job_id = lab.job({"shards": 0}).job.id
    lab.work_off(most=2)
    assert vibeinsight("purge", "--everything", "--yes").code == 2
    assert vibeinsight("purge", "--everything", "--owner", "nobody", "--yes").complaint == "not_found"
    lab.tools.ledger.hold_owner(lab.owner, "a dispute")
    assert vibeinsight("purge", "--everything", "--owner", "lab", "--yes").code == 1
    lab.tools.ledger.release_owner(lab.owner)
    report = vibeinsight("purge", "--everything", "--owner", "lab", "--yes", "--json").json
    assert (report["rows"]["jobs"], report["finished_at"] is not None) == (1, True)
    assert report["objects"]["jobs"] > 0
    assert lab.execute(f"SELECT count(*) FROM jobs WHERE id = '{job_id}'")[0][0] == 0
    assert lab.execute(f"SELECT count(*) FROM owners WHERE id = '{other}'")[0][0] == 1


def test_without_settings_the_way_is_told() -> None:
    """The operator learns what to set."""
    with operate.on(Settings(database_url=None, redis_url=None)):
        done = CliRunner().invoke(app, ["jobs"])
    assert isinstance(done.exception, SetupError)
    assert "VIBEINSIGHT_DATABASE_URL" in done.exception.message
