"""Words of a verbose reply: spaces and punctuation come back from its text."""

import math
from types import SimpleNamespace

import pytest

from shared.adapters.openai_reply import language_of, words_of

pytestmark = pytest.mark.unit


def reply(text: str, *words: str, language: str = "english") -> SimpleNamespace:
    timed = [SimpleNamespace(word=word, start=float(n), end=n + 0.5) for n, word in enumerate(words)]
    segments = [SimpleNamespace(start=0.0, end=100.0, avg_logprob=-0.25)]
    return SimpleNamespace(text=text, words=timed, segments=segments, language=language)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("So, what's next? I don't know.", ("So", "what's", "next", "I", "don't", "know")),
        ("今日は、元気ですか?", ("今日", "は", "元気", "です", "か")),
        ("No no no.", ("No", "no", "no")),
    ],
)
def test_joining_the_words_gives_the_text(text: str, words: tuple[str, ...]) -> None:
    """Whatever the script, nothing of the text is lost."""
    assert "".join(word.text for word in words_of(reply(text, *words))) == text


def test_a_word_that_the_text_lacks_stands_alone() -> None:
    """Number words beside digits: the reply's own word is kept, and the words around it stay in place."""
    said = words_of(reply("It is 5 o'clock.", "It", "is", "five", "o'clock"))
    assert [word.text for word in said] == ["It", " is", " five", " o'clock."]


def test_times_and_probability() -> None:
    """Each word has the reply's times and the likelihood of the segment around it."""
    first, second = words_of(reply("Yes, please.", "Yes", "please"))
    assert (first.start_s, first.end_s, second.start_s) == (0.0, 0.5, 1.0)
    assert first.probability == pytest.approx(math.exp(-0.25))


@pytest.mark.parametrize(("name", "code"), [("japanese", "ja"), ("English", "en"), ("zh", "zh")])
def test_language_names_become_codes(name: str, code: str) -> None:
    """The reply names the language in English."""
    guess = language_of(reply("", language=name))
    assert guess is not None
    assert guess.code == code


def test_an_unknown_language_is_no_guess() -> None:
    """A name that we do not know is not passed on as a code."""
    assert language_of(reply("", language="klingon")) is None
