"""The recordings with reference texts that a folder of audio holds, and how texts are compared."""

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NUMBERS = dict(enumerate("zero one two three four five six seven eight nine ten".split()))
TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
KANJI_DIGITS = {kanji: str(digit) for digit, kanji in enumerate("〇一二三四五六七八九")}
JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."


@dataclass(frozen=True)
class Recording:
    corpus: str
    language: str
    path: Path
    text: str


def recordings(root: Path) -> Iterator[Recording]:
    """Every corpus that is there, in a fixed order."""
    for name, language in (("librispeech_other", "en"), ("commonvoice_ja", "ja"), ("chinese_asr", "zh")):
        yield from _listed(root / name, language)
    for name in ("dialogues", "google_commercial", "azure_katiesteve"):
        yield from _turned(root / name)
    if (root / "jfk" / "jfk.flac").exists():
        yield Recording("jfk", "en", root / "jfk" / "jfk.flac", JFK)


def _listed(folder: Path, language: str) -> Iterator[Recording]:
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield Recording(folder.name, language, folder / row["path"], row["text"])


def _turned(folder: Path) -> Iterator[Recording]:
    """Dialogues: the reference is the text of the turns, in order."""
    for turns in sorted(folder.rglob("*.turns.json")):
        name = turns.name.removesuffix(".turns.json")
        audio = next(path for suffix in ("flac", "wav") if (path := turns.with_name(f"{name}.{suffix}")).exists())
        text = " ".join(turn["text"] for turn in json.loads(turns.read_text(encoding="utf-8")))
        yield Recording(name, "en", audio, text)


def comparable(text: str, language: str) -> str:
    """Without what is spelling alone: case, punctuation, digits or number words, Traditional or Simplified."""
    plain = unicodedata.normalize("NFKC", text)
    return _characters(plain, language) if language in ("ja", "zh") else _words(plain)


def _words(text: str) -> str:
    kept = re.sub(r"[^\w' ]", " ", text.lower().replace("’", "'").replace("-", " "))
    words = (word.strip("'") for word in kept.split())
    return " ".join(NUMBERS.get(int(word), word) if word.isdecimal() else TITLES.get(word, word) for word in words)


def _characters(text: str, language: str) -> str:
    simplified = _simplifier()(text) if language == "zh" else text
    kept = (character for character in simplified.lower() if unicodedata.category(character)[0] in "LN")
    return "".join(KANJI_DIGITS.get(character, character) for character in kept)


@cache
def _simplifier() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert
