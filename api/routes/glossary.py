"""The owner's names and terms, by which recognition is led and corrected."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from api.deps import Caller, Tools
from api.openapi import problems
from api.schemas import Language, Term, Wire
from pipelines.text.script import base_language
from shared.domain import glossary

MOST_TERMS = 500  # every word is compared with each of them
MOST_SPELLINGS = 10

router = APIRouter(prefix="/v1/glossary", tags=["speakers"])


class TermIn(Wire):
    term: Annotated[Term, Field(description="As it is to be written.", examples=["Przybylski"])]
    sounds_like: Annotated[
        tuple[Term, ...],
        Field(
            max_length=MOST_SPELLINGS,
            description="As it is written by mistake, or its reading: these are always replaced.",
            examples=[["Shibilski"]],
        ),
    ] = ()
    language: Annotated[
        Annotated[Language, AfterValidator(base_language)] | None, Field(description="Only where this is spoken.")
    ] = None


class GlossaryIn(Wire):
    terms: Annotated[tuple[TermIn, ...], Field(max_length=MOST_TERMS, description="All of them; others are dropped.")]

    @classmethod
    def from_domain(cls, terms: tuple[glossary.Term, ...]) -> Self:
        listed = (TermIn(term=t.text, sounds_like=t.sounds_like, language=t.language) for t in terms)
        return cls(terms=tuple(listed))

    def to_domain(self) -> tuple[glossary.Term, ...]:
        return tuple(glossary.Term(t.term, t.sounds_like, t.language) for t in self.terms)


@router.get("", operation_id="getGlossary", summary="Your names and terms", responses=problems())
def get_glossary(caller: Caller, tools: Tools) -> GlossaryIn:
    return GlossaryIn.from_domain(tools.ledger.glossary(caller))


@router.put("", operation_id="setGlossary", summary="Replace your names and terms", responses=problems())
def set_glossary(wanted: GlossaryIn, caller: Caller, tools: Tools) -> GlossaryIn:
    """For recordings from now on; `retry` from transcribe or analyze takes it to earlier ones. A word that was
    corrected says in `heard` what had been recognised."""
    tools.ledger.set_glossary(caller, wanted.to_domain())
    return wanted
