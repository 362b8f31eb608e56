"""Every route of the API, tried by its owner, by another owner, by a user and by nobody.

The routes are asked of the app itself: one with an id that nobody here knows how to make, or with a body that nobody
here knows how to fill, fails until it is added to the tables.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from api.app import create_app
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.integration.security.conftest import Caller

pytestmark = pytest.mark.integration

# For everybody: health for machines, and what the API is.
PUBLIC = {"/", "/docs", "/docs/start.js", "/docs/{name}", "/openapi.json"} | {
    "/livez",
    "/readyz",
    "/health",
    "/metrics",
}
URL_JOB = {"source": {"url": "https://example.com/a.m4a"}}
UPLOAD = {"filename": "a.wav", "bytes": 3}
WEBHOOK = {"url": "https://example.com/hook"}

# What a request needs in its body to come as far as the question whose thing it is.
BODIES: dict[str, Any] = {
    "completeUpload": {},
    "correctSpeakers": {"swap": ["S1", "S2"]},
    "changeWebhook": {"description": "x"},
    "holdJob": {"reason": "x"},
}
# Ids that come in a body instead of the path, each with its own test or with no meaning beyond the caller's rows.
KNOWN_BODY_IDS = {"upload_id", "s3_key", "session_id", "user_id", "segment_id", "key_id", "job_id", "request_id"} | {
    "multipart_id",
    "object_id",
    "event_id",
}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: str

    @property
    def ids(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def filled(self, ids: dict[str, str]) -> str:
        return re.sub(r"{(\w+)}", lambda found: ids[found[1]], self.path)


def _routes() -> list[Route]:
    app = create_app(Toolbox(Settings()))
    found = [
        Route(method, str(context.path), str(getattr(context, "operation_id", None)))
        for context in iter_route_contexts(app.routes)
        for method in sorted(set(context.methods or ()) - {"HEAD", "OPTIONS"})
    ]
    return [route for route in found if route.path not in PUBLIC]


ROUTES = _routes()
WITH_IDS = [route for route in ROUTES if route.ids]


def _created(caller: Caller, path: str, body: Any) -> dict[str, Any]:
    answer = caller("POST", path, json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _job(caller: Caller) -> str:
    return str(_created(caller, "/v1/jobs", URL_JOB)["id"])


def _sample(caller: Caller) -> str:
    """A completed upload; what is in it is heard by nobody."""
    upload = _created(caller, "/v1/uploads", UPLOAD)
    httpx.put(upload["url"], content=b"abc", headers=upload["headers"]).raise_for_status()
    return str(_created(caller, f"/v1/uploads/{upload['id']}/complete", {})["id"])


def _voice(caller: Caller) -> str:
    return str(_created(caller, "/v1/voices", {"label": "x", "upload_id": _sample(caller)})["id"])


def _delivery(caller: Caller) -> str:
    webhook = _created(caller, "/v1/webhooks", WEBHOOK)["id"]
    return str(_created(caller, f"/v1/webhooks/{webhook}/test", None)["id"])


MAKERS: dict[str, Callable[[Caller], str]] = {
    "job_id": _job,
    "upload_id": lambda caller: str(_created(caller, "/v1/uploads", UPLOAD)["id"]),
    "key_id": lambda caller: str(_created(caller, "/v1/keys", {"label": "made"})["key"]["id"]),
    "webhook_id": lambda caller: str(_created(caller, "/v1/webhooks", WEBHOOK)["id"]),
    "delivery_id": _delivery,
    "voice_id": _voice,
}


def _made(route: Route, caller: Caller) -> dict[str, str]:
    unknown = set(route.ids) - set(MAKERS)
    assert not unknown, f"{route.method} {route.path}: say in MAKERS how to make {unknown}"
    return {name: MAKERS[name](caller) for name in route.ids}


def _ask(caller: Caller, route: Route, ids: dict[str, str]) -> httpx.Response:
    return caller(route.method, route.filled(ids), json=BODIES.get(route.operation))


def _named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", ROUTES, ids=_named)
def test_nobody_gets_in(nobody: Caller, route: Route) -> None:
    """Without a key every call but the public ones says 401, before it looks at anything else."""
    ids = {name: str(uuid.uuid4()) for name in route.ids}
    answer = _ask(nobody, route, ids)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", WITH_IDS, ids=_named)
def test_another_owners_thing_is_not_there(mine: Caller, theirs: Caller, user: Caller, route: Route) -> None:
    """404 for another owner's key and for a user's token, word for word as for an id that never was; it is mine."""
    ids = _made(route, mine)
    for stranger in (theirs, user):
        answer, unknown = _ask(stranger, route, ids), {name: str(uuid.uuid4()) for name in ids}
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
        never = _ask(stranger, route, unknown).json()["detail"]
        assert _without_ids(answer.json()["detail"], ids) == _without_ids(never, unknown)
    if not route.path.endswith("/events"):  # the stream of a job that waits has no end
        answer = _ask(mine, route, ids)
        known = answer.status_code not in (401, 403, 422) and answer.status_code < 500
        assert known, f"{route.method} {route.path}: give {route.operation} a body in BODIES: {answer.text}"
        assert answer.status_code != 404 or "no spoken summary" in answer.text


def _without_ids(text: str, ids: dict[str, str]) -> str:
    for value in ids.values():
        text = text.replace(value, "…")
    return text


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET" and not route.ids], ids=_named)
def test_no_list_shows_what_is_another_owners(mine: Caller, theirs: Caller, route: Route) -> None:
    """Whatever one owner has, another's lists do not tell of it."""
    made = {make(mine) for make in (_job, MAKERS["upload_id"], MAKERS["key_id"], _delivery)}
    answer = theirs(route.method, route.path)
    assert answer.is_success or answer.status_code == 404, answer.text  # of a thing there is one of, and not yet
    assert [thing for thing in made if thing in answer.text] == []


