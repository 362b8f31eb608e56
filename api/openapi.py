"""The document at /openapi.json: which problems each call can answer with, and what the whole is about."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from api.schemas import Problem, ProgressOut
from shared.domain.result import ResultDocument

TITLE = "VibeInsight"
DESCRIPTION = """
Recordings of conversations in, coaching insight out.

1. Send a recording: `curl -H "Authorization: Bearer $KEY" -F file=@meeting.m4a $API/v1/jobs/file`, or a direct upload
   (`POST /v1/uploads`), or an https address (`POST /v1/jobs`).
2. Follow the job: `GET /v1/jobs/{id}`, or its event stream.
3. Read the result: as one document, as a transcript (SRT, VTT, DOCX …), as a report.

Every error is `application/problem+json` with a stable `code`.
"""
TAGS = [
    {"name": "jobs", "description": "A recording and what becomes of it."},
    {"name": "results", "description": "What a finished job left."},
    {"name": "speakers", "description": "Who is who: corrections, and voices that are known."},
    {"name": "uploads", "description": "Large recordings, sent directly to the object store."},
    {"name": "keys", "description": "API keys: what each may do, how long, and when it was last used."},
    {"name": "owner", "description": "What you may use, what you have used, and what it cost."},
    {"name": "audit", "description": "Who did what, when, from where."},
    {"name": "owner", "description": "What is kept of yours and how long, legal holds, deletion of everything."},
    {"name": "webhooks", "description": "Who is told when a job has ended, and what came of it."},
    {"name": "webhooks in", "description": "For services that start jobs for their own users."},
    {"name": "health", "description": "For the machines that watch us. No key needed."},
]
_MEANING = {
    400: "The request could not be read.",
    401: "No API key, or one that is not valid.",
    403: "The key lacks the scope that this needs.",
    404: "There is no such thing of yours.",
    408: "The client stopped sending.",
    409: "Not in this state, or the Idempotency-Key came with another body.",
    410: "It has been deleted; `code` and `deleted_at` say what and when.",
    413: "More bytes than are taken.",
    416: "The range lies behind the end.",
    402: "The cap on what providers may cost is reached.",
    422: "A field or the recording's source is not acceptable; `code` and `errors` say which and why.",
    429: "More than you may use now, or than can begin soon; Retry-After says when to come back.",
    503: "A part that is needed does not answer; try again.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int, key: bool = True) -> Responses:
    """The `responses` of a route. Every call with a key can also say 401, 403, 429 and 503."""
    every = {*statuses, 422, 503, *((401, 403, 429) if key else ())}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANING[status], "content": {"application/problem+json": {"schema": schema}}}
        for status in sorted(every)
    }


_OF_EVERY_BODY = problems(400, 413, key=False)


def _say_of_bodies(paths: dict[str, Any]) -> None:
    """Wherever there is a body it may be unreadable, or too long: before a route has seen it."""
    for operation in (operation for path in paths.values() for operation in path.values()):
        if "requestBody" in operation:
            answers = operation["responses"]
            answers |= {str(status): _OF_EVERY_BODY[status] for status in (400, 413) if str(status) not in answers}


def _extra_schemas() -> dict[str, Any]:
    """Bodies that the framework does not see, because their routes answer with finished bytes."""
    template = "#/components/schemas/{model}"
    made = {
        "Problem": Problem.model_json_schema(ref_template=template),
        "ProgressOut": ProgressOut.model_json_schema(ref_template=template),
        "ResultDocument": TypeAdapter(ResultDocument).json_schema(ref_template=template),
    }
    parts: dict[str, Any] = {}
    for schema in made.values():
        parts |= schema.pop("$defs", {})
    return parts | made


def install_openapi(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
            )
            made["components"]["schemas"] |= _extra_schemas()
            _say_of_bodies(made["paths"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
