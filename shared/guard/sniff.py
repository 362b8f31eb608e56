"""What a file is by its first bytes, whatever its name and its declared type say.

Refused here is what is certainly no recording: it is told at once, and no decoder ever opens it. What is not known here
goes on to the decoder, which opens known containers only. A recording with something else hidden behind its header is a
recording: its bytes are decoded, never shown as a page.
"""

import re

from shared.domain.errors import NotAudio

HEAD_BYTES = 4096  # more than any signature needs; a tar's stands at 257

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"),
    (0, b"{\\rtf", "a text document"),
    (0, b"\x89PNG\r\n\x1a\n", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"II*\x00", "a picture"),
    (0, b"MM\x00*", "a picture"),
    (8, b"WEBP", "a picture"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"\xca\xfe\xba\xbe", "a program"),
    (0, b"\x00asm", "a program"),
    (0, b"#!/", "a script"),
    (0, b"SQLite format 3\x00", "a database"),
)
_PICTURES = re.compile(rb"....ftyp(?:heic|heix|mif1|msf1|avif|avis)", re.DOTALL)
# Texts that name other files: a decoder that follows them would read what its sender could not.
_TEXTS = (
    (re.compile(rb"#extm3u|#ext-x-"), "a playlist"),
    (re.compile(rb"ffconcat\s+version"), "a playlist"),
    (re.compile(rb"\[playlist\]|\[reference\]"), "a playlist"),
    (re.compile(rb"(?:file|url)\s+['\"]?\S+"), "a playlist"),
    (re.compile(rb"(?:https?|ftp|rtsp|rtmp|mms|file|concat|data|subfile|crypto):"), "an address"),
    (re.compile(rb"v=0\s+o="), "a session description"),
    (re.compile(rb"<(?:\?xml|!doctype|!--|\w)"), "a web page or another XML document"),
)
_SPACE = b" \t\r\n\x0b\x0c\x00"


def refuse_other_kinds(head: bytes) -> None:
    """Raises NotAudio, saying what it is."""
    what = other_kind(head[:HEAD_BYTES])
    if what is not None:
        raise NotAudio(f"The file is {what}, not a recording; send the audio or video file itself")


def other_kind(head: bytes) -> str | None:
    """None: a recording, or nothing that is known here."""
    for offset, signature, what in _SIGNATURES:
        if head.startswith(signature, offset) and (what != "a picture" or offset == 0 or head[:4] == b"RIFF"):
            return what
    if _PICTURES.match(head):
        return "a picture"
    text = _as_text(head)
    return next((what for pattern, what in _TEXTS if pattern.match(text)), None)


def _as_text(head: bytes) -> bytes:
    """In small letters without what editors put in front, UTF-16 too."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", errors="ignore").encode(errors="ignore")
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE).lower()
