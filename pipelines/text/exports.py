"""The transcript in the formats that people ask for. Everything a recording says is data: no format may run it."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.insight.catalogue import catalogue
from pipelines.text.cues import render_srt, render_vtt
from pipelines.text.labels import clock, speaker_names
from pipelines.text.script import join_sentences
from shared.domain.errors import InvalidInput
from shared.domain.ids import SpeakerId
from shared.domain.result import ResultDocument
from shared.domain.transcript import Segment
from shared.domain.wire import result_from_dict, result_to_dict

DOCX_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PARAGRAPH_PAUSE_S = 5.0  # the same speaker after a pause this long starts a new paragraph
# A spreadsheet runs what begins like this.
_FORMULA = re.compile(r"^[=+\-@\t\r]")
# What XML 1.0 cannot hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

Names = Mapping[SpeakerId | None, str]


def render_transcript(result: dict[str, Any], format: str) -> tuple[bytes, str]:
    """The transcript and its media type; `format` is json, srt, vtt, txt, docx or csv."""
    if format not in _FORMATS:
        raise InvalidInput(f"A transcript comes as {', '.join(_FORMATS)}, not as {format!r}")
    render, media_type = _FORMATS[format]
    return render(result_from_dict(result)), media_type


def _json(document: ResultDocument) -> bytes:
    plain = result_to_dict(document)
    kept = {key: plain[key] for key in ("schema", "language", "speakers", "transcript")}
    return json.dumps(kept, ensure_ascii=False, indent=2).encode()


def _srt(document: ResultDocument) -> bytes:
    return render_srt(document.transcript.segments, speaker_names(document)).encode()


def _vtt(document: ResultDocument) -> bytes:
    return render_vtt(document.transcript.segments, speaker_names(document)).encode()


def paragraphs(segments: tuple[Segment, ...]) -> Iterator[list[Segment]]:
    """Segments in a row of one speaker."""
    current: list[Segment] = []
    for segment in segments:
        if current and _starts_paragraph(current[-1], segment):
            yield current
            current = []
        current.append(segment)
    if current:
        yield current


def _starts_paragraph(before: Segment, after: Segment) -> bool:
    return before.speaker != after.speaker or after.start_s - before.end_s >= PARAGRAPH_PAUSE_S


def paragraph_text(paragraph: list[Segment]) -> str:
    return join_sentences([segment.text for segment in paragraph])


def _txt(document: ResultDocument) -> bytes:
    names = speaker_names(document)
    lines = [
        f"[{clock(paragraph[0].start_s)}] {names[paragraph[0].speaker]}: {paragraph_text(paragraph)}"
        for paragraph in paragraphs(document.transcript.segments)
    ]
    return "".join(f"{line}\n" for line in lines or [document.report.summary]).encode()


def _csv(document: ResultDocument) -> bytes:
    """With a byte order mark, without which spreadsheets take Japanese for Latin-1."""
    names, table = speaker_names(document), io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["id", "start_s", "end_s", "speaker", "name", "text"])
    for segment in document.transcript.segments:
        times = (f"{segment.start_s:.3f}", f"{segment.end_s:.3f}")
        writer.writerow(
            [segment.id, *times, segment.speaker or "", _no_formula(names[segment.speaker]), _no_formula(segment.text)]
        )
    return table.getvalue().encode("utf-8-sig")


def _no_formula(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _docx(document: ResultDocument) -> bytes:
    from docx import Document

    texts, names = catalogue(document.report_language), speaker_names(document)
    page = Document()
    page.core_properties.title = texts.text("report.transcript")
    page.add_heading(texts.text("report.transcript"), level=1)
    for paragraph in paragraphs(document.transcript.segments):
        line = page.add_paragraph()
        line.add_run(f"{clock(paragraph[0].start_s)}  {_xml_safe(names[paragraph[0].speaker])}: ").bold = True
        line.add_run(_xml_safe(paragraph_text(paragraph)))
    if not document.transcript.segments:
        page.add_paragraph(document.report.summary)
    file = io.BytesIO()
    page.save(file)
    return file.getvalue()


def _xml_safe(text: str) -> str:
    return _CONTROL.sub("", text)


_FORMATS: dict[str, tuple[Callable[[ResultDocument], bytes], str]] = {
    "json": (_json, "application/json"),
    "srt": (_srt, "application/x-subrip; charset=utf-8"),
    "vtt": (_vtt, "text/vtt; charset=utf-8"),
    "txt": (_txt, "text/plain; charset=utf-8"),
    "docx": (_docx, DOCX_MEDIA_TYPE),
    "csv": (_csv, "text/csv; charset=utf-8"),
}
