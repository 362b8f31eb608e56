"""A multipart form read as it arrives, so that a two-hour recording passes through without being held anywhere.

The framework's own form parsing reads the whole body to disk before anybody has been authenticated. Here the endpoint
pulls: a piece of the file is taken from the socket when the object store is ready for it, and not before.
"""

import asyncio
import hashlib
import io
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from api.errors import UploadStalled
from shared.domain.errors import InvalidInput, PayloadTooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELDS = 32  # three times what the API knows
MAX_FIELD_BYTES = 16 * 1024  # an options object has some hundred
MAX_HEADER_BYTES = 4096  # a part's header holds a name and a file name
STALLED_S = 60.0  # a phone that changes cells needs seconds; a client that is gone without a word would stay for ever


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegin:
    name: str
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class FileBytes:
    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    pass


Event = Field | FileBegin | FileBytes | FileEnd


@dataclass
class _Part:
    """One part while its bytes come in."""

    headers: dict[str, str] = field(default_factory=dict)
    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    name: str = ""
    filename: str | None = None
    value: bytearray = field(default_factory=bytearray)


class _Assembler:
    """The parser's callbacks, turned into events."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.complete = False
        self._part = _Part()
        self._fields = 0

    def on_part_begin(self) -> None:
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._extend(self._part.header_name, data[start:end], MAX_HEADER_BYTES)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._extend(self._part.header_value, data[start:end], MAX_HEADER_BYTES)

    def on_header_end(self) -> None:
        part = self._part
        part.headers[part.header_name.decode("latin-1").lower()] = part.header_value.decode("latin-1")
        part.header_name, part.header_value = bytearray(), bytearray()

    def on_headers_finished(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get("content-disposition", ""))
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            part.filename = options[b"filename"].decode("utf-8", "replace")
            content_type = part.headers.get("content-type", "application/octet-stream")
            self.events.append(FileBegin(part.name, part.filename, content_type))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.filename is not None:
            self.events.append(FileBytes(data[start:end]))
        else:
            self._extend(self._part.value, data[start:end], MAX_FIELD_BYTES)

    def on_part_end(self) -> None:
        if self._part.filename is not None:
            self.events.append(FileEnd())
            return
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise InvalidInput(f"The form has more than {MAX_FIELDS} fields")
        self.events.append(Field(self._part.name, self._part.value.decode("utf-8", "replace")))

    def on_end(self) -> None:
        self.complete = True

    def _extend(self, buffer: bytearray, data: bytes, cap: int) -> None:
        if len(buffer) + len(data) > cap:
            raise InvalidInput(f"A field of the form is longer than {cap} bytes")
        buffer.extend(data)


async def read_form(request: Request, *, stalled_s: float = STALLED_S) -> AsyncIterator[Event]:
    """The form's parts in the order they come. Raises InvalidInput for what is no form, UploadStalled when it stops."""
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidInput("Send multipart/form-data with a part `file`, as `curl -F file=@meeting.m4a` does")
    assembler = _Assembler()
    parser = MultipartParser(options[b"boundary"], _callbacks(assembler))
    async for piece in _pieces(request, stalled_s):
        _feed(parser, piece)
        while assembler.events:
            yield assembler.events.popleft()
    if not assembler.complete:
        raise InvalidInput("The form ends before its closing boundary")


def _callbacks(assembler: _Assembler) -> "MultipartCallbacks":
    named = {name: getattr(assembler, name) for name in dir(assembler) if name.startswith("on_")}
    return cast("MultipartCallbacks", named)


def _feed(parser: MultipartParser, piece: bytes) -> None:
    try:
        parser.write(piece)
    except FormParserError as error:
        raise InvalidInput("The body is not a well-formed multipart form") from error


async def _pieces(request: Request, stalled_s: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(stalled_s):
                piece = await anext(stream, None)
        except TimeoutError:
            raise UploadStalled(f"Nothing came for {stalled_s:.0f} s; the upload was given up") from None
        if piece is None:
            return
        yield piece


class FileReader(io.RawIOBase):
    """The file's bytes for a thread: each read asks the event loop for the next piece. Counts, caps and hashes."""

    def __init__(self, events: AsyncIterator[Event], *, max_bytes: int) -> None:
        self._events, self._max_bytes = events, max_bytes
        self._loop = asyncio.get_running_loop()
        self._rest = memoryview(b"")
        self._ended = False
        self._digest = hashlib.sha256()
        self.bytes_read = 0
        self.failure: Exception | None = None  # why the reading ended early: truer than what the store makes of it

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Called from another thread than the loop's."""
        if not self._rest and not self._ended:
            self._refill()
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _refill(self) -> None:
        try:
            self._take(asyncio.run_coroutine_threadsafe(self._next(), self._loop).result())
        except Exception as error:
            self.failure = error
            raise

    def _take(self, piece: bytes) -> None:
        self._ended = not piece
        self.bytes_read += len(piece)
        if self.bytes_read > self._max_bytes:
            raise PayloadTooLarge(f"The file is larger than {self._max_bytes} bytes", max_bytes=self._max_bytes)
        self._digest.update(piece)
        self._rest = memoryview(piece)

    async def _next(self) -> bytes:
        async for event in self._events:
            if isinstance(event, FileBytes) and event.data:
                return event.data
            if isinstance(event, FileEnd):
                return b""
        raise InvalidInput("The form ends in the middle of the file")
