"""Writing systems: how words are joined, counted and ended in scripts with and without spaces."""

import re

# Hiragana, katakana (with the long-vowel mark), Han with extension A and compatibility forms, full-width punctuation.
_CJK = r"\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3001\u3002\uff01-\uff60"
_SPACE_INSIDE_CJK = re.compile(rf"(?<=[{_CJK}])\s+(?=[{_CJK}])")
_CJK_LETTER = re.compile(
    r"[\u3005-\u3007\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_SPACED_WORD = re.compile(r"[^\W_]+(?:[’'\-.][^\W_]+)*")
# Three dots are a hesitation, not an end.
_SENTENCE_END = re.compile(r"(?:(?<!\.)\.|[?!。？！])[\"'”’」』）)\]]*$")
# A full stop after one of these ends no sentence.
_ABBREVIATION = re.compile(r"(?:^|\s)(?:mr|mrs|ms|dr|prof|vs|e\.g|i\.e)\.$", re.IGNORECASE)

UNSPACED_LANGUAGES = frozenset({"ja", "zh", "yue"})  # counted and joined by character


def base_language(code: str | None) -> str | None:
    """`zh-TW` -> `zh`."""
    return code.split("-")[0].lower() if code else None


def join_words(texts: list[str]) -> str:
    """Words as recognised, each with its own leading space where its script has one, as one line of text."""
    line = " ".join("".join(texts).split())
    return _SPACE_INSIDE_CJK.sub("", line)


def join_sentences(texts: list[str]) -> str:
    """Sentences in a row: a space between them, none between Japanese or Chinese ones."""
    return _SPACE_INSIDE_CJK.sub("", " ".join(text for text in texts if text))


def count_words(text: str) -> int:
    """Each Japanese or Chinese character counts one, every other run of letters or digits counts one."""
    rest, characters = _CJK_LETTER.subn(" ", text)
    return characters + len(_SPACED_WORD.findall(rest))


def ends_sentence(text: str) -> bool:
    stripped = text.strip()
    return bool(_SENTENCE_END.search(stripped)) and not _ABBREVIATION.search(stripped)


def is_mostly_cjk(text: str) -> bool:
    return len(_CJK_LETTER.findall(text)) * 2 > len(text)
