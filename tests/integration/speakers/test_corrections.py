"""Corrections of speakers: made over HTTP, analysed again by the real stages, kept for good."""

import httpx
import pytest

from shared.domain.job import Stage
from tests.integration.speakers.conftest import Recordings

pytestmark = pytest.mark.integration


def test_a_swap_turns_the_report_round(client: httpx.Client, recordings: Recordings) -> None:
    """Roles, ratios and report change sides; words and turns are not made again; the history says what was asked."""
    job_id = recordings.finished()
    before = recordings.result(job_id)
    answer = client.patch(f"/v1/jobs/{job_id}/speakers", json={"swap": ["S1", "S2"]})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    recordings.work_off()
    assert recordings.worked == [Stage.ANALYZE, Stage.SYNTHESIZE]
    after = recordings.result(job_id)
    assert [s["role"] for s in after["speakers"]] == ["client", "coach"]
    assert {s["role_source"] for s in after["speakers"]} == {"given"}
    assert after["metrics"]["coach_speaking_ratio"] == before["metrics"]["client_speaking_ratio"]
    assert after["transcript"] == before["transcript"]
    known = client.get(f"/v1/jobs/{job_id}/speakers").json()
    assert [(made["number"], made["asked"]) for made in known["corrections"]] == [(1, {"swap": ["S1", "S2"]})]


def test_names_merges_and_reset_add_up(client: httpx.Client, recordings: Recordings) -> None:
    """Each correction stands on those before it, and a reset takes all of them back."""
    job_id = recordings.finished()
    for asked in (
        {"speakers": [{"id": "S1", "name": "Ana", "role": "coach"}]},
        {"merge": [{"speaker": "S2", "into": "S1"}]},
    ):
        assert client.patch(f"/v1/jobs/{job_id}/speakers", json=asked).status_code == 202
        recordings.work_off()
    (only,) = client.get(f"/v1/jobs/{job_id}/speakers").json()["speakers"]
    assert (only["id"], only["name"], only["role"], only["role_source"]) == ("S1", "Ana", "coach", "given")
    assert client.patch(f"/v1/jobs/{job_id}/speakers", json={"reset": True}).status_code == 202
    recordings.work_off()
    known = client.get(f"/v1/jobs/{job_id}/speakers").json()
    assert [s["role_source"] for s in known["speakers"]] == ["behaviour", "behaviour"]
    assert len(known["corrections"]) == 3


def test_what_cannot_be_is_refused(client: httpx.Client, recordings: Recordings) -> None:
    """Unknown speakers, contradictions and jobs that still run: nothing is written, the result stays."""
    job_id = recordings.finished()
    for asked in (
        {"speakers": [{"id": "S7", "name": "Who"}]},
        {"merge": [{"speaker": "S1", "into": "S1"}]},
        {"reset": True, "swap": ["S1", "S2"]},
        {},
    ):
        answer = client.patch(f"/v1/jobs/{job_id}/speakers", json=asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    assert client.get(f"/v1/jobs/{job_id}/speakers").json()["corrections"] == []
    assert client.patch(f"/v1/jobs/{job_id}/speakers", json={"swap": ["S1", "S2"]}).status_code == 202
    again = client.patch(f"/v1/jobs/{job_id}/speakers", json={"swap": ["S1", "S2"]})
    assert (again.status_code, again.json()["code"]) == (409, "result_not_ready")


def test_corrections_hold_only_for_the_turns_they_were_made_on(client: httpx.Client, recordings: Recordings) -> None:
    """Speakers told apart anew may have other ids: the correction is kept, and does not apply."""
    job_id = recordings.finished()
    client.patch(f"/v1/jobs/{job_id}/speakers", json={"swap": ["S1", "S2"]})
    recordings.work_off()
    with recordings.tools.ledger.database.begin() as connection:
        connection.exec_driver_sql("UPDATE artefacts SET cache_key = 'another' WHERE stage = 'diarize'")
    recordings.tools.ledger.retry(recordings.owner, job_id, Stage.ANALYZE)
    recordings.work_off()
    known = client.get(f"/v1/jobs/{job_id}/speakers").json()
    assert [made["applies"] for made in known["corrections"]] == [False]
    assert [s["role_source"] for s in known["speakers"]] == ["behaviour", "behaviour"]


def test_a_stranger_sees_and_changes_nothing(client: httpx.Client, recordings: Recordings) -> None:
    """Another owner's job is not found."""
    tools = recordings.tools
    other = Recordings(tools, tools.ledger.create_owner("other")).finished()
    assert client.get(f"/v1/jobs/{other}/speakers").status_code == 404
    assert client.patch(f"/v1/jobs/{other}/speakers", json={"swap": ["S1", "S2"]}).status_code == 404
