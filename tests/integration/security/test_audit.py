"""The audit log: every change by whoever made it, refused tries too, and nobody reads another's."""

from typing import Any

import pytest

from shared.domain.access import AuditEntry, Scope
from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.integration.security.conftest import Caller

pytestmark = pytest.mark.integration

URL_JOB = {"source": {"url": "https://example.com/a.m4a"}}


def _log(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = caller("GET", "/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


def test_a_change_is_written_down_before_it_is_answered(mine: Caller) -> None:
    """Who, what, to which thing, from where, how it ended, and under which request id."""
    answer = mine("POST", "/v1/jobs", json=URL_JOB)
    entry = _log(mine)[0]
    assert entry["action"] == "createJob"
    assert entry["object_id"] == answer.json()["id"]
    assert (entry["outcome"], entry["status"]) == ("ok", 202)
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["address"] == "127.0.0.1"
    key = mine("GET", "/v1/keys").json()["keys"][0]
    assert entry["actor"] == f"key:{key['id']}"


def test_keys_are_written_down_with_the_change_itself(mine: Caller) -> None:
    """Made, rotated and revoked: once each, by the key's own id, and without its secret."""
    made = mine("POST", "/v1/keys", json={"label": "x"}).json()
    rotated = mine("POST", f"/v1/keys/{made['key']['id']}/rotate").json()
    mine("DELETE", f"/v1/keys/{made['key']['id']}")
    entries = _log(mine)
    assert [entry["action"] for entry in entries] == ["revokeKey", "rotateKey", "createKey"]
    assert {entry["object_id"] for entry in entries} == {made["key"]["id"]}
    assert made["secret"] not in str(entries)
    assert rotated["secret"] not in str(entries)


def test_a_refused_try_is_written_down(address: str, toolbox: Toolbox, owner: OwnerId, mine: Caller) -> None:
    """Without the right, and at another owner's thing: in the log of who tried."""
    reader = Caller(address, toolbox.ledger.create_key(owner, "reader", scopes=[Scope.JOBS_READ]).secret)
    reader("POST", "/v1/jobs", json=URL_JOB)
    job = mine("POST", "/v1/jobs", json=URL_JOB).json()["id"]
    other = Caller(address, toolbox.ledger.create_api_key(owner, "all"))
    other("DELETE", f"/v1/jobs/{job}")
    seen = [(entry["action"], entry["outcome"], entry["status"]) for entry in _log(other)]
    assert seen == [("deleteJob", "refused", 404), ("createJob", "refused", 403)]


def test_reading_is_not_written_down(mine: Caller) -> None:
    """The log tells of changes; what was read is in the request log."""
    mine("GET", "/v1/jobs")
    mine("GET", "/v1/keys")
    assert _log(mine) == []


def test_a_user_is_named_by_their_id(user: Caller) -> None:
    """As the issuer of their token knows them."""
    user("POST", "/v1/jobs", json=URL_JOB)
    assert _log(user)[0]["actor"].startswith("user:")


def test_the_log_is_its_owners_alone(mine: Caller, theirs: Caller) -> None:
    """Page by page, newest first, and nothing of anybody else's."""
    for _ in range(5):
        mine("POST", "/v1/jobs", json=URL_JOB)
    first = mine("GET", "/v1/audit", params={"limit": 3}).json()
    rest = mine("GET", "/v1/audit", params={"limit": 3, "before": first["next_before"]}).json()
    assert [len(first["entries"]), len(rest["entries"]), rest["next_before"]] == [3, 2, None]
    ids = [entry["id"] for entry in first["entries"] + rest["entries"]]
    assert ids == sorted(ids, reverse=True)
    assert _log(theirs) == []


def test_entries_of_the_system_are_shown_to_their_owner(toolbox: Toolbox, owner: OwnerId) -> None:
    """What was not asked for by a request, such as the end of a retention, with what else is to be known."""
    entry = AuditEntry(
        actor="system", action="retention", outcome="ok", owner_id=owner, object_id="x", details={"objects": 3}
    )
    toolbox.ledger.audit(entry)
    assert toolbox.ledger.audit_log(owner).rows[0].entry == entry
