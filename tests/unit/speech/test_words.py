"""Words out of tokens, alignments and voice activity."""

from types import SimpleNamespace

import pytest

from shared.adapters.whisper.words import ascending, in_speech, timed_words
from shared.domain.audio import Span
from shared.domain.transcript import Word

pytestmark = pytest.mark.unit


class Letters:
    """A tokenizer whose words are given; each token is one of them."""

    eot = -1

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def split_to_word_tokens(self, tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        return [*self._texts, ""], [[token] for token in tokens]


def alignment(*frames: int) -> SimpleNamespace:
    """Every token is entered in the frame given, the last one being the end."""
    return SimpleNamespace(alignments=list(enumerate(frames)), text_token_probs=[0.5] * (len(frames) - 1))


def test_words_begin_where_the_alignment_enters_them() -> None:
    """Frames of 20 ms become seconds; a word ends where the next begins."""
    words = timed_words(Letters(" Good", " morning"), [7, 8], alignment(5, 20, 45))
    assert [(word.text, word.start_s, word.end_s) for word in words] == [
        (" Good", pytest.approx(0.1), pytest.approx(0.4)),
        (" morning", pytest.approx(0.4), pytest.approx(0.9)),
    ]


def test_punctuation_joins_its_word_and_keeps_the_word_s_times() -> None:
    """Joining the words gives the text, and a question mark is no word of its own."""
    words = timed_words(
        Letters(' "', "Why", "?", '"', " Well", ","), [1, 2, 3, 4, 5, 6], alignment(0, 2, 9, 12, 14, 30, 40)
    )
    assert [word.text for word in words] == [' "Why?"', " Well,"]
    assert (words[0].start_s, words[0].end_s) == (pytest.approx(0.04), pytest.approx(0.18))


def test_a_word_after_a_pause_is_placed_behind_it() -> None:
    """The alignment lets it begin in the pause; voice activity knows better."""
    speech = [Span(1.0, 2.2), Span(3.4, 5.0)]
    assert in_speech(Span(2.1, 3.8), speech) == Span(3.4, 3.8)


def test_a_word_in_silence_is_not_believed_but_a_soft_end_is() -> None:
    """A quarter of a second beside speech may be a soft ending; a second away nobody speaks."""
    speech = [Span(1.0, 2.0)]
    assert in_speech(Span(3.0, 3.4), speech) is None
    assert in_speech(Span(2.1, 2.3), speech) == Span(2.1, 2.3)
    assert in_speech(Span(0.5, 0.9), []) is None


def test_words_ascend_and_stay_inside() -> None:
    """Neither a word from the end of one window nor one past the recording's end breaks the order."""
    words = [Word(1.0, 2.0, " a", 0.9), Word(0.9, 0.95, " b", 0.9), Word(9.9, 12.0, " c", 0.9)]
    placed = ascending(words, 10.0)
    assert [(word.start_s, word.end_s) for word in placed] == [(1.0, 2.0), (1.0, 1.0), (9.9, 10.0)]
