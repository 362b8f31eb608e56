"""What `analyze` makes of the command line and of a job's end."""

from pathlib import Path

import pytest

from cli.analyze import JobFailed, Misused, Wishes, check, opened

pytestmark = pytest.mark.unit


def test_only_what_was_said_is_sent() -> None:
    """Options that were not given are left to the server's defaults."""
    assert Wishes(source="a.wav").fields == {}
    full = Wishes(source="a.wav", language="ja", report_language="en", speakers="3", roles=("coach", "client"))
    assert full.fields == {
        "language": "ja",
        "speakers": 3,
        "roles": ["coach", "client"],
        "options": {"report_language": "en"},
    }

    assert Wishes(source="a.wav", speakers="auto").fields == {"speakers": "auto"}


def test_an_address_is_told_from_a_file() -> None:
    """Only what has a scheme is an address."""
    assert Wishes(source="https://example.org/a.mp3").is_url
    assert not Wishes(source="meeting: part 1.m4a").is_url


def test_a_wrong_name_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A missing file and a folder are each called what they are."""
    with pytest.raises(Misused, match="There is no file"), opened(tmp_path / "none.wav"):
        pass
    with pytest.raises(Misused, match="is a folder"), opened(tmp_path):
        pass


def test_a_failed_job_carries_its_code_and_stage() -> None:
    """The error's code, message and stage reach the user."""
    error = {"code": "not_audio", "message": "This is text.", "stage": "download"}
    with pytest.raises(JobFailed, match=r"failed in download: This is text\.") as caught:
        check({"id": "1", "status": "failed", "error": error})
    assert caught.value.code == "not_audio"


def test_a_cancelled_job_is_no_success() -> None:
    """Somebody else cancelled it: that is said."""
    with pytest.raises(JobFailed, match="was cancelled"):
        check({"id": "1", "status": "cancelled"})


@pytest.mark.parametrize("status", ["completed", "completed_with_warnings"])
def test_warnings_do_not_spoil_a_success(status: str) -> None:
    """A job with warnings has a result too."""
    assert check({"id": "1", "status": status}) is None
