"""Damages a media file in ways that transfers, recorders and attackers do. The same seed gives the same damage."""

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random], bytes]
HEADER_BYTES = 512  # where containers keep what they promise
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**63 - 1, 2**64 - 1)
# Fields whose number says how long the recording is or how large a part of it, and what stands between mark and field.
PROMISES = (
    (b"RIFF", 0, 4, "little"),
    (b"data", 0, 4, "little"),
    (b"fmt ", 8, 4, "little"),  # sample rate
    (b"fmt ", 6, 2, "little"),  # channels
    (b"fLaC", 14, 8, "big"),  # rate, channels, total samples
    (b"mvhd", 16, 4, "big"),  # duration
    (b"mdhd", 16, 4, "big"),
    (b"tkhd", 20, 4, "big"),
    (b"mvhd", 12, 4, "big"),  # time scale
    (b"stsz", 8, 4, "big"),  # number of samples
    (b"stts", 4, 4, "big"),
    (b"stco", 4, 4, "big"),
    (b"moov", -4, 4, "big"),  # the box's own size
    (b"mdat", -4, 4, "big"),
    (b"Xing", 8, 4, "big"),
    (b"Info", 8, 4, "big"),  # frames of an MP3
    (b"OggS", 2, 8, "little"),  # position in time
    (b"OpusHead", 1, 1, "little"),  # channels
    (b"\x44\x89", 1, 8, "big"),  # Matroska's duration
    (b"\x2a\xd7\xb1", 1, 3, "big"),  # and its time scale
)


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 3, 10, 100, 1000))):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def flip_header_bits(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 2, 5, 20))):
        damaged[draw.randrange(min(HEADER_BYTES, len(damaged)))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice((draw.randrange(64), draw.randrange(len(content)), len(content) - 1))]


def lie_in_the_header(content: bytes, draw: random.Random) -> bytes:
    """Some number in the first bytes becomes an extreme one."""
    width = draw.choice((1, 2, 4, 8))
    number = draw.choice(EXTREMES) % 256**width
    at = draw.randrange(min(HEADER_BYTES, len(content) - width))
    return content[:at] + number.to_bytes(width, draw.choice(("little", "big"))) + content[at + width :]


def promise_too_much(content: bytes, draw: random.Random) -> bytes:
    """A field that is known to say how long or how large."""
    present = [promise for promise in PROMISES if promise[0] in content]
    if not present:
        return lie_in_the_header(content, draw)
    mark, skip, width, order = draw.choice(present)
    at = max(0, content.index(mark) + len(mark) + skip) if skip >= 0 else max(0, content.index(mark) + skip)
    number = draw.choice(EXTREMES) % 256**width
    return content[:at] + number.to_bytes(width, order) + content[at + width :]  # type: ignore[arg-type]


def cut_out(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.choice((1, 7, 512, 4096)) :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    block = content[start : start + draw.choice((1, 16, 512, 4096))]
    return content[:start] + block * draw.choice((2, 10, 200)) + content[start:]


def pour_noise(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + draw.randbytes(draw.choice((4, 100, 5000))) + content[start:]


def splice(content: bytes, other: bytes, draw: random.Random) -> bytes:
    """The beginning of one, the end of another: a transfer that mixed up two files."""
    return content[: draw.randrange(len(content))] + other[draw.randrange(len(other)) :]


ALONE: tuple[Mutation, ...] = (
    flip_bits,
    flip_header_bits,
    truncate,
    lie_in_the_header,
    promise_too_much,
    promise_too_much,
    cut_out,
    repeat,
    pour_noise,
)


def mutate(originals: Sequence[bytes], draw: random.Random) -> bytes:
    """One to three kinds of damage to one of the originals."""
    content = draw.choice(originals)
    for _ in range(draw.choice((1, 1, 2, 3))):
        if not content or draw.random() < 0.1:
            content = splice(content or b"\0", draw.choice(originals), draw)
        else:
            content = draw.choice(ALONE)(content, draw)
    return content
