"""What a language model may say: good answers made of the very lines it was shown, and ways to spoil them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.language_server import Asked, Reply

_LINE = re.compile(r"^(\(before\) )?\[(\d+)\] [\d:.]+ (\w+): (.*)$", re.MULTILINE)
_FENCED = re.compile(r"<(transcript-[0-9a-f]{12})>\n(.*?)\n</\1>", re.DOTALL)

Answer = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """A line as the model was shown it."""

    number: int
    role: str
    text: str
    before: bool

    def cite(self, quote: str | None = None) -> Answer:
        return {"segment": self.number, "quote": self.text if quote is None else quote}


def shown_lines(asked: Asked) -> list[Shown]:
    fenced = _FENCED.search(asked.user)
    found = _LINE.findall(fenced.group(2) if fenced else "")
    return [Shown(int(number), role, text, bool(before)) for before, number, role, text in found]


def is_coding(asked: Asked) -> bool:
    return "moves" in json.dumps(asked.schema) if asked.schema else "moves:" in asked.system


def good_answer(asked: Asked) -> Answer:
    """What an honest model could say: all of it stands on lines that were shown."""
    lines = [line for line in shown_lines(asked) if not line.before and line.text != "(withheld)"]
    coach = [line for line in lines if line.role == "coach"]
    return coding_of(lines, coach) if is_coding(asked) else judgement_of(lines, coach)


def coding_of(lines: list[Shown], coach: list[Shown]) -> Answer:
    asked = [line for line in coach if line.text.endswith(("?", "？"))]
    promised = [line for line in lines if line.role == "client"][-1:]
    return {
        "moves": [{**line.cite(), "kind": "open_question"} for line in asked],
        "phases": [
            {"segment": lines[0].number, "phase": "goal"},
            {"segment": lines[len(lines) // 2].number, "phase": "reality"},
        ],
        "markers": [{**line.cite(), "marker": "7.1"} for line in asked[:1]],
        "actions": [{**line.cite(), "text": "Talk to the boss", "owner": "client"} for line in promised],
        "notes": [{**line.cite(), "text": "The client feels alone"} for line in promised],
    }


def judgement_of(lines: list[Shown], coach: list[Shown]) -> Answer:
    evidence = [line.cite() for line in coach[:2]]
    skill = {"rationale": "The coach takes up what was said. More silence would help.", "evidence": evidence}
    scores = {"listening": 4, "questioning": 3, "empathy": 2, "feedback": 3}
    advice = {"skill": "empathy", "title": "Stay with the feeling", "text": "Name what you hear before you ask on."}
    return {
        **{name: {**skill, "score": score} for name, score in scores.items()},
        "diagnosis": {
            "key": "facilitator",
            "name": "The patient companion",
            "description": "The client thinks aloud. The coach helps.",
            "evidence": [lines[0].cite()],
        },
        "prescriptions": [{**advice, **lines[-1].cite()}],
        "summary": "The client spoke about the team. A talk with the boss was agreed.",
    }


def honest(asked: Asked) -> str:
    return json.dumps(good_answer(asked), ensure_ascii=False)


def spoiled(spoil: Callable[[Answer, list[Shown]], None]) -> Callable[[Asked], str]:
    """An honest answer, changed before it is sent."""

    def answer(asked: Asked) -> str:
        good = good_answer(asked)
        spoil(good, shown_lines(asked))
        return json.dumps(good, ensure_ascii=False)

    return answer


def when_judging(reply: str | Reply) -> Callable[[Asked], str | Reply]:
    """Codes well, and judges so."""
    return lambda asked: honest(asked) if is_coding(asked) else reply


def when_coding(reply: str | Reply) -> Callable[[Asked], str | Reply]:
    """Judges well, and codes so."""
    return lambda asked: reply if is_coding(asked) else honest(asked)
