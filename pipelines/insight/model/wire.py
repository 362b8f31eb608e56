"""What the model is asked to answer: pydantic shapes, their JSON schema for the provider, and the reading of an answer.

A shape is as narrow as providers' schemas allow. What it cannot say (a quotation is in its segment) is checked later.
"""

import json
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.insight.model.prompts import prompts
from shared.domain.errors import AnswerInvalid

MOST_FAULTS = 5  # named to the model for its repair

MARKERS = tuple(prompts("en").markers)


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Evidence(_Shape):
    segment: int
    quote: str


class Move(Evidence):
    kind: Literal["open_question", "closed_question", "simple_reflection", "complex_reflection", "affirmation"]


class PhaseChange(_Shape):
    segment: int
    phase: Literal["goal", "reality", "options", "will", "other"]


class Marker(Evidence):
    marker: str = Field(json_schema_extra={"enum": list(MARKERS)})


class Action(Evidence):
    text: str
    owner: Literal["coach", "client"]


class Note(Evidence):
    text: str


class Coding(_Shape):
    """Of one stretch."""

    moves: list[Move] = Field(max_length=200)
    phases: list[PhaseChange] = Field(max_length=40)
    markers: list[Marker] = Field(max_length=40)
    actions: list[Action] = Field(max_length=20)
    notes: list[Note] = Field(max_length=12)


class SkillAnswer(_Shape):
    rationale: str  # before the score: what is written first, weighs
    evidence: list[Evidence] = Field(max_length=6)
    score: int = Field(ge=1, le=5)


class DiagnosisAnswer(_Shape):
    key: Literal["directive", "hurried", "questioner", "quiet", "facilitator", "balanced"]
    name: str
    description: str
    evidence: list[Evidence] = Field(max_length=4)


class PrescriptionAnswer(Evidence):
    skill: Literal["listening", "questioning", "empathy", "feedback"]
    title: str
    text: str


class Judgement(_Shape):
    """Of the whole conversation."""

    listening: SkillAnswer
    questioning: SkillAnswer
    empathy: SkillAnswer
    feedback: SkillAnswer
    diagnosis: DiagnosisAnswer
    prescriptions: list[PrescriptionAnswer] = Field(max_length=6)
    summary: str


Shape = TypeVar("Shape", bound=BaseModel)


@cache
def schema_of(shape: type[BaseModel]) -> dict[str, Any]:
    """In the dialect that strict modes take: nothing optional, nothing beside, no titles."""
    plain: dict[str, Any] = _strict(shape.model_json_schema())
    return plain


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _strict(value) for key, value in node.items() if not _is_comment(key, value)}
    if kept.get("type") == "object":
        kept |= {"additionalProperties": False, "required": list(kept["properties"])}
    return kept


def _is_comment(key: str, value: Any) -> bool:
    """The keyword, not a property of that name."""
    return key in ("title", "description") and isinstance(value, str)


def read_answer(shape: type[Shape], text: str) -> Shape:
    """Raises AnswerInvalid, with what is wrong for the model's one repair."""
    try:
        return shape.model_validate_json(_bare(text))
    except ValidationError as error:
        raise AnswerInvalid(f"The language model's answer does not follow the schema: {_faults(error)}") from None


def _bare(text: str) -> str:
    """Models without schemas like to fence their JSON, and some put a word before it."""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end else text


def _faults(error: ValidationError) -> str:
    """Places and kinds alone: the values may hold what somebody said."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    named = [f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['type']}" for fault in found]
    more = f", and {len(named) - MOST_FAULTS} more" if len(named) > MOST_FAULTS else ""
    return json.dumps(named[:MOST_FAULTS])[1:-1] + more
