"""The page on metrics and the code say the same."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pipelines.insight import floor, timeline
from pipelines.insight.emotion import analysis as emotion
from pipelines.insight.emotion import turning
from shared.domain.insight import (
    EmotionAnalysis,
    EmotionPoint,
    EmotionTurn,
    Metrics,
    SpeakerEmotion,
    SpeakerMetrics,
    SpeakerProsody,
)
from tests.unit.insight.test_locales import INDICATORS

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3].joinpath("docs", "metrics.md").read_text(encoding="utf-8")
WHOSE = {"start_s", "end_s", "speaker", "time", "segment_id", "quote"}  # moments and owners, not figures
THRESHOLDS = {
    "IPU_JOIN_MS": floor.IPU_JOIN_MS,
    "BACKCHANNEL_MS": floor.BACKCHANNEL_MS,
    "OVERLAP_GRACE_MS": floor.OVERLAP_GRACE_MS,
    "TURN_PAUSE_MS": floor.TURN_PAUSE_MS,
    "REFLECTIVE_MS": timeline.REFLECTIVE_MS,
    "WINDOW_MS": timeline.WINDOW_MS,
    "STEP_MS": timeline.STEP_MS,
    "EMOTION_WINDOW_MS": emotion.WINDOW_MS,
    "LEAST_SPEECH_MS": emotion.LEAST_SPEECH_MS,
    "LEAST_SENTENCES": emotion.LEAST_SENTENCES,
}


@pytest.mark.parametrize("record", [Metrics, SpeakerMetrics, SpeakerProsody])
def test_every_field_has_its_row(record: type) -> None:
    """A definition for each, no row without a field."""
    heading = {
        "Metrics": "## `metrics`",
        "SpeakerMetrics": "### `metrics.per_speaker`",
        "SpeakerProsody": "## `prosody`",
    }
    part = PAGE.split(heading[record.__name__] + "\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| *([^|]*)", part, flags=re.MULTILINE)
    assert {name for name, _ in rows} == {field.name for field in fields(record)}
    assert all(definition.strip() for _, definition in rows)


def test_every_figure_of_feeling_is_named() -> None:
    """Of the whole, of one speaker, of a window and of a turn."""
    part = PAGE.split("## `report.emotion_analysis`\n")[1].split("\n## ")[0]
    records = (EmotionAnalysis, SpeakerEmotion, EmotionPoint, EmotionTurn)
    named = {field.name for record in records for field in fields(record)} - WHOSE
    assert {name for name in named if f"`{name}`" not in part} == set()
    assert str(turning.LEAST_VALENCE_CHANGE) in part
    assert str(turning.LEAST_AROUSAL_CHANGE) in part


def test_thresholds_are_those_of_the_code() -> None:
    """Each constant on the page with its value, and none that does not exist."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", PAGE, flags=re.MULTILINE)
    assert {name: int(value) for name, value in rows} == THRESHOLDS


def test_indicators_are_all_there() -> None:
    """Each belongs to a skill."""
    assert {name for name in INDICATORS if f"`{name}`" not in PAGE} == set()
