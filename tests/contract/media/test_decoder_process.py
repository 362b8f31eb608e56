"""The process around ffmpeg: who killed it decides whether another try can help."""

import os
import signal

import psutil
import pytest

from shared.adapters.ffmpeg import ffmpeg_binary
from shared.adapters.ffmpeg_process import run_decoder
from shared.domain.errors import DecoderLost, SetupError, StorageUnavailable

pytestmark = pytest.mark.contract


def endless() -> list[str]:
    """At the speed of sound, so that it is still at it when it is killed."""
    source = ["-re", "-f", "lavfi", "-i", "sine=duration=60", "-progress", "pipe:1", "-stats_period", "0.1"]
    return [ffmpeg_binary(), "-nostdin", "-loglevel", "error", *source, "-f", "null", "-"]


def kill_decoders(number: signal.Signals) -> None:
    for child in psutil.Process().children(recursive=True):
        if "ffmpeg" in child.name():
            os.kill(child.pid, number)


def test_a_decoder_killed_from_outside_is_tried_again() -> None:
    """A machine that ran out of memory says nothing about the recording."""
    with pytest.raises(DecoderLost) as caught:
        run_decoder(endless(), time_limit_s=30.0, on_progress=lambda done_s: kill_decoders(signal.SIGKILL))
    assert caught.value.retryable


def test_a_decoder_that_faults_is_the_recordings_trouble() -> None:
    """Only the recording can make it fault, and would again: that is told as a failed decode."""
    log = run_decoder(endless(), time_limit_s=30.0, on_progress=lambda done_s: kill_decoders(signal.SIGSEGV))
    assert log.failed


def test_a_missing_decoder_is_a_matter_of_setup() -> None:
    """No other try on this machine will find it."""
    with pytest.raises(SetupError):
        run_decoder(["/nowhere/ffmpeg"], time_limit_s=1.0, on_progress=lambda done_s: None)


def test_a_full_disk_is_the_machines_trouble() -> None:
    """Its complaint is heard although nothing can be written, and the recording is not blamed."""
    command = [ffmpeg_binary(), "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=60"]
    with pytest.raises(StorageUnavailable):
        run_decoder([*command, "-f", "flac", "-y", "/dev/full"], time_limit_s=30.0, on_progress=lambda done_s: None)
