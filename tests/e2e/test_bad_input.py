"""Whatever is handed in ends in a clear error with a code, and the workers live on."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import recordings
from tests.e2e.machine import Machine

pytestmark = pytest.mark.e2e

BAD_FILES = [
    pytest.param(recordings.empty, "empty_file", id="empty"),
    pytest.param(recordings.text_called_mp3, "not_audio", id="text"),
    pytest.param(recordings.truncated_m4a, "truncated_media", id="truncated"),
    pytest.param(recordings.mute_video, "no_audio_track", id="mute-video"),
    pytest.param(recordings.too_short, "too_short", id="short"),
    pytest.param(recordings.too_long, "too_long", id="long"),
    pytest.param(recordings.too_big, "payload_too_large", id="big"),
]
BAD_ADDRESSES = [
    pytest.param("/missing", "source_not_found", id="404"),
    pytest.param("/hang", "source_unavailable", id="hang"),
    pytest.param("/to-loopback", "source_refused", id="loopback"),
    pytest.param("/to-metadata", "source_refused", id="metadata"),
    pytest.param("/endless", "source_too_large", id="endless"),
]


def _worker_pids(machine: Machine) -> set[int]:
    """The three pools' main processes."""
    supervisor, *rest = machine.family()
    return {
        p.pid for p in rest if p.ppid() == supervisor.pid and "workers.app" in p.cmdline() and "worker" in p.cmdline()
    }


@pytest.mark.parametrize(("make", "code"), BAD_FILES)
def test_a_bad_file_is_named_by_its_code(
    machine: Machine, tmp_path: Path, make: Callable[[Path], Path], code: str
) -> None:
    """The command ends with 1, says the code on stderr and nothing on stdout; no worker was lost over it."""
    workers = _worker_pids(machine)
    done = machine.run("analyze", make(tmp_path), "--json", within_s=120)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"({code})" in done.stderr
    assert (_worker_pids(machine), len(workers)) == (workers, 3)


@pytest.mark.parametrize(("path", "code"), BAD_ADDRESSES)
def test_a_bad_address_is_named_by_its_code(machine: Machine, hostile: str, path: str, code: str) -> None:
    """What the web answers badly ends the job within bounded time; no worker was lost over it."""
    workers = _worker_pids(machine)
    done = machine.run("analyze", f"{hostile}{path}", "--json", within_s=180)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"({code})" in done.stderr
    assert (_worker_pids(machine), len(workers)) == (workers, 3)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.wav", "https://169.254.169.254/a", "file:///etc/passwd"])
def test_a_private_address_is_not_fetched(machine: Machine, address: str) -> None:
    """An address inside the network, or none of the web at all, is refused."""
    done = machine.run("analyze", address, "--json", within_s=120)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "(source_refused)" in done.stderr or "(invalid_input)" in done.stderr


@pytest.mark.parametrize("kind", ["silence", "noise", "music"])
def test_where_nobody_speaks_nothing_is_invented(machine: Machine, tmp_path: Path, kind: str) -> None:
    """No words, no turns, and a report that says that no speech was found."""
    path = recordings.write(tmp_path / f"{kind}.wav", getattr(recordings, kind)(12))
    with machine.client() as client, path.open("rb") as file:
        job = client.post("/v1/jobs/file", files={"file": (path.name, file)}).raise_for_status().json()
    done = machine.run("watch", job["id"])
    assert done.returncode == 0, done.stderr
    assert "(no_speech)" in done.stderr
    with machine.client() as client:
        result = client.get(f"/v1/jobs/{job['id']}/result").raise_for_status().json()
    assert result["transcript"]["text"] == ""
    assert result["turns"] == []


def test_time_is_bounded_although_the_address_hangs(machine: Machine, hostile: str) -> None:
    """While one address hangs, another job is still done: a hanging server holds up nobody."""
    with machine.client() as client:
        hanging = client.post("/v1/jobs", json={"source": {"url": f"{hostile}/hang?2"}}).raise_for_status().json()
        missing = client.post("/v1/jobs", json={"source": {"url": f"{hostile}/missing?2"}}).raise_for_status().json()
        deadline = time.monotonic() + 60
        while client.get(f"/v1/jobs/{missing['id']}").json()["status"] != "failed":
            assert time.monotonic() < deadline, "the second job waits for the first"
            time.sleep(0.2)
        client.post(f"/v1/jobs/{hanging['id']}/cancel").raise_for_status()
