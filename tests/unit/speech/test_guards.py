"""What is read a second time, and what is dropped."""

from dataclasses import replace

import pytest

from shared.adapters.whisper.decoder import Decoded
from shared.adapters.whisper.guards import believed, better, doubtful
from shared.adapters.whisper.words import TimedWord

pytestmark = pytest.mark.unit


def decoded(text: str, avg_logprob: float = -0.3, no_speech: float = 0.1) -> Decoded:
    words = tuple(TimedWord(f" {word}", float(n), n + 1.0, 0.9) for n, word in enumerate(text.split()))
    tokens = tuple(hash(word) for word in text.split())
    return Decoded(words, tokens, text, 0, float(len(words)), avg_logprob, no_speech)


def test_plain_speech_is_believed_at_once() -> None:
    """Nothing is dropped from an ordinary sentence, and it is not read twice."""
    said = decoded("what would you like to get out of our conversation today")
    assert not doubtful(said, 4.0)
    assert believed(said) == (said.words, 0)


def test_short_echoes_are_speech() -> None:
    """People say `no, no, no`; that is neither doubtful nor dropped."""
    said = decoded("no no no I do not want that at all")
    assert not doubtful(said, 3.0)
    assert believed(said)[1] == 0


@pytest.mark.parametrize(
    "said",
    [
        decoded("hold on hold fast hold out patience is genius hold on hold fast hold out patience"),
        decoded("the stillness was awful and cold the stillness was awful and cold"),
        decoded("murmur", avg_logprob=-1.1),
        decoded(""),
    ],
    ids=["begun again", "said twice", "unlikely", "nothing"],
)
def test_doubtful_readings(said: Decoded) -> None:
    """A phrase begun again at once, an unlikely text, and no text for two seconds of speech are read again."""
    assert doubtful(said, 2.0)


def test_the_better_reading_stays() -> None:
    """One without doubt wins over a likelier one that repeats itself; of two alike the likelier wins."""
    looping = decoded("one two three four five one two three four five", avg_logprob=-0.1)
    plain = decoded("one two three four five", avg_logprob=-0.4)
    assert better(looping, plain, 3.0) is plain
    assert better(plain, replace(plain, avg_logprob=-0.2), 3.0).avg_logprob == -0.2


def test_a_loop_is_kept_once_and_the_rest_counted() -> None:
    """Whisper's classic: the same sentence fourteen times over a noise."""
    said = decoded(" ".join(["I'm going to put it on the side."] * 14))
    words, dropped = believed(said)
    assert len(words) == 8
    assert dropped == 13 * 8


@pytest.mark.parametrize(("avg_logprob", "no_speech"), [(-1.1, 0.8), (-1.7, 0.1)])
def test_invented_text_is_dropped_and_counted(avg_logprob: float, no_speech: float) -> None:
    """Text that the network finds unlikely, and a voice that it does not hear: nobody said it."""
    assert believed(decoded("thank you for watching", avg_logprob, no_speech)) == ((), 4)


def test_a_word_drawn_over_seconds_of_silence_is_dropped() -> None:
    """Whisper's answer to nothing is an unsure `you` as long as the silence; a sure long word is a drawl."""
    said = decoded("you")
    drawn = replace(said.words[0], end_s=5.0, probability=0.13)
    assert believed(replace(said, words=(drawn,))) == ((), 1)
    assert believed(replace(said, words=(replace(drawn, probability=0.8),)))[1] == 0


def test_a_text_laid_over_no_sound_is_dropped() -> None:
    """`Thank you for watching` at one instant of a hum: each word a known one, none with a length."""
    said = decoded("thank you for watching")
    collapsed = tuple(replace(word, start_s=5.0, end_s=5.0) for word in said.words)
    assert believed(replace(said, words=collapsed)) == ((), 4)


def test_an_unlikely_text_alone_is_kept() -> None:
    """A strong accent lowers the likelihood; the words stay."""
    assert believed(decoded("dawosu", avg_logprob=-1.1))[1] == 0
