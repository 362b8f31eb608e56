"""The shape of a language's rules. Each rule is a regular expression over one sentence, so anybody can check it.

Rules read words, not meaning: they were written for coaching talk, and what they count is shown with low confidence.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_MARKED = re.compile(r"[?？][\"'”’」』）)]*\s*$")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'"})


class QuestionKind(StrEnum):
    OPEN = "open"  # asks for an account: what, how, why, "tell me about"
    CLOSED = "closed"  # asks for yes, no, a name, a number or a choice


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """`re.search` is applied to the sentence, lower-cased and with straight apostrophes."""

    language: str  # ISO 639-1
    unmarked_question: re.Pattern[str]  # a question although no question mark was written
    no_question: re.Pattern[str]  # "really?", そうですか: written like a question, said as a nod
    invitation: re.Pattern[str]  # "tell me more": an open question in the form of a request
    open: re.Pattern[str]
    closed: re.Pattern[str]  # wins over `open`
    filler: re.Pattern[str]
    reflection: re.Pattern[str]  # says back what the other said or feels
    feeling: re.Pattern[str]  # names a feeling
    affirmation: re.Pattern[str]  # names a strength, an effort, a success
    commitment: re.Pattern[str]  # the speaker says what they will do
    when: re.Pattern[str]  # … and by when or how often
    farewell: re.Pattern[str]  # "see you next week": no commitment to act

    def question_kind(self, sentence: str) -> QuestionKind | None:
        text = normalised(sentence)
        if self.no_question.search(text):
            return None
        if self.invitation.search(text):
            return QuestionKind.OPEN
        if not (is_marked(text) or self.unmarked_question.search(text)):
            return None
        is_open = self.open.search(text) and not self.closed.search(text)
        return QuestionKind.OPEN if is_open else QuestionKind.CLOSED

    def count_fillers(self, text: str) -> int:
        return len(self.filler.findall(normalised(text)))

    def is_reflection(self, sentence: str) -> bool:
        text = normalised(sentence)
        return bool(self.reflection.search(text)) and self.question_kind(sentence) is not QuestionKind.OPEN

    def names_feeling(self, sentence: str) -> bool:
        return bool(self.feeling.search(normalised(sentence)))

    def is_affirmation(self, sentence: str) -> bool:
        return bool(self.affirmation.search(normalised(sentence))) and not is_marked(sentence)

    def is_commitment(self, sentence: str) -> bool:
        text = normalised(sentence)
        promised = self.commitment.search(text) and self.when.search(text)
        return bool(promised) and not self.farewell.search(text) and self.question_kind(sentence) is None


def is_marked(sentence: str) -> bool:
    """Ends in a question mark: the one rule that holds in every language."""
    return bool(_MARKED.search(sentence))


def normalised(sentence: str) -> str:
    return sentence.strip().lower().translate(_APOSTROPHES)


def pattern(*alternatives: str) -> re.Pattern[str]:
    """One expression of several."""
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives))
