"""The packaged weights, joined in the cache."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.adapters.faster_whisper import FasterWhisper
from shared.adapters.weights.whisper_base import whisper_base
from shared.domain.errors import SetupError
from shared.settings import Settings

pytestmark = pytest.mark.unit


def test_many_at_once_get_the_same_whole_folder(tmp_path: Path) -> None:
    """Workers that start together agree on one folder, complete, with nothing left beside it."""
    settings = Settings(model_cache=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: whisper_base(settings), range(4)))
    (folder,) = folders
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "model.bin").stat().st_size == 145_217_532


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    """The message names the setting that mends it."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="VIBEINSIGHT_MODEL_CACHE"):
        whisper_base(Settings(model_cache=tmp_path / "file"))


def test_a_folder_without_weights_is_explained(tmp_path: Path) -> None:
    """A path that is no CTranslate2 folder is named by its last part, with the setting that holds it."""
    with pytest.raises(SetupError, match="VIBEINSIGHT_WHISPER_MODEL"):
        _ = FasterWhisper(Settings(whisper_model=str(tmp_path))).provenance
