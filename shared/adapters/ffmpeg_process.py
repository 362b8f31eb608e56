"""One ffmpeg process under control: progress out of it, a time limit over it, and its end when the work must stop."""

import errno
import math
import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import IO

from shared.domain.errors import DecoderLost, DecodeTimedOut, SetupError, StorageUnavailable

# A hostile file must not take the worker along. A decode takes 80 MB of memory and a dozen files.
_LIMITS = {
    resource.RLIMIT_DATA: 1024**3,
    resource.RLIMIT_AS: 4 * 1024**3,  # libraries and threads' stacks count here too
    resource.RLIMIT_FSIZE: 1024**3,  # of one output: 2.5 hours at 16 kHz and 16 bits are 288 MB before compression
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_CORE: 0,  # memory with somebody's voice in it stays off the disk
}
_CORES = 4  # a decode's threads: a processor second of each passes in a second
_KILLED = -signal.SIGKILL  # a hostile file makes it abort or fault, never this
_NO_ROOM = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
_JAIL_TRY_S = 5.0
_LOG_BYTES = 64_000  # of its complaints; a damaged file makes one a frame


@dataclass(frozen=True, slots=True)
class DecodeLog:
    failed: bool
    length_estimated: bool  # the container states no length, so nothing can be missing from it
    tail: str  # for our own log


def run_decoder(command: list[str], *, time_limit_s: float, on_progress: Callable[[float], None]) -> DecodeLog:
    """Whatever `on_progress` raises ends the process."""
    with _in_memory() as complaints:
        with _running(command, complaints, time_limit_s) as (process, expired):
            for done_s in _progress(process):
                on_progress(done_s)
            ended = process.wait()
        if expired.is_set():
            raise DecodeTimedOut(f"Decoding took longer than {time_limit_s:.0f} s and was ended")
        if ended == _KILLED:
            raise DecoderLost("The decoder was killed from outside, as by a machine without memory; it is tried again")
        complaints.seek(0)
        text = complaints.read(_LOG_BYTES).decode(errors="replace")
    if "No space left on device" in text:
        raise StorageUnavailable("The worker's disk is full: decoding could not be finished")
    return DecodeLog(ended != 0, length_estimated="Estimating duration from bitrate" in text, tail=text[-500:])


def _in_memory() -> IO[bytes]:
    """Not on the disk: if that is full, its complaint would be lost, and the recording blamed."""
    return os.fdopen(os.memfd_create("complaints"), "w+b")


@contextmanager
def _running(
    command: list[str], complaints: IO[bytes], time_limit_s: float
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """A process group of its own, so that a signal to the worker leaves the ending to us."""
    if shutil.which(command[0]) is None:  # asked here, for the jail in front of it would only say that it failed
        raise SetupError("ffmpeg cannot be started (no such program): see $FFMPEG_BINARY and PATH")
    try:
        jailed = [*without_network(), *command]
        process = subprocess.Popen(jailed, stdout=subprocess.PIPE, stderr=complaints, text=True, process_group=0)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DecoderLost("The machine has no room for a decoder at the moment; it is tried again") from error
        raise SetupError(f"ffmpeg cannot be started ({error.strerror}): see $FFMPEG_BINARY and PATH") from error
    _limit(process.pid, math.ceil(time_limit_s) * _CORES)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(time_limit_s, expire)
    timer.start()
    try:
        yield process, expired
    finally:
        timer.cancel()
        _kill(process)
        process.communicate()


def _limit(process_id: int, cpu_s: int) -> None:
    for kind, most in {**_LIMITS, resource.RLIMIT_CPU: cpu_s}.items():
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process_id, kind, (most, most))


@cache
def without_network() -> tuple[str, ...]:
    """A command in front of another that leaves it no network but an unused loopback, where the system permits it.

    Where not, the whitelist of protocols alone keeps ffmpeg to the file.
    """
    jail = ("unshare", "--user", "--map-current-user", "--net", "--")
    try:
        done = subprocess.run([*jail, "true"], capture_output=True, timeout=_JAIL_TRY_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return jail if done.returncode == 0 else ()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _progress(process: subprocess.Popen[str]) -> Iterator[float]:
    """Seconds written so far, a few times a second. FFmpeg calls its microseconds `out_time_ms`, too."""
    for line in process.stdout or ():
        key, _, value = line.strip().partition("=")
        if key == "out_time_us" and value.lstrip("-").isdigit():
            yield max(0, int(value)) / 1e6
