"""An owner's names and terms: what a recogniser has never heard of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    text: str  # as it is to be written
    sounds_like: tuple[str, ...] = ()  # as recognisers write it by mistake, or its reading in kana
    language: str | None = None  # ISO 639-1; None: any
