"""Every refusal and failure leaves as problem+json (RFC 9457) with a stable `code`, whatever raised it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.domain.errors import RequestError, Unauthorized, VibeInsightError

RETRY_AFTER_S = 5  # about as long as a fail-over of the database or a restart of a part takes

_RESERVED = frozenset({"type", "title", "status", "detail", "code", "instance", "request_id"})
_CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 408: "upload_stalled", 413: "payload_too_large"}

log = structlog.get_logger(__name__)


class UploadStalled(RequestError):
    """The client stopped sending in the middle of a file."""

    code, http_status = "upload_stalled", 408


_CLOSE = {"Connection": "close"}
_END = {408: _CLOSE, 413: _CLOSE}  # what is still to come of the body is not read


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    extra = {name: value for name, value in (more or {}).items() if name not in _RESERVED}
    body = {
        "type": f"urn:vibeinsight:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
        **jsonable_encoder(extra, custom_encoder={bytes: lambda _: None}),
    }
    return ProblemResponse(body, status_code=status, headers={**(headers or {}), **_END.get(status, {})})


def internal_error(request: Request) -> ProblemResponse:
    detail = "Something broke on our side. The log has it under this request id; try again or tell the operator."
    return problem(request, status=500, code="internal_error", detail=detail)


def _known(request: Request, error: VibeInsightError) -> ProblemResponse:
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    retry_after_s = _retry_after_s(error)
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if error.http_status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        headers["Connection"] = "close"  # what is still to come of the body is not read
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", code=error.code, error=error.message, exc_info=error)
    return problem(
        request,
        status=error.http_status,
        code=error.code,
        detail=error.message,
        more=error.details,
        headers=headers,
    )


def _retry_after_s(error: VibeInsightError) -> int | None:
    """What the error itself knows, else a guess where another try can help."""
    known = error.details.get("retry_after_s")
    if isinstance(known, int | float):
        return max(1, ceil(known))
    return RETRY_AFTER_S if error.http_status == HTTPStatus.SERVICE_UNAVAILABLE else None


def field_errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Pydantic's findings by field, without the values: those may be addresses with signatures."""
    return [{"field": _field(error["loc"]), "message": _sentence(error["msg"])} for error in errors]


def _field(place: Sequence[str | int]) -> str:
    """`("body", "source", "url")` is `source.url` to the caller."""
    inner = place[1:] if len(place) > 1 and place[0] in ("body", "query", "path", "header") else place
    return ".".join(str(step) for step in inner)


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
    return invalid(request, field_errors(error.errors()))


def invalid(request: Request, errors: list[dict[str, str]]) -> ProblemResponse:
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return problem(request, status=422, code="invalid_input", detail=detail, more={"errors": errors})


def _http(request: Request, error: HTTPException) -> ProblemResponse:
    code = _CODE_OF_STATUS.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.url.path}; GET /openapi.json lists what there is."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not answer {request.method}."
    return problem(request, status=error.status_code, code=code, detail=detail, headers=error.headers)


def _gone(request: Request, error: ClientDisconnect) -> ProblemResponse:
    """Nobody reads this; it keeps a hung-up client out of the error log."""
    return problem(request, status=400, code="client_gone", detail="The client closed the connection.")


def install_error_handlers(app: FastAPI) -> None:
    """Unknown exceptions are the observing middleware's, which also logs them."""
    app.add_exception_handler(VibeInsightError, _known)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _gone)  # type: ignore[arg-type]
