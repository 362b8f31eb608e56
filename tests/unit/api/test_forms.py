"""Forms that are read as they arrive."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from api.errors import UploadStalled
from api.forms import MAX_FIELD_BYTES, Field, FileBegin, FileBytes, FileEnd, FileReader, read_form
from api.receive import parse_fields
from shared.domain.errors import InvalidInput, PayloadTooLarge

pytestmark = pytest.mark.unit

BOUNDARY = "xxBOUNDARYxx"


def _part(disposition: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def _form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _request(pieces: Iterator[bytes], content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Request:
    messages = iter(
        [
            *({"type": "http.request", "body": piece, "more_body": True} for piece in pieces),
            {"type": "http.request", "body": b"", "more_body": False},
        ]
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", content_type.encode())]}
    return Request(scope, receive)  # type: ignore[arg-type]


def _cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


async def _all(request: Request) -> list[object]:
    return [event async for event in read_form(request)]


@settings(deadline=None)
@given(content=st.binary(max_size=300), size=st.integers(1, 400))
def test_a_form_reads_the_same_however_it_is_cut(content: bytes, size: int) -> None:
    """Where the network cuts the body makes no difference to what is in it."""
    body = _form(
        _part('name="language"', b"ja"),
        _part('name="file"; filename="会議.m4a"', content),
        _part('name="roles"', b"coach"),
    )
    events = asyncio.run(_all(_request(_cut(body, size))))
    assert b"".join(event.data for event in events if isinstance(event, FileBytes)) == content
    assert [event for event in events if not isinstance(event, FileBytes)] == [
        Field("language", "ja"),
        FileBegin("file", "会議.m4a", "application/octet-stream"),
        FileEnd(),
        Field("roles", "coach"),
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (b"not a form", f"multipart/form-data; boundary={BOUNDARY}"),
        (_part('name="a"', b"1"), f"multipart/form-data; boundary={BOUNDARY}"),
        (_form(_part('name="a"', b"x" * (MAX_FIELD_BYTES + 1))), f"multipart/form-data; boundary={BOUNDARY}"),
        (_form(*(_part('name="a"', b"x") for _ in range(40))), f"multipart/form-data; boundary={BOUNDARY}"),
        (_form(_part(f'name="{"n" * 5000}"', b"x")), f"multipart/form-data; boundary={BOUNDARY}"),
    ],
    ids=["json", "no boundary", "garbage", "cut off", "long field", "many fields", "long header"],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    """Whatever is sent, the answer is a refusal that says so, and memory stays bounded."""
    with pytest.raises(InvalidInput):
        asyncio.run(_all(_request(iter([body]), content_type)))


def test_a_sender_that_falls_silent_is_given_up() -> None:
    """A client that is gone without a word does not hold its place for ever."""

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sends")

    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)  # type: ignore[arg-type]

    async def read() -> None:
        with pytest.raises(UploadStalled):
            await anext(read_form(request, stalled_s=0.01))

    asyncio.run(read())


async def _pieces(*pieces: bytes) -> AsyncIterator[FileBytes | FileEnd]:
    for piece in pieces:
        yield FileBytes(piece)
    yield FileEnd()


async def _read_in_thread(reader: FileReader) -> bytes:
    return await asyncio.to_thread(lambda: io.BufferedReader(reader, 8).read())


def test_a_thread_reads_the_file_from_the_loop() -> None:
    """The object store's thread gets every byte in order, counted and hashed."""

    async def read() -> tuple[bytes, FileReader]:
        reader = FileReader(_pieces(b"abc", b"", b"defghijklmno", b"p"), max_bytes=16)
        return await _read_in_thread(reader), reader

    content, reader = asyncio.run(read())
    assert content == b"abcdefghijklmnop"
    assert (reader.bytes_read, reader.sha256) == (16, hashlib.sha256(content).hexdigest())


def test_a_file_over_the_cap_stops_the_reading() -> None:
    """The first byte too many ends it, whatever length was declared."""

    async def read() -> FileReader:
        reader = FileReader(_pieces(b"x" * 10, b"x" * 7), max_bytes=16)
        with pytest.raises(PayloadTooLarge):
            await _read_in_thread(reader)
        return reader

    assert isinstance(asyncio.run(read()).failure, PayloadTooLarge)


def test_fields_of_a_form_are_read_as_json_or_plain() -> None:
    """curl's plain texts and the command line's JSON say the same."""
    plain = parse_fields({"language": "ja", "speakers": "3", "roles": "coach, client", "options": ""})
    coded = parse_fields({"language": "ja", "speakers": "3", "roles": '["coach", "client"]'})
    assert plain == coded
    assert (plain.speakers, plain.roles) == (3, ("coach", "client"))
    assert parse_fields({"speakers": "auto"}).speakers is None
