"""Text that nobody said is dropped; what people say is kept, also where it sounds like a subtitle."""

import pytest

from pipelines.text.invented import without_invented
from shared.domain.transcript import Word

pytestmark = pytest.mark.unit


def said(*utterances: str, probability: float = 0.9) -> list[Word]:
    """Utterances 2 s apart; words parted by spaces, or characters where there are none."""
    words, at_s = [], 0.0
    for utterance in utterances:
        spaced = " " in utterance
        for piece in utterance.split(" ") if spaced else utterance:
            words.append(Word(at_s, at_s + 0.2, f" {piece}" if spaced else piece, probability))
            at_s += 0.2
        at_s += 2.0
    return words


def kept(words: list[Word], language: str) -> str:
    return "".join(word.text for word in without_invented(words, language)[0]).strip()


@pytest.mark.parametrize(
    ("language", "invented"),
    [
        ("en", "Thanks for watching!"),
        ("en", "Thank you for watching this video."),
        ("en", "Subtitles by the Amara.org community"),
        ("en", "Please like and subscribe to my channel."),
        ("en", "Thank you for watching. Please subscribe to my channel."),
        ("ja", "ご視聴ありがとうございました"),
        ("ja", "最後までご視聴いただきありがとうございます。"),
        ("ja", "チャンネル登録をお願いします"),
        ("zh", "请不吝点赞订阅转发打赏支持明镜与点点栏目"),
        ("zh", "字幕由Amara.org社区提供"),
        ("zh-TW", "謝謝大家收看"),
    ],
)
def test_phrases_of_subtitles_are_dropped(language: str, invented: str) -> None:
    """As whole utterances, alone or as a recording's last words; each of their words is counted."""
    words = said(invented)
    assert without_invented(words, language) == ((), len(words))


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("en", "Thank you for watching my children yesterday"),
        ("en", "Thank you"),
        ("en", "I like to subscribe to newspapers"),
        ("en", "no no no no no"),
        ("ja", "ありがとうございました"),
        ("ja", "昨日動画のご視聴ありがとうございましたと言われました"),
        ("zh", "谢谢"),
        ("zh", "我上传了字幕"),
    ],
)
def test_what_people_say_is_kept(language: str, spoken: str) -> None:
    """Thanks, and sentences in which the same words mean something."""
    words = said(spoken)
    assert without_invented(words, language)[1] == 0


@pytest.mark.parametrize(("language", "text"), [("en", "Thank you"), ("ja", "おやすみなさい"), ("zh", "谢谢大家")])
def test_thanks_that_the_engine_doubts_are_dropped(language: str, text: str) -> None:
    """Over noise they come with a low probability; where a provider gives none, they are kept."""
    assert kept(said(text, probability=0.2), language) == ""
    assert kept(said(text, probability=0.0), language) != ""


@pytest.mark.parametrize(
    ("language", "looping", "once"),
    [
        ("en", "I'm going to put it on the side. " * 9, "I'm going to put it on the side."),
        ("en", "the " * 30, "the"),
        ("ja", "スタッフの方が" * 8, "スタッフの方が"),
    ],
)
def test_a_loop_is_kept_once(language: str, looping: str, once: str) -> None:
    """A phrase said more often in a row than anybody says it."""
    assert kept(said(looping.strip()), language) == once


def test_loops_do_not_hide_what_comes_after() -> None:
    """The words behind a loop stay."""
    assert kept(said("yes " * 12 + "and then I left"), "en") == "yes and then I left"


def test_other_languages_are_left_alone() -> None:
    """Without a list nothing is judged by phrases."""
    words = said("Vielen Dank fürs Zuschauen")
    assert without_invented(words, "de") == (tuple(words), 0)
