"""How texts are compared: spelling is no error, words are."""

import pytest

from bench.corpora import comparable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("en", "Mr. Brown's real-time clock - 5 o’clock!", "mister brown's real time clock five o'clock"),
        ("ja", "「一九六一年」、はい。", "1961年はい"),
        ("zh", "今天開會，好嗎？", "今天开会好吗"),
    ],
)
def test_the_same_said_is_the_same(language: str, written: str, said: str) -> None:
    """Case, punctuation, digits and script are spelling."""
    assert comparable(written, language) == comparable(said, language)


def test_another_word_is_an_error() -> None:
    """What was said differently stays different."""
    assert comparable("ask what you can do", "en") != comparable("ask what you could do", "en")
