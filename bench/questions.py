"""Precision and recall of the question rules on labelled sentences: `python -m bench.questions [FOLDER]`.

A folder holds LANGUAGE.tsv with lines of label (open, closed, none), a tab, and a sentence. Without a question mark
tells how the rules do where a recogniser writes none.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.insight.language import rules_for

FOLDER = Path(__file__).parents[1] / "tests" / "golden" / "insight" / "questions"
NONE = "none"
Pair = tuple[str, str]  # labelled, read


def labelled(folder: Path, language: str) -> list[Pair]:
    """Label and sentence."""
    lines = (folder / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    return [(label, sentence) for label, sentence in (line.split("\t") for line in lines if line)]


def read(samples: Sequence[Pair], language: str, *, marks: bool) -> list[Pair]:
    """Label, and what the rules make of it."""
    rules = rules_for(language)
    if rules is None:
        raise ValueError(f"There are no rules for {language}")
    written = ((label, text if marks else text.replace("?", ".").replace("？", "。")) for label, text in samples)
    return [(label, str(rules.question_kind(text) or NONE)) for label, text in written]


def scores(pairs: Sequence[Pair], kinds: frozenset[str]) -> tuple[float, float, float]:
    """Precision, recall and F1 of telling `kinds` from everything else."""
    found = [label in kinds for label, kind in pairs if kind in kinds]
    wanted = sum(label in kinds for label, _ in pairs)
    precision = sum(found) / len(found) if found else 0.0
    recall = sum(found) / wanted if wanted else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def table(folder: Path = FOLDER) -> list[str]:
    """Markdown: a line for each language and way of writing."""
    rows = ["| language | sentences | question mark | question P / R / F1 | open P / R / F1 | closed P / R / F1 |"]
    rows.append("| --- | --- | --- | --- | --- | --- |")
    for path in sorted(folder.glob("*.tsv")):
        samples = labelled(folder, path.stem)
        for marks in (True, False):
            pairs = read(samples, path.stem, marks=marks)
            kinds = (frozenset({"open", "closed"}), frozenset({"open"}), frozenset({"closed"}))
            cells = [" / ".join(f"{value:.2f}" for value in scores(pairs, kind)) for kind in kinds]
            rows.append(f"| {path.stem} | {len(samples)} | {'as written' if marks else 'none'} | {' | '.join(cells)} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)))
