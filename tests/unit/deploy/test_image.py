"""The image's recipe, read as Docker would: complete, pinned, without rights and without secrets."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
Instruction = tuple[str, str]


def _instructions() -> list[Instruction]:
    """(word, rest) of each instruction, continued lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def _stages() -> list[list[Instruction]]:
    stages: list[list[Instruction]] = []
    for instruction in _instructions():
        if instruction[0] == "FROM":
            stages.append([])
        stages[-1].append(instruction)
    return stages


def _copied(stage: list[Instruction]) -> set[str]:
    """Sources from the working tree, without those from an earlier stage."""
    copies = [rest.split() for word, rest in stage if word == "COPY" and not rest.startswith("--from")]
    return {source for words in copies for source in words[:-1]}


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _locked(name: str) -> dict[str, set[str]]:
    """Package -> versions (more than one where Pythons differ)."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def _packages() -> list[str]:
    found: list[str] = _project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return found


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", text, maxsplit=1)[0].lower() for text in requirements}


def test_nothing_runs_as_root() -> None:
    """The last USER of the image is another one, and it is made in the image."""
    final = _stages()[-1]
    users = [rest for word, rest in final if word == "USER"]
    assert users == ["vibeinsight"]
    assert any("useradd" in rest and "vibeinsight" in rest for word, rest in final if word == "RUN")
    last_copy = max(place for place, (word, _) in enumerate(final) if word == "COPY")
    assert final.index(("USER", "vibeinsight")) > last_copy, "the code belongs to root: the service cannot change it"


def test_bases_are_pinned() -> None:
    """Each base has a tag that names its version."""
    bases = [rest.split()[0] for word, rest in _instructions() if word == "FROM"]
    assert bases
    assert all(re.fullmatch(r"python:3\.11-slim-bookworm", base) for base in bases)


def test_every_package_is_in_the_image() -> None:
    """What the wheel would hold is copied, with the migrations, and all of it exists."""
    copied = _copied(_stages()[-1])
    assert copied >= {*_packages(), "alembic", "alembic.ini"}
    assert all((ROOT / source).exists() for source in copied)


def test_the_builder_is_sent_what_is_copied() -> None:
    """`.dockerignore` lets in each source of a COPY and nothing else."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == {source for stage in _stages() for source in _copied(stage)}


def test_no_secret_is_baked_in() -> None:
    """No build argument and no environment variable with a secret's name, no environment file."""
    given = [rest for word, rest in _instructions() if word in ("ARG", "ENV")]
    assert not any(re.search(r"KEY|SECRET|PASSWORD|TOKEN|_URL", rest) for rest in given)
    assert not any(".env" in rest for word, rest in _instructions() if word == "COPY")


def test_commands_are_lists() -> None:
    """A shell between the platform and the program would swallow SIGTERM."""
    for word, rest in _stages()[-1]:
        if word in ("CMD", "ENTRYPOINT"):
            assert rest.startswith("["), word
        if word == "HEALTHCHECK":
            assert "CMD [" in rest


def test_packages_are_checked_by_hash_with_the_makefiles_uv() -> None:
    """The image's packages are those of the lock, installed by the same uv as everywhere."""
    runs = " ".join(rest for word, rest in _stages()[0] if word == "RUN")
    version = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]}" in runs
    assert re.search(r"uv pip sync .*--require-hashes .*requirements-image\.lock", runs)


def test_the_images_lock_has_what_the_product_imports() -> None:
    """Every dependency of the product, its models and its voices, in the versions that the tests run with."""
    project, image, everything = _project()["project"], _locked("requirements-image.lock"), _locked("requirements.lock")
    extras = project["optional-dependencies"]
    wanted = _names([*project["dependencies"], *extras["models"], *extras["voices"]])
    assert wanted <= set(image)
    assert all(versions <= everything[package] for package, versions in image.items())


def test_the_images_lock_has_nothing_else() -> None:
    """No development tool, no embedded server, no torch."""
    extras = _project()["project"]["optional-dependencies"]
    product = _names([*_project()["project"]["dependencies"], *extras["models"], *extras["voices"]])
    unwanted = {*_names([*extras["dev"], *extras["embedded"]]), "torch", "torchaudio", "numba", "pip"} - product
    # PyYAML and the like may come with a package of the product; the tools themselves may not.
    come_along = {"pyyaml"}
    assert not (unwanted - come_along) & set(_locked("requirements-image.lock"))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-image.lock"])
def test_locks_carry_hashes_and_no_addresses(name: str) -> None:
    """A lock says what is installed, not from where."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_nothing_asks_for_the_projects_own_metadata() -> None:
    """The image runs the folders without installing the package, so its version must not come from there."""
    name = re.compile(r"(?:version|metadata|files|distribution)\(['\"]vibeinsight['\"]\)")
    sources = [path for folder in _packages() for path in (ROOT / folder).rglob("*.py")]
    assert sources
    assert [path for path in sources if name.search(path.read_text())] == []
