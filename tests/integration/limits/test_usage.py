"""What an owner sees of their limits and costs, and how refusals read at the served API."""

import io
from datetime import datetime
from typing import Any

import httpx
import pytest

from shared.guard.spender import spending
from shared.ports.provider import Units
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker, wait_until
from tests.integration.limits.conftest import new_spender, set_limits
from tests.integration.limits.test_rates import Serve, Served, serve

pytestmark = pytest.mark.integration

__all__ = ["serve"]
URL = {"source": {"url": "https://example.com/meeting.m4a"}}


class Caller:
    """An owner with a key, at an API of this test's."""

    def __init__(self, api: Served) -> None:
        self.toolbox: Toolbox = api.toolbox
        self.owner = api.toolbox.ledger.create_owner("test")
        key = api.toolbox.ledger.create_api_key(self.owner, "test")
        self.http = httpx.Client(base_url=api.address, headers={"Authorization": f"Bearer {key}"}, timeout=20.0)
        api.clients.append(self.http)

    def usage(self) -> dict[str, Any]:
        answer = self.http.get("/v1/owner/usage")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def limits(self) -> dict[str, dict[str, Any]]:
        return {limit["limit"]: limit for limit in self.usage()["limits"]}


def test_an_owner_sees_use_and_cost(serve: Serve, worker: Worker) -> None:
    """Each limit with its use and when it frees; what providers cost, here and on the job; nothing of others."""
    api = serve()
    caller, other = Caller(api), Caller(api)
    spender = new_spender(api.toolbox, caller.owner, worker)
    gate = api.toolbox.gate
    with spending(spender), gate.call("openai", "whisper-1", Units(audio_s=600.0)):
        pass
    gate.close()
    api.toolbox.owner_use.count_audio(caller.owner, spender.job_id, 600.0)
    told, limits = caller.usage(), caller.limits()
    assert limits["open_jobs"]["used"] == 1
    assert limits["audio_minutes_day"]["used"] == 10.0
    assert limits["owner_day_budget_usd"] | {"frees_at": ""} == {
        **{"limit": "owner_day_budget_usd", "allowed": 50.0, "used": 0.06},
        "frees_at": "",
    }
    assert datetime.fromisoformat(limits["audio_minutes_day"]["frees_at"]) > datetime.fromisoformat(told["now"])
    assert [(item["model"], item["calls"], item["usd"]) for item in told["spent_this_month"]] == [
        ("whisper-1", 1, 0.06)
    ]
    assert caller.http.get(f"/v1/jobs/{spender.job_id}").json()["cost_usd"] == 0.06
    assert other.usage()["spent_this_month"] == []
    assert {limit["used"] for limit in other.limits().values()} == {0}


def test_a_refused_submit_is_a_problem_with_a_time(serve: Serve) -> None:
    """429, a stable code, limit and use, Retry-After; a form is refused before its file is read, and leaves nothing."""
    api = serve()
    caller = Caller(api)
    set_limits(api.toolbox, caller.owner, open_jobs=1)
    assert caller.http.post("/v1/jobs", json=URL).status_code == 202
    form = {"file": ("a.wav", io.BytesIO(b"RIFF" * 1000), "audio/wav")}
    for answer in (caller.http.post("/v1/jobs", json=URL), caller.http.post("/v1/jobs/file", files=form)):
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert (answer.json()["limit"], answer.json()["allowed"], answer.json()["used"]) == ("open_jobs", 1, 1)
        assert int(answer.headers["retry-after"]) > 0
    assert caller.limits()["upload_bytes_day"]["used"] == 0


def test_a_form_that_does_not_fit_leaves_nothing(serve: Serve) -> None:
    """More bytes than the day has left: 429 after the last of them, and neither row nor object stays."""
    api = serve()
    caller = Caller(api)
    set_limits(api.toolbox, caller.owner, upload_bytes_day=1000)
    form = {"file": ("a.wav", io.BytesIO(b"RIFF" * 1000), "audio/wav")}
    answer = caller.http.post("/v1/jobs/file", files=form)
    assert (answer.status_code, answer.json()["limit"]) == (429, "upload_bytes_day")
    with api.toolbox.ledger.database.begin() as connection:
        query = f"SELECT count(*) FROM uploads WHERE owner_id = '{caller.owner}'"
        assert connection.exec_driver_sql(query).scalar_one() == 0


def test_too_much_waiting_is_said_with_a_time(serve: Serve) -> None:
    """429 `overloaded`, not a silent pile."""
    caller = Caller(serve(busy_jobs=0))
    answers = [caller.http.post("/v1/jobs", json=URL)]
    wait_until(lambda: answers.append(caller.http.post("/v1/jobs", json=URL)) or answers[-1].is_error, "a refusal")
    answer = answers[-1]
    assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
    assert 5 <= int(answer.headers["retry-after"]) <= 900
