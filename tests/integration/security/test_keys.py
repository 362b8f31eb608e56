"""Keys: what each may do, how long, and how it ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.key_use import KeyUse
from shared.domain.access import OWNER_SCOPES, Scope
from shared.domain.errors import Conflict, NotFound, Unauthorized
from shared.domain.ids import OwnerId
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of
from tests.integration.security.conftest import Caller

pytestmark = pytest.mark.integration

URL_JOB = {"source": {"url": "https://example.com/a.m4a"}}
UPLOAD = {"filename": "a.wav", "bytes": 3}


@pytest.fixture
def with_scopes(address: str, toolbox: Toolbox, owner: OwnerId) -> Callable[..., Caller]:
    """Somebody whose key has these scopes alone."""
    return lambda *scopes: Caller(address, toolbox.ledger.create_key(owner, "few", scopes=scopes).secret)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body", "status"),
    [
        (Scope.JOBS_READ, "GET", "/v1/jobs", None, 200),
        (Scope.JOBS_WRITE, "POST", "/v1/jobs", URL_JOB, 202),
        (Scope.UPLOADS_WRITE, "POST", "/v1/uploads", UPLOAD, 201),
        (Scope.OWNER_ADMIN, "GET", "/v1/keys", None, 200),
        (Scope.OWNER_ADMIN, "GET", "/v1/audit", None, 200),
    ],
)
def test_a_scope_opens_its_door_alone(
    with_scopes: Callable[..., Caller], scope: Scope, method: str, path: str, body: Any, status: int
) -> None:
    """The one scope suffices; all the others together do not."""
    assert with_scopes(scope)(method, path, json=body).status_code == status
    refused = with_scopes(*(set(Scope) - {scope}))(method, path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert scope in refused.json()["detail"]


def test_a_key_is_shown_once(mine: Caller) -> None:
    """The answer to its making holds the secret; no list does, and the ledger does not."""
    made = mine("POST", "/v1/keys", json={"label": "laptop", "expires_in_days": 30}).json()
    listed = mine("GET", "/v1/keys")
    assert made["secret"].startswith("vi_")
    assert made["secret"] not in listed.text
    assert [key["label"] for key in listed.json()["keys"]] == ["laptop", "mine"]
    assert Caller(mine.address, made["secret"])("GET", "/v1/jobs").status_code == 200


def test_no_key_makes_a_stronger_one(with_scopes: Callable[..., Caller], mine: Caller) -> None:
    """Neither by asking for more scopes nor by rotating a stronger key; `operator` is for nobody here."""
    weak = with_scopes(Scope.OWNER_ADMIN)
    assert weak("POST", "/v1/keys", json={"label": "x", "scopes": ["jobs:read"]}).status_code == 403
    assert mine("POST", "/v1/keys", json={"label": "x", "scopes": ["operator"]}).status_code == 403
    with_scopes(*OWNER_SCOPES)
    strong = next(key for key in weak("GET", "/v1/keys").json()["keys"] if len(key["scopes"]) > 1)
    assert weak("POST", f"/v1/keys/{strong['id']}/rotate").status_code == 403


def test_a_rotated_key_has_two_secrets_for_a_while(toolbox: Toolbox, owner: OwnerId) -> None:
    """The old one lives through the grace and no longer; a second rotation ends the first at once."""
    ledger = toolbox.ledger
    first = ledger.create_key(owner, "rotated")
    second = ledger.rotate_key(owner, first.key.id, grace=timedelta(hours=1))
    assert second.key.id == first.key.id
    assert ledger.owner_of_key(first.secret) == ledger.owner_of_key(second.secret) == owner
    third = ledger.rotate_key(owner, first.key.id, grace=timedelta())
    assert ledger.owner_of_key(third.secret) == owner
    for ended in (first.secret, second.secret):
        with pytest.raises(Unauthorized):
            ledger.owner_of_key(ended)


def test_a_key_is_rotated_over_the_api(mine: Caller) -> None:
    """A key may rotate itself; with no grace the old secret ends with the answer."""
    key = mine("GET", "/v1/keys").json()["keys"][0]
    fresh = mine("POST", f"/v1/keys/{key['id']}/rotate", json={"grace_s": 0}).json()["secret"]
    assert mine("GET", "/v1/keys").status_code == 401
    assert Caller(mine.address, fresh)("GET", "/v1/keys").status_code == 200


def test_a_revoked_key_ends_at_once(mine: Caller) -> None:
    """Both of its secrets; and it can neither be rotated nor come back."""
    made = mine("POST", "/v1/keys", json={"label": "lost"}).json()
    rotated = mine("POST", f"/v1/keys/{made['key']['id']}/rotate").json()
    revoked = mine("DELETE", f"/v1/keys/{made['key']['id']}")
    assert revoked.json()["revoked_at"] is not None
    assert mine("DELETE", f"/v1/keys/{made['key']['id']}").json()["revoked_at"] == revoked.json()["revoked_at"]
    for secret in (made["secret"], rotated["secret"]):
        assert Caller(mine.address, secret)("GET", "/v1/jobs").status_code == 401
    assert mine("POST", f"/v1/keys/{made['key']['id']}/rotate").status_code == 409


def test_an_expired_key_says_so(toolbox: Toolbox, owner: OwnerId) -> None:
    """Its holder should make a new one, not look for a mistake."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(Unauthorized, match="expired"):
        toolbox.ledger.principal_of_key(toolbox.ledger.create_key(owner, "old", expires_at=past).secret)


