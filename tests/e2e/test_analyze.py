"""A recording goes in by the command line, and a report comes out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.machine import Machine

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def analyzed(machine: Machine, conversation: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One analysis of a made conversation, and all that it left."""
    out = tmp_path_factory.mktemp("out") / "report"
    done = machine.run("analyze", conversation, "--language", "en", "--roles", "coach,client", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    return {"result": json.loads(done.stdout), "stderr": done.stderr, "out": out}


def test_the_result_is_a_document_with_two_speakers(analyzed: dict[str, Any]) -> None:
    """On stdout there is the result alone: two speakers with the roles given, words with times, shares that add up."""
    result = analyzed["result"]
    assert result["schema"] == "vibeinsight.result/1"
    assert result["job"]["status"] in ("completed", "completed_with_warnings")
    assert [speaker["role"] for speaker in result["speakers"]] == ["coach", "client"]
    assert sum(person["share"] for person in result["metrics"]["per_speaker"].values()) == pytest.approx(1.0, abs=0.01)
    words = [word for segment in result["transcript"]["segments"] for word in segment["words"]]
    assert len(words) > 20
    assert all(0 <= word["start_s"] <= word["end_s"] <= result["audio"]["duration_s"] + 0.5 for word in words)


def test_the_words_are_those_that_were_spoken(analyzed: dict[str, Any], spoken_words: set[str]) -> None:
    """Most of the words of the script are in the transcript."""
    heard = {word.strip(".,?!").lower() for word in analyzed["result"]["transcript"]["text"].split()}
    assert len(spoken_words & heard) > 0.7 * len(spoken_words)


def test_progress_is_told_on_stderr(analyzed: dict[str, Any]) -> None:
    """Who waits sees the long stages pass, and the end; a stage of less than a second may pass unseen."""
    assert [word for word in ("queued", "transcribing", "completed") if word not in analyzed["stderr"]] == []


def test_out_holds_the_exports(analyzed: dict[str, Any]) -> None:
    """Result, reports and transcripts are written, each with its content."""
    out: Path = analyzed["out"]
    names = ["report.html", "report.md", "result.json", "transcript.srt", "transcript.txt", "transcript.vtt"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert json.loads((out / "result.json").read_text()) == analyzed["result"]
    assert (out / "transcript.vtt").read_text().startswith("WEBVTT")
    assert "<html" in (out / "report.html").read_text()


def test_the_report_can_be_read_again(machine: Machine, analyzed: dict[str, Any]) -> None:
    """`report` and `status` know the job by its id."""
    job_id = analyzed["result"]["job"]["id"]
    assert machine.run("report", job_id).stdout == (analyzed["out"] / "report.md").read_text()
    assert json.loads(machine.run("status", job_id, "--json").stdout)["id"] == job_id
    assert job_id in machine.run("status", "--json").stdout


def test_without_json_the_report_is_printed(machine: Machine, conversation: Path) -> None:
    """For people: Markdown on stdout. The second analysis of the same file says the same."""
    done = machine.run("analyze", conversation, "--language", "en", "--roles", "coach,client")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# ")


def test_wrong_use_is_told_from_a_failed_job(machine: Machine, tmp_path: Path) -> None:
    """A name that leads nowhere ends with 2, an unknown job with 1; both say what is wrong."""
    missing = machine.run("analyze", tmp_path / "none.wav")
    assert (missing.returncode, "There is no file" in missing.stderr) == (2, True)
    unknown = machine.run("watch", "00000000-0000-0000-0000-000000000000")
    assert (unknown.returncode, "(not_found)" in unknown.stderr) == (1, True)
    refused = machine.run("analyze", __file__, "--speakers", "99")
    assert (refused.returncode, "(invalid_input)" in refused.stderr) == (1, True)
