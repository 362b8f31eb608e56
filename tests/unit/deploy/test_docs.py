"""What the documents claim and a machine can check: files, targets, links; and that they speak of the project alone."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FOLDERS = ("docs", "infra", "changes")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.md"))]
)
TOP = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
# What is made by running the project, so not in the repository.
MADE = ("out/", ".venv/", ".data/", ".cache/", "web/dist")
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users|mnt)/\w")
FOREIGN = re.compile(r"pypi\.org|npmjs\.(?:org|com)|registry\.|deb\.debian\.org|index-url", re.IGNORECASE)


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _links(name: str) -> list[str]:
    return re.findall(r"\]\(([^)#\s]+)", _text(name))


def _paths(name: str) -> set[str]:
    """What stands in backticks and looks like a path of this repository."""
    words = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", _text(name), flags=re.DOTALL))
    rooted = {word.rstrip("/") for word in words if re.fullmatch(rf"(?:{'|'.join(TOP)})/[\w./-]*", word)}
    return {path for path in rooted if not path.startswith(MADE)}


def _tree_paths(name: str) -> set[str]:
    """First words of lines in fenced trees: `api/`, `workers/runner.py` and the like."""
    blocks = re.findall(r"```(?:text)?\n(.*?)```", _text(name), flags=re.DOTALL)
    lines = [line.split()[0] for block in blocks for line in block.splitlines() if line and not line[0].isspace()]
    return {line.rstrip("/") for line in lines if re.fullmatch(rf"(?:{'|'.join(TOP)})(?:/[\w.-]+)*/?", line)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link names a file or a folder."""
    inside = [link for link in _links(name) if "://" not in link]
    missing = [link for link in inside if not ((ROOT / name).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "/adr/" not in name])
def test_named_files_exist(name: str) -> None:
    """Each path in backticks or in a tree is there. Decisions may speak of what has gone since."""
    missing = [path for path in sorted(_paths(name) | _tree_paths(name)) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_targets_exist(name: str) -> None:
    """Each `make` target that is named can be made."""
    targets = set(re.findall(r"^([a-z-]+):", _text("Makefile"), re.MULTILINE))
    commands = re.findall(r"(?:^|`|\n)make ((?:[a-z-]+ ?)+)", _text(name))
    named = {target for words in commands for target in words.split()}
    assert named <= targets


def test_the_architecture_names_what_there_is() -> None:
    """The guided tour is of real files, enough of them, and of every package."""
    named = _paths("docs/ARCHITECTURE.md")
    assert len(named) > 20
    assert {path.partition("/")[0] for path in named} >= {"api", "workers", "pipelines", "shared", "cli"}


def test_every_decision_is_listed() -> None:
    """The index links to each page, and nothing else is among them."""
    pages = {path.name for path in (ROOT / "docs/adr").glob("0*.md")}
    assert pages
    assert {link for link in _links("docs/adr/README.md") if link.startswith("0")} == pages


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("0*.md")), ids=lambda path: path.stem[:4])
def test_decisions_have_their_three_parts(path: Path) -> None:
    """Context, decision, consequences, under a title with the page's number."""
    text = path.read_text()
    assert text.startswith(f"# {path.stem[:4]}: ")
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_about_the_project_alone(name: str) -> None:
    """No path of somebody's machine and no registry's host stands in them."""
    text = _text(name)
    assert MACHINE_PATHS.findall(text) == []
    assert FOREIGN.findall(text) == []


def test_settings_in_the_documents_exist() -> None:
    """Each VIBEINSIGHT_… that a reader is told to set is read somewhere."""
    from shared.settings import Settings

    read = {f"VIBEINSIGHT_{name.upper()}" for name in Settings.model_fields}
    elsewhere = {"VIBEINSIGHT_AUDIO", "VIBEINSIGHT_CHAOS_ROUNDS"}  # of the tests
    named = {word for name in DOCUMENTS for word in re.findall(r"VIBEINSIGHT_[A-Z0-9_]+", _text(name))}
    assert named <= read | elsewhere
