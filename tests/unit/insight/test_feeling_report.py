"""The report tells of feeling and voices in words, and every figure leads to its definition."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.insight.report import render_report
from pipelines.insight.sound import Listening
from pipelines.stages.analyze import analyze
from pipelines.stages.synthesize import synthesize
from shared.domain.insight import Metrics, SpeakerMetrics
from shared.domain.job import JobOptions
from shared.domain.wire import result_to_dict
from tests.insight_samples import (
    COACHING,
    COACHING_JA,
    COACHING_ZH,
    NOW,
    Line,
    diarization_of,
    known_of,
    prepared_of,
    result_of,
    transcription_of,
)

pytestmark = pytest.mark.unit

SAMPLES = {"en": COACHING, "ja": COACHING_JA, "zh": COACHING_ZH}
TURNING: tuple[Line, ...] = (
    ("S1", 0, 4, "Where shall we begin?"),
    ("S2", 5, 20, "I am sad and tired. It is a terrible <mess>. I am afraid."),
    ("S1", 20.5, 24, "What else?"),
    ("S2", 41, 58, "Now I am happy. I feel calm and proud. It was great."),
    ("S1", 60, 66, "Good."),
)


def _heard(lines: tuple[Line, ...], language: str = "en") -> dict[str, Any]:
    """With a voice of 120 Hz all the way."""
    seconds = np.arange(72 * 16_000) / 16_000
    sound = (0.3 * np.sin(2 * np.pi * 120 * seconds)).astype(np.float32)
    analysis = analyze(
        options=JobOptions(roles=("coach", "client")),
        prepared=prepared_of(lines, language),
        transcriptions=[transcription_of(lines, language)],
        diarization=diarization_of(lines),
        listening=Listening(sound),
    )
    known = replace(known_of(lines, language), analysis=analysis)
    return result_to_dict(synthesize(known, synthesizer=None, workdir=Path(), now=NOW).document)


def _page(result: dict[str, Any], format: str = "html") -> str:
    return render_report(result, format)[0].decode()


@pytest.mark.parametrize("language", SAMPLES)
def test_every_figure_leads_to_its_definition(language: str) -> None:
    """One click: each link of the page ends at a definition that is there, in the report's language."""
    page = _page(_heard(SAMPLES[language], language))
    links, definitions = set(re.findall(r'href="#(d-\w+)"', page)), set(re.findall(r'id="(d-\w+)"', page))
    assert len(links) > 25
    assert links <= definitions


def test_no_figure_of_the_document_is_without_definition() -> None:
    """Each number in metrics, of all and of one, has an entry on the page."""
    page = _page(_heard(COACHING))
    of_all = {f.name for f in fields(Metrics)} - {"per_speaker", "word_unit", "timeline"}
    columns = {"speaking_s": "speaking", "words": "word", "words_per_minute": "word_pace", "longest_turn_s": "longest"}
    columns["open_questions"] = "questions"
    of_one = {columns.get(f.name, f.name) for f in fields(SpeakerMetrics)}
    assert {name for name in of_all | of_one if f'id="d-{name}"' not in page} == set()


def test_feeling_is_told_with_its_limits() -> None:
    """Shares with what they rest on, the turn with its quotation, escaped, and that it is no knowledge of feelings."""
    page = _page(_heard(TURNING))
    assert "low confidence" in page
    assert "Brighter: the words turn from unpleasant to pleasant." in page
    assert "Now I am happy." in page
    assert re.search(r"words of feeling in \d of \d sentences · confidence \d+ %", page)
    assert "<mess>" not in page


def test_voices_are_told() -> None:
    """A voice of 120 Hz is shown as such, in the page and in Markdown."""
    for format in ("html", "md"):
        page = _page(_heard(COACHING), format)
        assert "120 Hz" in page
        assert "How it sounded" in page


def test_unheard_voices_are_not_shown() -> None:
    """No table without figures; the reason is at the end."""
    page = _page(result_of(COACHING))
    assert "How it sounded" not in page
    assert "the voices could not be measured" in page


def test_older_documents_are_shown_still() -> None:
    """A result made before voices were measured has neither field, and a report all the same."""
    result = result_of(COACHING)
    del result["prosody"]
    result["report"]["emotion_analysis"] = {"coach": None, "client": None, "timeline": []}
    assert "Conversation report" in _page(result)
