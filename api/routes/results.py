"""What a finished job left: the document, its exports, the recording as it was heard, the spoken summary."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.byte_range import Unsatisfiable, parse_range
from api.deps import Caller, TheJob, Tools
from api.errors import problem
from api.openapi import Responses, problems
from pipelines.insight.report import render_report
from pipelines.text.exports import render_transcript
from shared.domain.errors import Conflict, NotFound
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Stage, StoredFile
from shared.store.retention import audio_gone
from shared.toolbox import Toolbox

# A report shows what people said: whatever that was, it must not run. Its own style and drawings may be inside.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

RangeHeader = Annotated[str | None, Header(alias="Range", description="`bytes=0-1023`; one range.")]
EtagHeader = Annotated[str | None, Header(alias="If-None-Match", description="304 when it is still this.")]


class TranscriptFormat(StrEnum):
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    TXT = "txt"
    DOCX = "docx"
    CSV = "csv"


class ReportFormat(StrEnum):
    JSON = "json"
    MD = "md"
    HTML = "html"


_RESULT: Responses = {
    200: {
        "description": "Schema `vibeinsight.result/1`.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ResultDocument"}}},
    }
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_AUDIO: Responses = {
    200: {"description": "The whole.", "content": {"audio/flac": _BINARY}},
    206: {"description": "The range asked for.", "content": {"audio/flac": _BINARY}},
    304: {"description": "As the caller has it."},
}


def _exports(*media_types: str) -> Responses:
    return {200: {"description": "The file.", "content": dict.fromkeys(media_types, _BINARY)}}


@router.get(
    "/result",
    operation_id="getResult",
    summary="The whole result",
    response_class=JSONResponse,
    responses={**_RESULT, **problems(404, 409)},
)
def get_result(job_id: TheJob, caller: Caller, tools: Tools) -> JSONResponse:
    """409 `result_not_ready` while the job runs; 409 with the job's own code when it failed."""
    return JSONResponse(tools.ledger.result(caller, job_id))


@router.get(
    "/transcript",
    operation_id="getTranscript",
    summary="Who said what",
    response_class=Response,
    responses={**_exports("application/json", "text/plain", "text/vtt", "text/csv"), **problems(404, 409)},
)
def get_transcript(
    job_id: TheJob,
    caller: Caller,
    tools: Tools,
    kind: Annotated[TranscriptFormat, Query(alias="format", description="How to write it.")] = TranscriptFormat.JSON,
) -> Response:
    content, media_type = render_transcript(tools.ledger.result(caller, job_id), kind.value)
    return _export(content, media_type, f"transcript-{job_id}.{kind}")


@router.get(
    "/report",
    operation_id="getReport",
    summary="What to make of it",
    response_class=Response,
    responses={**_exports("application/json", "text/markdown", "text/html"), **problems(404, 409)},
)
def get_report(
    job_id: TheJob,
    caller: Caller,
    tools: Tools,
    kind: Annotated[ReportFormat, Query(alias="format", description="How to write it.")] = ReportFormat.JSON,
) -> Response:
    content, media_type = render_report(tools.ledger.result(caller, job_id), kind.value)
    return _export(content, media_type, f"report-{job_id}.{kind}")


@router.get(
    "/audio",
    operation_id="getAudio",
    summary="The recording as it was heard",
    response_class=StreamingResponse,
    responses={**_AUDIO, **problems(404, 409, 410, 416)},
)
def get_audio(
    request: Request,
    job_id: TheJob,
    caller: Caller,
    tools: Tools,
    wanted: RangeHeader = None,
    known: EtagHeader = None,
    if_range: Annotated[str | None, Header(alias="If-Range", description="The ETag that the range is of.")] = None,
) -> Response:
    """16 kHz mono FLAC on the recording's own time line, to play beside the transcript; before that is made, the
    recording as it came.
    """
    file = _heard(tools, caller, job_id)
    return _audio(request, tools, file, wanted if if_range in (None, _etag(file)) else None, known)


@router.get(
    "/summary-audio",
    operation_id="getSummaryAudio",
    summary="The spoken summary",
    response_class=StreamingResponse,
    responses={**_AUDIO, **problems(404, 409, 416)},
)
def get_summary_audio(
    request: Request, job_id: TheJob, caller: Caller, tools: Tools, wanted: RangeHeader = None, known: EtagHeader = None
) -> Response:
    """404 when none was asked for, or when no voice speaks the report's language."""
    tools.ledger.result(caller, job_id)  # raises while there is nothing to summarise
    file = _find(tools, caller, job_id, Stage.SYNTHESIZE, "summary.flac")
    if file is None:
        raise NotFound(f"Job {job_id} has no spoken summary")
    return _audio(request, tools, file, wanted, known)


def _export(content: bytes, media_type: str, filename: str) -> Response:
    place = "attachment" if filename.endswith((".docx", ".csv")) else "inline"
    headers = {"Content-Disposition": f'{place}; filename="{filename}"'}
    if media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = REPORT_POLICY
    return Response(content, media_type=media_type, headers=headers)


def _heard(tools: Toolbox, owner: OwnerId, job_id: JobId) -> StoredFile:
    for stage, name in ((Stage.PREPROCESS, "audio.flac"), (Stage.DOWNLOAD, "source")):
        file = _find(tools, owner, job_id, stage, name)
        if file is not None:
            return file
    gone_at = tools.ledger.kept(owner, job_id).source_deleted_at
    if gone_at is not None:
        raise audio_gone(job_id, gone_at, "its transcript and report are still there")
    error = Conflict(f"The recording of job {job_id} has not been fetched yet")
    error.code = "audio_not_ready"
    raise error


def _find(tools: Toolbox, owner: OwnerId, job_id: JobId, stage: Stage, name: str) -> StoredFile | None:
    left = [artefact for artefact in tools.ledger.artefacts(owner, job_id) if artefact.stage is stage]
    return next((file for artefact in left for file in artefact.files if file.name == name), None)


def _etag(file: StoredFile) -> str:
    return f'"{file.sha256}"'


def _audio(request: Request, tools: Toolbox, file: StoredFile, wanted: str | None, known: str | None) -> Response:
    headers = {"Accept-Ranges": "bytes", "ETag": _etag(file), "Cache-Control": "private, max-age=3600"}
    if known is not None and (known == "*" or _etag(file) in known):
        return Response(status_code=304, headers=headers)
    try:
        part = parse_range(wanted, file.bytes)
    except Unsatisfiable:
        return _unsatisfiable(request, file)
    if part is None:
        headers["Content-Length"] = str(file.bytes)
        return _streamed(lambda: tools.objects.stream(file.key), 200, file, headers)
    headers |= {"Content-Length": str(part.bytes), "Content-Range": f"bytes {part.first}-{part.last}/{file.bytes}"}
    return _streamed(lambda: tools.objects.stream(file.key, part.first, part.last), 206, file, headers)


def _streamed(
    begin: Callable[[], Iterator[bytes]], status: int, file: StoredFile, headers: dict[str, str]
) -> StreamingResponse:
    """The first piece is taken before the answer begins: a store that is away still gives a proper error."""
    pieces = begin()
    first = next(pieces, b"")
    return StreamingResponse(chain([first], pieces), status_code=status, media_type=file.content_type, headers=headers)


def _unsatisfiable(request: Request, file: StoredFile) -> Response:
    return problem(
        request,
        status=416,
        code="range_not_satisfiable",
        detail=f"The recording has {file.bytes} bytes; the range begins behind them.",
        headers={"Content-Range": f"bytes */{file.bytes}"},
    )
