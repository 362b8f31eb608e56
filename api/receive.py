"""A recording that comes as a form: from the socket into the object store, with its fields."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.forms import Event, Field, FileBegin, FileReader, read_form
from api.intake import header_bytes
from api.schemas import JobFields
from api.webhook_address import check_address
from shared.domain.errors import EmptyFile, InvalidInput, PayloadTooLarge, VibeInsightError
from shared.domain.ids import OwnerId
from shared.domain.records import Upload
from shared.guard.sniff import HEAD_BYTES, refuse_other_kinds
from shared.toolbox import Toolbox

FORM_OVERHEAD_BYTES = 1024 * 1024  # boundaries, part headers and fields around the file
UPLOADS_AT_ONCE = 8  # each holds a thread and about 60 MB: parts on their way and the one being filled
PIECE_BYTES = 1024 * 1024
LONGEST_NAME = 255
IDEMPOTENCY_KEY = "Idempotency-Key"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    fields: JobFields
    upload: Upload
    sha256: str


@dataclass
class Receiver:
    """One request's form. `upload` is set as soon as there is something to clean up after a failure."""

    tools: Toolbox
    owner: OwnerId
    slots: CapacityLimiter
    upload: Upload | None = None
    sha256: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    async def receive(self, request: Request) -> Received:
        self._refuse_declared_size(request)
        if IDEMPOTENCY_KEY not in request.headers:  # else it may be a repetition, which takes nothing
            await run_sync(self.tools.owner_use.expect_job, self.owner)
        try:
            await self._read(read_form(request))
            fields = self._checked()
            if self.upload is None:
                raise InvalidInput("The form has no part `file`; send it as `curl -F file=@meeting.m4a` does")
        except BaseException:
            await self.discard()
            raise
        return Received(fields, self.upload, self.sha256)

    async def discard(self) -> None:
        """What was stored of a request that is refused; best effort, for the refusal itself must come through."""
        if self.upload is None:
            return
        try:
            await run_sync(discard_upload, self.tools, self.upload)
        except VibeInsightError as error:
            log.warning("upload_left_behind", key=self.upload.key, code=error.code)

    def _checked(self) -> JobFields:
        fields = parse_fields(self.fields)
        if fields.webhook is not None:
            check_address(self.tools, fields.webhook)
        return fields

    def _refuse_declared_size(self, request: Request) -> None:
        cap = self.tools.settings.max_upload_bytes
        if (header_bytes(request.headers) or 0) > cap + FORM_OVERHEAD_BYTES:
            raise PayloadTooLarge(f"The file is larger than {cap} bytes", max_bytes=cap)

    async def _read(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if isinstance(event, Field):
                self.fields[event.name] = event.value
            elif isinstance(event, FileBegin):
                await self._store(event, events)

    async def _store(self, begin: FileBegin, events: AsyncIterator[Event]) -> None:
        if begin.name != "file" or self.upload is not None:
            raise InvalidInput("The form must have one file, in the part `file`")
        self._checked()  # what is wrong before the file is refused before the file is read
        name = _plain(begin.filename)
        self.upload = await run_sync(self._create_row, name, begin.content_type)
        reader = FileReader(events, max_bytes=self.tools.settings.max_upload_bytes)
        try:
            await run_sync(self._put, self.upload, reader, limiter=self.slots)
        except Exception as error:
            raise (reader.failure or error) from None
        if reader.bytes_read == 0:
            raise EmptyFile(f"The file {name!r} is empty")
        self.sha256 = reader.sha256
        self.upload = await run_sync(self._complete_row, self.upload, reader.bytes_read)

    def _create_row(self, filename: str, content_type: str) -> Upload:
        return self.tools.ledger.create_upload(self.owner, filename=filename, content_type=content_type, bytes=0)

    def _put(self, upload: Upload, reader: FileReader) -> None:
        content = io.BufferedReader(reader, PIECE_BYTES)
        refuse_other_kinds(content.peek(HEAD_BYTES))
        self.tools.objects.put_stream(upload.key, content, upload.content_type)

    def _complete_row(self, upload: Upload, size: int) -> Upload:
        return self.tools.ledger.complete_upload(self.owner, upload.id, bytes=size)


def discard_upload(tools: Toolbox, upload: Upload) -> None:
    """Bytes and row of an upload that no job uses."""
    tools.objects.delete_prefix(upload.key.rpartition("/")[0] + "/")
    tools.ledger.drop_upload(upload.owner_id, upload.id)


def _plain(filename: str) -> str:
    return "".join(character for character in filename if character.isprintable())[:LONGEST_NAME] or "recording"


def parse_fields(fields: dict[str, str]) -> JobFields:
    """A form's texts as the JSON fields of the same names."""
    read = {name: _value(name, text) for name, text in fields.items() if text != ""}
    try:
        return JobFields.model_validate(read)
    except ValidationError as error:
        raise RequestValidationError(
            [{**found, "loc": ("body", *found["loc"])} for found in error.errors(include_url=False)]
        ) from error


def _value(name: str, text: str) -> object:
    """`roles` may also be a plain list, for the sake of curl: roles=coach,client."""
    if name == "roles" and not text.lstrip().startswith("["):
        return [role.strip() for role in text.split(",")]
    if name not in ("speakers", "roles", "options"):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # "auto", or something that the schema refuses by its field's name