def test_last_use_is_written_beside_the_requests(toolbox: Toolbox, owner: OwnerId) -> None:
    """However often a key is used, one write tells it, and a key that was not used is left alone."""
    used, unused = (toolbox.ledger.create_key(owner, label).key for label in ("used", "unused"))
    use = KeyUse(toolbox.ledger)
    for _ in range(1000):
        use.note(used.id)
    assert all(key.last_used_at is None for key in toolbox.ledger.list_keys(owner))
    use.write()
    last = {key.id: key.last_used_at for key in toolbox.ledger.list_keys(owner)}
    assert last[used.id] is not None
    assert last[unused.id] is None


def test_keys_are_their_owners_alone(toolbox: Toolbox, owner: OwnerId) -> None:
    """Another owner can neither rotate nor revoke one; the operator can."""
    key, stranger = toolbox.ledger.create_key(owner, "mine").key, toolbox.ledger.create_owner("stranger")
    for change in (toolbox.ledger.rotate_key, toolbox.ledger.revoke_key):
        with pytest.raises(NotFound):
            change(stranger, key.id)
    assert toolbox.ledger.revoke_key(None, key.id).revoked_at is not None
    with pytest.raises(Conflict):
        toolbox.ledger.rotate_key(None, key.id)


def test_the_operator_makes_the_first_key(toolbox: Toolbox, address: str) -> None:
    """On an empty machine, from the command line: made, used, revoked, and all of it in the audit log."""
    made = _command(toolbox, "create", "--label", "first", "--scopes", "jobs:read,operator")
    assert made["scopes"] == ["jobs:read", "operator"]
    assert Caller(address, made["secret"])("GET", "/v1/jobs").status_code == 200
    assert _command(toolbox, "revoke", made["id"])["revoked_at"] is not None
    assert Caller(address, made["secret"])("GET", "/v1/jobs").status_code == 401
    page = toolbox.ledger.audit_log(OwnerId(made["owner_id"]))
    assert [row.entry.action for row in page.rows] == ["revokeKey", "createKey"]
    assert {row.entry.actor for row in page.rows} == {"operator"}


def _command(toolbox: Toolbox, *arguments: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "cli", "keys", *arguments, "--json"],
        env=environment_of(toolbox.settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)
