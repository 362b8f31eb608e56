"""Two voices that are one person."""

import numpy as np
import pytest

from pipelines.text.merging import merged
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn

pytestmark = pytest.mark.unit

S1, S2, S3 = (SpeakerId(f"S{number}") for number in (1, 2, 3))


def diarization(*turns: tuple[float, float, SpeakerId]) -> Diarization:
    spoken = tuple(SpeakerTurn(*turn) for turn in turns)
    vectors = {S1: (1.0, 0.0), S2: (0.0, 1.0), S3: (1.0, 0.0)}
    return Diarization(spoken, spoken, (S1, S2, S3), vectors, "model", Provenance("test", "by hand", "1"))


def test_turns_of_one_person_are_joined() -> None:
    """Where the two met within a pause there is one turn; the other's turns stay as they are."""
    spoken = merged(diarization((0, 2, S1), (2.1, 4, S3), (4.5, 5, S2), (5, 6, S3)), {S3: S1})
    assert [(t.start_s, t.end_s, t.speaker) for t in spoken.turns] == [(0, 4, S1), (4.5, 5, S2), (5, 6, S1)]
    assert spoken.speakers == (S1, S2)


def test_exclusive_turns_stay_exclusive() -> None:
    """A short pause between the two is not closed there: somebody else may be in it."""
    spoken = merged(diarization((0, 2, S1), (2, 2.1, S2), (2.1, 4, S3)), {S3: S1})
    assert all(a.end_s <= b.start_s for a, b in zip(spoken.exclusive, spoken.exclusive[1:], strict=False))


def test_the_voice_is_of_both() -> None:
    """By how long each spoke, and of length 1 again."""
    vector = np.array(merged(diarization((0, 3, S1), (3, 4, S2)), {S2: S1}).embeddings[S1])
    assert vector[0] > vector[1] > 0
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_nothing_said_changes_nothing() -> None:
    """The same document, not a copy."""
    spoken = diarization((0, 2, S1))
    assert merged(spoken, {}) is spoken
