"""A glossary's terms take the place of what sounds like them, and of nothing else."""

import pytest

from pipelines.text.attribution import SpokenWord
from pipelines.text.glossary import corrected
from shared.domain.glossary import Term
from shared.domain.ids import SpeakerId
from shared.domain.transcript import Word

pytestmark = pytest.mark.unit

NAMES = (Term("Przybylski", ("Shibilski",)), Term("Katarzyna"), Term("Kubernetes"), Term("GROW model"))


def said(text: str, probability: float = 0.5, gap: str = " ") -> list[SpokenWord]:
    pieces = text.split(" ")
    words = (Word(float(n), n + 0.9, gap + piece, probability) for n, piece in enumerate(pieces))
    return [SpokenWord(word, SpeakerId("S1"), None) for word in words]


def text_of(words: tuple[SpokenWord, ...]) -> str:
    return "".join(spoken.word.text for spoken in words).strip()


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("we met Katarzina, yesterday", "we met Katarzyna, yesterday"),
        ("I ask Katarzina's boss", "I ask Katarzyna's boss"),
        ("we run Cubernetes here", "we run Kubernetes here"),
        ("we run Cuber netes here", "we run Kubernetes here"),
        ("Mr Shibilski said", "Mr Przybylski said"),
        ("the Gro model helps", "the GROW model helps"),
    ],
)
def test_what_sounds_like_a_term_becomes_it(heard: str, written: str) -> None:
    """By sound, by spelling, over two words, with the marks and the possessive that it had."""
    assert text_of(corrected(said(heard), NAMES, "en")) == written


def test_who_looks_can_see_what_was_heard() -> None:
    """One word with the times of all that it replaces, marked."""
    (_, _, word, _) = corrected(said("we run Cuber netes here"), NAMES, "en")
    assert (word.word.text, word.word.heard) == (" Kubernetes", " Cuber netes")
    assert (word.word.start_s, word.word.end_s) == (2.0, 3.9)


@pytest.mark.parametrize(
    "heard",
    [
        "you grow and model yourself on her",
        "the cats are in the car",
        "Katrin and Catherine are sisters",
        "we cook burritos at night",
        "what a groovy motel",
    ],
)
def test_ordinary_words_stay(heard: str) -> None:
    """Alike is not the same: other names and everyday words are left alone."""
    words = said(heard)
    assert corrected(words, NAMES, "en") == tuple(words)


def test_a_sure_recogniser_is_believed() -> None:
    """Only a spelling that the owner listed replaces a word that was clearly heard."""
    assert text_of(corrected(said("Katarzina and Shibilski", 0.97), NAMES, "en")) == "Katarzina and Przybylski"


def test_terms_of_another_language_are_not_looked_for() -> None:
    """A term may be for one language alone."""
    words = said("Katarzina")
    assert corrected(words, [Term("Katarzyna", language="pl")], "en") == tuple(words)


@pytest.mark.parametrize(
    ("heard", "terms", "language", "written"),
    [
        ("王 小 明 来 了", [Term("王晓明")], "zh", "王晓明来了"),
        ("我 们 的 口 座", [Term("讲座")], "zh", "我们的口座"),
        ("た なか さん です", [Term("田中", ("タナカ",))], "ja", "田中さんです"),
        ("グ ロウ モデル です", [Term("GROWモデル", ("グローモデル", "グロウモデル"))], "ja", "GROWモデルです"),
        ("講座 の 番号", [Term("口座", ("講座",))], "ja", "口座の番号"),
        ("田中 さん です", [Term("田中", ("タナカ",))], "ja", "田中さんです"),
    ],
)
def test_japanese_and_chinese_go_by_sound(heard: str, terms: list[Term], language: str, written: str) -> None:
    """Homophones in Chinese; in Japanese the reading that the owner gives."""
    assert text_of(corrected(said(heard, gap=""), terms, language)) == written
