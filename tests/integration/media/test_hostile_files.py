"""Files that are something else, or that would have their reader fetch something: never opened, never followed."""

import io
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from shared.adapters.ffmpeg import _INPUT, Ffmpeg, ffmpeg_binary
from shared.adapters.ffmpeg_process import run_decoder, without_network
from shared.domain.errors import MediaError, NotAudio
from shared.settings import Settings
from tests.media_files import noise, save
from tests.media_servers import ScriptedServer, scripted

pytestmark = pytest.mark.integration

# Each asks its reader to fetch {url}.
LURES = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "m3u8 behind a blank line": "\n\n  #EXTM3U\n#EXTINF:3,\n{url}\n",
    "m3u8 with its key elsewhere": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:3,\na.ts\n#EXT-X-ENDLIST\n',
    "m3u8 in UTF-16": "\ufeff#EXTM3U\n#EXTINF:3,\n{url}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{url}'\n",
    "concat list": "file '{url}'\n",
    "pls": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "smil": '<smil><body><audio src="{url}"/></body></smil>',
    "dash": '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation id="1"><BaseURL>{url}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
    "html": '<!doctype html><audio src="{url}"></audio>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{url}\nm=audio 5004 RTP/AVP 0\n",
    "address": "{url}\n",
    "ram": "rtsp://127.0.0.1:{port}/a\n",
    "imf": '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><Path>{url}</Path></AssetMap>',
}


def _lure(folder: Path, text: str, server: ScriptedServer) -> Path:
    url = f"http://{server.host}/fetched.wav"
    content = text.format(url=url, port=server.server_port)
    path = folder / "recording.m4a"
    path.write_bytes(content.encode("utf-16") if content.startswith("\ufeff") else content.encode())
    return path


@pytest.mark.parametrize("lure", LURES.values(), ids=LURES.keys())
def test_nothing_that_a_file_points_to_is_fetched(lure: str, tmp_path: Path) -> None:
    """Neither when it is probed nor when it is decoded; it is refused as no recording."""
    media = Ffmpeg(Settings())
    with scripted(lambda to, n: to.whole(b"RIFF")) as server:
        path = _lure(tmp_path, lure, server)
        for attempt in (
            media.probe,
            lambda file: media.decode(file, tmp_path, denoise=False, on_progress=lambda done_s: None),
        ):
            with pytest.raises(MediaError):
                attempt(path)
        assert server.asked == []


@pytest.mark.parametrize("lure", ["m3u8", "ffconcat", "dash", "sdp"])
def test_the_whitelists_alone_suffice(lure: str, tmp_path: Path) -> None:
    """Were a lure to pass the look at its first bytes, and the system to permit no jail: ffmpeg is held by its options,
    even when it is told what kind of playlist it is.
    """
    formats = {"m3u8": "hls", "ffconcat": "concat", "dash": "dash", "sdp": "sdp"}
    with scripted(lambda to, n: to.whole(b"RIFF")) as server:
        path = _lure(tmp_path, LURES[lure], server)
        for told in ([], ["-f", formats[lure]]):
            options = [word for name, value in _INPUT.items() for word in (f"-{name}", value)]
            done = subprocess.run(
                [ffmpeg_binary(), "-nostdin", "-v", "error", *options, *told, "-i", f"file:{path}", "-f", "null", "-"],
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert done.returncode != 0
        assert server.asked == []


def test_a_decoder_has_no_network(tmp_path: Path) -> None:
    """Where the system permits it, what runs in the decoder's place cannot even reach the loopback."""
    if not without_network():
        pytest.skip("this system permits no network namespace of one's own")
    with scripted(lambda to, n: to.whole(b"RIFF")) as server:
        address = urlsplit(f"http://{server.host}")
        reach = f"import socket; socket.create_connection(({address.hostname!r}, {address.port}), 2)"
        freely = subprocess.run([sys.executable, "-c", reach], capture_output=True, check=False)
        jail = [*without_network(), sys.executable, "-c", reach]
        jailed = subprocess.run(jail, capture_output=True, text=True, check=False)
    assert freely.returncode == 0
    assert "unreachable" in jailed.stderr or "refused" in jailed.stderr


def test_a_decoder_runs_within_limits(tmp_path: Path) -> None:
    """Memory, processor time, size of output and open files are bounded, and there is no core dump."""
    seen: dict[str, str] = {}

    def look(done_s: float) -> None:
        for child in psutil.Process().children():
            limits = Path(f"/proc/{child.pid}/limits").read_text().splitlines()
            seen.update({line[:26].strip(): line[26:].split()[0] for line in limits[1:]})

    script = "import time, sys; print('out_time_us=1', flush=True); time.sleep(0.5)"
    run_decoder([sys.executable, "-c", script], time_limit_s=20.0, on_progress=look)
    gibibyte = 1024**3
    assert seen["Max cpu time"] == "80"
    assert seen["Max file size"] == seen["Max data size"] == str(gibibyte)
    assert seen["Max address space"] == str(4 * gibibyte)
    assert seen["Max open files"] == "64"
    assert seen["Max core file size"] == "0"


def _zip(folder: Path) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.write(save(folder / "inside.wav", noise(1)))
    return held.getvalue()


def _tar(folder: Path) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.add(save(folder / "inside.wav", noise(1)))
    return held.getvalue()


@pytest.mark.parametrize("pack", [_zip, _tar])
def test_an_archive_is_not_opened(pack: Callable[[Path], bytes], tmp_path: Path) -> None:
    """A recording inside does not count; the message says what to send."""
    path = tmp_path / "a.wav"
    path.write_bytes(pack(tmp_path))
    with pytest.raises(NotAudio, match="archive"):
        Ffmpeg(Settings()).probe(path)


def test_a_bomb_of_silence_ends_at_its_limits(tmp_path: Path) -> None:
    """A small file that claims to be endless costs no more than what it holds."""
    path = save(tmp_path / "a.wav", noise(1))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    began = time.process_time()
    with suppress(MediaError):
        assert Ffmpeg(Settings()).probe(path).duration_s < 48 * 3600
    assert time.process_time() - began < 30
