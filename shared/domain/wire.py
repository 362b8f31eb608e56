"""The result document as JSON and back, and its JSON schema: the one place where it meets pydantic."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from shared.domain.result import ResultDocument


@cache
def _adapter() -> TypeAdapter[ResultDocument]:
    return TypeAdapter(ResultDocument)


def result_to_dict(document: ResultDocument) -> dict[str, Any]:
    """JSON-ready: times as ISO 8601, enums as their words."""
    plain: dict[str, Any] = _adapter().dump_python(document, mode="json")
    return plain


def result_from_dict(plain: dict[str, Any]) -> ResultDocument:
    """Raises pydantic's ValidationError for what is not a `vibeinsight.result/1` document."""
    return _adapter().validate_python(plain)


def result_schema() -> dict[str, Any]:
    """JSON schema of what `result_to_dict` gives, for OpenAPI."""
    return _adapter().json_schema(mode="serialization")
