"""A command finds what runs, and does not fall for the note of a dead one."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli import running
from cli.client import Address
from shared.domain.errors import SetupError
from shared.settings import Settings

pytestmark = pytest.mark.unit


def test_the_note_of_a_living_process_leads_to_it(tmp_path: Path) -> None:
    """Address from the note, key from its own file; nothing once the note was taken back."""
    settings = Settings(data_dir=tmp_path, api_url=None, api_key=None)
    (tmp_path / running.KEY).write_text("vi_secret\n")
    running.leave_note(tmp_path, "http://127.0.0.1:8080", None)
    assert running.find(settings) == Address("http://127.0.0.1:8080", "vi_secret")
    running.take_note_back(tmp_path)
    assert running.find(settings) is None


def test_the_note_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    """After a kill the note stays behind; its process is gone, so nothing runs."""
    note = {"process": f"{2**22 + 1} 17", "url": "http://127.0.0.1:8080", "flower_url": None}
    (tmp_path / running.NOTE).write_text(json.dumps(note))
    assert running.read_note(tmp_path) is None


def test_configuration_comes_before_the_note(tmp_path: Path) -> None:
    """VIBEINSIGHT_API_URL and VIBEINSIGHT_API_KEY name another VibeInsight."""
    settings = Settings(data_dir=tmp_path, api_url="https://example.org", api_key=SecretStr("vi_other"))
    assert running.find(settings) == Address("https://example.org", "vi_other")


def test_an_address_without_a_key_is_refused(tmp_path: Path) -> None:
    """Half a configuration is said, not guessed at."""
    with pytest.raises(SetupError, match="VIBEINSIGHT_API_KEY is not"):
        running.find(Settings(data_dir=tmp_path, api_url="https://example.org", api_key=None))


def test_without_anything_running_the_way_out_is_said(tmp_path: Path) -> None:
    """The error names the command that starts one."""
    with pytest.raises(SetupError, match="vibeinsight up"):
        running.find_or_say_how(Settings(data_dir=tmp_path, api_url=None, api_key=None))
