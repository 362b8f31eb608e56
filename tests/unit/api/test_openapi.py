"""The description of the API, which clients are generated from."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from api import schemas
from api.app import create_app
from shared.settings import Settings
from shared.toolbox import Toolbox

pytestmark = pytest.mark.unit

OPERATIONS = {
    "getUsage",
    "cancelJob",
    "correctSpeakers",
    "deleteVoice",
    "enrolVoice",
    "enrolVoiceFromFile",
    "getGlossary",
    "getSpeakers",
    "getVoice",
    "listVoices",
    "setGlossary",
    "createJobBatch",
    "getPreferences",
    "putPreferences",
    "changeWebhook",
    "createWebhook",
    "deleteAudio",
    "deleteWebhook",
    "eraseOwner",
    "getDelivery",
    "getErasure",
    "getKept",
    "getOwnerHold",
    "getRetention",
    "getWebhook",
    "holdJob",
    "holdOwner",
    "listDeliveries",
    "listWebhooks",
    "pauseWebhook",
    "redeliver",
    "releaseJob",
    "releaseOwner",
    "resumeWebhook",
    "rotateSigningSecret",
    "rotateWebhook",
    "setRetention",
    "testWebhook",
    "completeUpload",
    "createJob",
    "createJobFromFile",
    "createKey",
    "createUpload",
    "deleteJob",
    "followJob",
    "getAudio",
    "getJob",
    "getReport",
    "getResult",
    "getSummaryAudio",
    "getTranscript",
    "health",
    "isAlive",
    "isReady",
    "listAudit",
    "listJobs",
    "listKeys",
    "metrics",
    "processAudio",
    "retryJob",
    "revokeKey",
    "rotateKey",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Made without a server in reach."""
    made: dict[str, Any] = create_app(Toolbox(Settings())).openapi()
    return made


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((path, operation) for path, calls in document["paths"].items() for operation in calls.values())


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    """Generated clients call their functions by these names: a change here breaks them."""
    assert sorted(operation["operationId"] for _, operation in _operations(document)) == sorted(OPERATIONS)


def test_every_call_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    """A summary, a tag that is explained, and problem+json for every error of the calls that need a key."""
    explained = {tag["name"] for tag in document["tags"]}
    for path, operation in _operations(document):
        assert operation["summary"], path
        assert set(operation["tags"]) <= explained, path
        if operation.get("security"):
            failures = {int(status): told for status, told in operation["responses"].items() if int(status) >= 400}
            assert {401, 422, 503} <= set(failures), path
            assert all("application/problem+json" in told["content"] for told in failures.values()), path


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    """The result document and the problems are spliced in by hand: nothing they name may be missing."""
    known = document["components"]["schemas"]
    named = set(re.findall(r'#/components/schemas/([^"\']+)', repr(document)))
    assert named <= set(known)
    assert {"ResultDocument", "Problem", "ProgressOut"} <= named
    assert all(re.fullmatch(r"[\w.-]+", name) for name in (*known, *document["components"]["securitySchemes"]))


def test_every_field_is_described() -> None:
    """Who reads the description alone can use the API."""
    models = [model for _, model in inspect.getmembers(schemas, inspect.isclass) if issubclass(model, BaseModel)]
    silent = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == []
