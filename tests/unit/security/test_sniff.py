"""What a file is by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import NotAudio
from shared.guard.sniff import HEAD_BYTES, other_kind, refuse_other_kinds

pytestmark = pytest.mark.unit

RECORDINGS = {
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "avi": b"RIFF\x24\x00\x00\x00AVI LIST",
    "w64": b"riff\x2e\x91\xcf\x11",
    "m4a": b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00",
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00",
    "mov": b"\x00\x00\x00\x14ftypqt  ",
    "mp3 with a tag": b"ID3\x04\x00\x00\x00\x00\x00\x00",
    "mp3": b"\xff\xfb\x90\x64",
    "aac": b"\xff\xf1\x50\x80",
    "flac": b"fLaC\x00\x00\x00\x22",
    "ogg": b"OggS\x00\x02",
    "webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
    "aiff": b"FORM\x00\x00\x00\x00AIFF",
    "caf": b"caff\x00\x01\x00\x00",
    "amr": b"#!AMR\n",
    "amr-wb": b"#!AMR-WB\n",
    "au": b".snd\x00\x00\x00\x18",
    "wma": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00b\xcel",
    "flv": b"FLV\x01\x05",
    "mpeg": b"\x00\x00\x01\xba",
    "ts": b"G@\x00\x10\x00\x00\xb0\x0d",
    "nothing known": b"\x01\x02\x03\x04",
    "nothing": b"",
}
OTHERS = {
    "zip": b"PK\x03\x04\x14\x00",
    "gzip": b"\x1f\x8b\x08",
    "tar": b"a" * 257 + b"ustar\x0000",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!\x1a\x07\x01\x00",
    "pdf": b"%PDF-1.7",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "heic": b"\x00\x00\x00\x18ftypheic",
    "elf": b"\x7fELF\x02",
    "exe": b"MZ\x90\x00",
    "script": b"#!/bin/sh\n",
    "html": b"<!DOCTYPE html>",
    "html after space": b"\xef\xbb\xbf \r\n\t<HTML>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg">',
    "xml": b"<?xml version='1.0'?>",
    "m3u": b"#EXTM3U\n",
    "ffconcat": b"ffconcat version 1.0\n",
    "concat": b"file '/etc/passwd'\n",
    "sdp": b"v=0\r\no=- 0 0 IN IP4 0.0.0.0",
    "address": b"http://169.254.169.254/",
}


@pytest.mark.parametrize("head", RECORDINGS.values(), ids=RECORDINGS.keys())
def test_a_recording_passes(head: bytes) -> None:
    """And so does what is not known: the decoder decides."""
    refuse_other_kinds(head)


@pytest.mark.parametrize("head", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_certainly_no_recording_is_named(head: bytes) -> None:
    """Refused whatever its name and type say, and told what it is."""
    with pytest.raises(NotAudio, match="not a recording"):
        refuse_other_kinds(head + b"\x00" * 64)


@pytest.mark.parametrize("head", RECORDINGS.values(), ids=RECORDINGS.keys())
def test_a_page_hidden_behind_a_header_is_still_a_recording(head: bytes) -> None:
    """A polyglot is decoded as what its header says; it is never served as a page."""
    if len(head) > 4:
        assert other_kind(head + b"<script>alert(1)</script>") is None


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_get_an_answer(head: bytes) -> None:
    """Nothing that is sent breaks the look at it."""
    assert other_kind(head) is None or isinstance(other_kind(head), str)
