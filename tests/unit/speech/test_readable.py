"""Japanese as sentences, Chinese in one script: what is written, and that nothing else is changed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.attribution import SpokenWord
from pipelines.text.readable import readable
from pipelines.text.script import join_words
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Word

pytestmark = pytest.mark.unit

S1 = SpeakerId("S1")
MARKS = re.compile(r"[、。？！?!,.\s]")


def spoken(*pieces: str | float, speaker: SpeakerId = S1) -> list[SpokenWord]:
    """Pieces of 0.1 s a character, without a pause; a number is a pause in seconds."""
    words, at_s = [], 0.0
    for piece in pieces:
        if isinstance(piece, float):
            at_s += piece
            continue
        end_s = at_s + 0.1 * len(piece)
        words.append(SpokenWord(Word(round(at_s, 3), round(end_s, 3), piece, 0.9), speaker, None))
        at_s = end_s
    return words


def written(words: list[SpokenWord], language: str = "ja", report: str | None = None) -> str:
    return join_words([word.word.text for word in readable(words, language, report)])


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (
            ["今日", "は", "どう", "でした", "か", "会議", "が", "あり", "ました"],
            "今日はどうでしたか？会議がありました。",
        ),
        (["行き", "ます", "ので", "待って", "ください"], "行きますので待ってください。"),
        (["昨日", "会議", "が", "あった", 0.9, "疲れ", "た"], "昨日会議があった。疲れた。"),
        (["はい", 0.7, "そう", "です", "ね"], "はい。そうですね。"),
        (["それ", "は", "です", "ね", "難しい", "です"], "それはですね、難しいです。"),
        (["あ", "そう", "です", "か", 0.5, "なる", "ほど"], "あそうですか。なるほど。"),
        (["何", "が", "一番", "大事", "な", "の", 1.0, "家族", "です"], "何が一番大事なの？家族です。"),
        (["上司", "に", "相談", "して", 0.5, "決め", "ます"], "上司に相談して、決めます。"),
        (["いい", "と", "思い", "ます", "けど", 1.5, "どう", "でしょう", "か"], "いいと思いますけど。どうでしょうか？"),
        (["はい", " 最近", "は", "元気", "です"], "はい。最近は元気です。"),
        (["本当", "です", "か", "?", "嬉しい", "です"], "本当ですか？嬉しいです。"),
        (["3", ".", "5", "倍", "です"], "3.5倍です。"),
    ],
)
def test_japanese_sentences(pieces: list[str | float], text: str) -> None:
    """Ends by polite forms and pauses, questions by か and interrogatives, commas by breath."""
    assert written(spoken(*pieces)) == text


def test_each_speaker_has_sentences_of_their_own() -> None:
    """A word of somebody else in between does not end a sentence."""
    first, second = spoken("今日", "は", 0.3, "晴れ", "です"), spoken("はい", speaker=SpeakerId("S2"))
    both = [*first[:2], second[0], *first[2:]]
    texts = [word.word.text for word in readable(both, "ja")]
    assert "".join(text for text, word in zip(texts, both, strict=True) if word.speaker == S1) == "今日は晴れです。"


JAPANESE = st.lists(
    st.one_of(
        st.sampled_from(
            "です ます ました か ね よ 今日 会議 の が けど て はい そう 何 どう る た 、 。 ? OK 3 .".split()
        ),
        st.floats(0.0, 2.0),
    ),
    max_size=30,
)


@given(JAPANESE)
def test_only_marks_are_added(pieces: list[str | float]) -> None:
    """Whatever was recognised: as many words at the same times, and without marks the same characters."""
    words = spoken(*pieces)
    after = readable(words, "ja")
    assert [(w.word.start_s, w.word.end_s) for w in after] == [(w.word.start_s, w.word.end_s) for w in words]
    plain = ["".join(MARKS.sub("", word.word.text) for word in side) for side in (words, after)]
    assert plain[0] == plain[1]


MIXED = ["后来", "我們", "在", "里面", "談了", "头", "发", "和", "皇后", "软件"]


@pytest.mark.parametrize(
    ("language", "report", "text"),
    [
        ("zh-TW", None, "後來我們在裡面談了頭髮和皇后軟件"),
        ("zh-CN", None, "后来我们在里面谈了头发和皇后软件"),
        ("zh", "zh-TW", "後來我們在裡面談了頭髮和皇后軟件"),
        ("zh", None, "后来我们在里面谈了头发和皇后软件"),
    ],
)
def test_chinese_has_one_script(language: str, report: str | None, text: str) -> None:
    """The one that was asked for, else the report's, else the one that most is in; characters in their context."""
    assert written(spoken(*MIXED), language, report) == text


def test_chinese_words_keep_their_times_and_lengths() -> None:
    """Conversion in context hands every word its own characters back."""
    words = spoken(*MIXED)
    after = readable(words, "zh-TW")
    assert [len(word.word.text) for word in after] == [len(piece) for piece in MIXED]
    assert [word.word.start_s for word in after] == [word.word.start_s for word in words]


def test_other_languages_stay_as_they_are() -> None:
    """English comes with its punctuation."""
    words = spoken(" Hello", " there")
    assert readable(words, "en") == tuple(words)