def test_every_id_in_a_body_is_known() -> None:
    """An id that a request carries in its body opens another's thing as well as one in its path."""
    document = create_app(Toolbox(Settings())).openapi()
    bodies = re.findall(r"#/components/schemas/(\w+In)\b", repr(document["paths"]))
    named = {
        field
        for name in bodies
        for field in document["components"]["schemas"][name].get("properties", {})
        if field.endswith(("_id", "_ids", "_key", "_keys"))
    }
    assert named <= KNOWN_BODY_IDS


def test_nothing_is_made_from_what_is_anothers(mine: Caller, theirs: Caller, user: Caller) -> None:
    """No job, no batch and no voice, by an upload's id or by a job's; the bytes are the owner's alone."""
    upload, job = _sample(mine), _job(mine)
    tries = (
        ("/v1/jobs", {"source": {"upload_id": upload}}, 404),
        ("/v1/jobs/batch", {"items": [{"source": {"upload_id": upload}}]}, 422),
        ("/v1/voices", {"label": "x", "upload_id": upload}, 404),
        ("/v1/voices", {"label": "x", "job_id": job, "speaker": "S1"}, 404),
    )
    for stranger in (theirs, user):
        for path, body, status in tries:
            assert stranger("POST", path, json=body).status_code == status, path
    assert mine("POST", "/v1/jobs", json={"source": {"upload_id": upload}}).status_code == 202


def test_no_object_is_read_by_its_key(mine: Caller, theirs: Caller, user: Caller) -> None:
    """Whoever knows an upload's key from its signed address gets nothing by it; its owner does."""
    upload = _created(mine, "/v1/uploads", UPLOAD)
    httpx.put(upload["url"], content=b"abc", headers=upload["headers"]).raise_for_status()
    key = "uploads/" + upload["url"].partition("?")[0].partition("/uploads/")[2]
    body = {"source": {"s3_key": key}}
    for stranger in (theirs, user):
        assert stranger("POST", "/v1/jobs", json=body).status_code == 422
    assert mine("POST", "/v1/jobs", json=body).status_code == 202
