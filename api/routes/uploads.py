"""Direct uploads: the client sends the bytes to the object store by signed addresses; here only numbers pass."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter

from api.deps import Caller, TheUpload, Tools
from api.intake import check_size
from api.openapi import problems
from api.receive import discard_upload
from api.schemas import CompleteIn, PartOut, UploadIn, UploadOut
from shared.domain.errors import Conflict, EmptyFile, InvalidInput, NotAudio, NotFound, PayloadTooLarge, SourceTooLarge
from shared.domain.ids import OwnerId
from shared.domain.records import Upload
from shared.guard.sniff import HEAD_BYTES, refuse_other_kinds
from shared.ports.store import ObjectFacts
from shared.toolbox import Toolbox

SINGLE_PUT_BYTES = 64 * 1024**2  # up to here a broken upload is begun again without pain; above, part by part
PART_BYTES = 16 * 1024**2  # 128 parts for the largest file we take; S3 allows 10,000 of at least 5 MiB
SLOWEST_BYTES_PER_S = 125_000  # 1 Mbit/s: the addresses of the last parts must outlive such a line

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


@router.post(
    "",
    status_code=201,
    operation_id="createUpload",
    summary="Get an address to send a recording to",
    responses=problems(413),
)
def create_upload(wanted: UploadIn, caller: Caller, tools: Tools) -> UploadOut:
    """Up to 64 MiB: one signed PUT. Above: a multipart upload with one signed address a part.

    Then `POST /v1/uploads/{id}/complete`, and `POST /v1/jobs` with `{"source": {"upload_id": …}}`.
    """
    _check_declared(wanted.bytes, tools.settings.max_upload_bytes)
    upload = tools.ledger.create_upload(
        caller, filename=wanted.filename, content_type=wanted.content_type, bytes=wanted.bytes
    )
    if wanted.bytes > SINGLE_PUT_BYTES:
        return _begin_parts(tools, caller, upload)
    return _begin_put(tools, upload)


@router.post(
    "/{upload_id}/complete",
    operation_id="completeUpload",
    summary="Say that the bytes are there",
    responses=problems(404, 409),
)
def complete_upload(upload_id: TheUpload, sent: CompleteIn, caller: Caller, tools: Tools) -> UploadOut:
    """Checks that the object exists and has the declared size. Saying so twice is no error."""
    upload = tools.ledger.get_upload(caller, upload_id)
    if not upload.completed:
        _check_arrived(tools, upload, _finish(tools, upload, sent.etags))
        upload = tools.ledger.complete_upload(caller, upload.id)
    return _shown(upload)


def _check_declared(size: int, max_bytes: int) -> None:
    if size == 0:
        raise EmptyFile("An empty file holds no recording")
    try:
        check_size(size, max_bytes)
    except SourceTooLarge as error:
        raise PayloadTooLarge(error.message, **error.details) from None


def _shown(upload: Upload) -> UploadOut:
    return UploadOut(
        id=upload.id,
        filename=upload.filename,
        content_type=upload.content_type,
        bytes=upload.bytes,
        completed=upload.completed,
    )


def _begin_put(tools: Toolbox, upload: Upload) -> UploadOut:
    valid_s = tools.settings.presign_expires_s
    return _shown(upload).model_copy(
        update={
            "method": "put",
            "url": tools.objects.presign_put(upload.key, upload.content_type, valid_s),
            "headers": {"Content-Type": upload.content_type},
            "expires_at": _in(valid_s),
        }
    )


def _begin_parts(tools: Toolbox, owner: OwnerId, upload: Upload) -> UploadOut:
    count = -(-upload.bytes // PART_BYTES)
    valid_s = tools.settings.presign_expires_s + upload.bytes // SLOWEST_BYTES_PER_S
    multipart_id, signed = tools.objects.start_multipart(upload.key, upload.content_type, count, valid_s)
    tools.ledger.expect_parts(owner, upload.id, multipart_id)
    parts = [_part(part.number, part.url, upload.bytes) for part in signed]
    return _shown(upload).model_copy(update={"method": "multipart", "parts": parts, "expires_at": _in(valid_s)})


def _part(number: int, url: str, size: int) -> PartOut:
    first = (number - 1) * PART_BYTES
    return PartOut(number=number, url=url, first_byte=first, last_byte=min(first + PART_BYTES, size) - 1)


def _in(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _finish(tools: Toolbox, upload: Upload, etags: list[str]) -> ObjectFacts:
    expected = -(-upload.bytes // PART_BYTES) if upload.multipart_id else 0
    if len(etags) != expected:
        raise InvalidInput(f"This upload needs {expected} ETags, one a part in order; {len(etags)} came")
    try:
        if upload.multipart_id:
            with suppress(NotFound):  # the parts are gone when an earlier try joined them and was not heard
                return tools.objects.complete_multipart(upload.key, upload.multipart_id, etags)
        return tools.objects.head(upload.key)
    except NotFound as error:
        raise Conflict("The bytes have not arrived; PUT them to the address first", upload_id=upload.id) from error


def _refuse_other_kinds(tools: Toolbox, upload: Upload) -> None:
    last = min(HEAD_BYTES, upload.bytes) - 1
    try:
        refuse_other_kinds(b"".join(tools.objects.stream(upload.key, 0, last)))
    except NotAudio:
        discard_upload(tools, upload)
        raise


def _check_arrived(tools: Toolbox, upload: Upload, facts: ObjectFacts) -> None:
    """Somebody who declared little and sent much gets neither; what is certainly no recording is not kept."""
    if facts.bytes == upload.bytes:
        _refuse_other_kinds(tools, upload)
        return
    discard_upload(tools, upload)
    raise Conflict(
        f"{upload.bytes} bytes were declared and {facts.bytes} arrived; the upload was dropped, begin a new one",
        declared=upload.bytes,
        arrived=facts.bytes,
    )
