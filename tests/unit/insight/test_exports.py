"""Transcripts and reports in every format: valid, readable, and deaf to what a recording tries to tell them."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from docx import Document
from markdown_it import MarkdownIt

from pipelines.insight.report import escape_markdown, render_report
from pipelines.text.cues import LONGEST_CUE_S, MOST_CHARACTERS, MOST_CJK_CHARACTERS
from pipelines.text.exports import render_transcript
from pipelines.text.labels import clock
from shared.domain.errors import InvalidInput
from tests.insight_samples import COACHING, COACHING_JA, INTERRUPTED, Line, result_of

pytestmark = pytest.mark.unit

SRT_TIME = re.compile(r"^(\d{2}):(\d{2}):(\d{2}),(\d{3}) --> (\d{2}):(\d{2}):(\d{2}),(\d{3})$")
VTT_TIME = re.compile(r"^(\d{2}):(\d{2}):(\d{2})\.(\d{3}) --> (\d{2}):(\d{2}):(\d{2})\.(\d{3})$")
# One word each, as the sample puts words apart at spaces.
ATTACKS = (
    "<script>alert(1)</script>",
    "<img/src=x/onerror=alert(1)>",
    "{{7*7}}",
    "**bold**",
    "[link](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "`code`",
    "|cell|",
    "-->",
    "=HYPERLINK(1)",
    "</style>",
    "&lt;b&gt;",
)
HOSTILE: tuple[Line, ...] = (
    ("S1", 0, 20, "What " + " ".join(ATTACKS) + "?"),
    ("S2", 21, 30, '=cmd|"/c'),
    ("S1", 31, 33, "# Heading"),
    ("S2", 34, 36, "1. First"),
)


def _transcript(lines: tuple[Line, ...], format: str, language: str = "en", **options: Any) -> str:
    return render_transcript(result_of(lines, language, **options), format)[0].decode("utf-8-sig")


def _report(lines: tuple[Line, ...], format: str, language: str = "en", **options: Any) -> str:
    return render_report(result_of(lines, language, **options), format)[0].decode()


def _times_s(match: re.Match[str]) -> tuple[float, float]:
    h, m, s, ms, *rest = map(int, match.groups())
    h2, m2, s2, ms2 = rest
    return h * 3600 + m * 60 + s + ms / 1000, h2 * 3600 + m2 * 60 + s2 + ms2 / 1000


class Page(HTMLParser):
    """Elements and attributes of a page, and its text outside of style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("lines", [COACHING, HOSTILE], ids=["coaching", "hostile"])
def test_srt_is_valid(lines: tuple[Line, ...]) -> None:
    """Numbered from one, a time line each that goes forward, one line of text without markup."""
    blocks = _transcript(lines, "srt").strip("\n").split("\n\n")
    starts = []
    for number, block in enumerate(blocks, start=1):
        index, times, text = block.split("\n")
        match = SRT_TIME.match(times)
        assert match
        start_s, end_s = _times_s(match)
        starts.append(start_s)
        assert int(index) == number
        assert end_s > start_s
        assert not set("<>{}") & set(text)
    assert starts == sorted(starts)


@pytest.mark.parametrize("lines", [COACHING, HOSTILE], ids=["coaching", "hostile"])
def test_vtt_is_valid(lines: tuple[Line, ...]) -> None:
    """The signature, then cues whose text is escaped and whose voice is the speaker."""
    head, *cues = _transcript(lines, "vtt").strip("\n").split("\n\n")
    assert head == "WEBVTT"
    for cue in cues:
        times, text = cue.split("\n")
        match = VTT_TIME.match(times)
        assert match
        start_s, end_s = _times_s(match)
        assert end_s > start_s
        assert re.fullmatch(r"<v [^<>&]+>[^<>]+", text)
        assert "-->" not in text


def test_cues_can_be_read() -> None:
    """No cue is longer than 7 s or than two lines, in either script."""
    for lines, language, most in ((COACHING, "en", MOST_CHARACTERS), (COACHING_JA, "ja", MOST_CJK_CHARACTERS)):
        blocks = _transcript(lines, "srt", language).strip("\n").split("\n\n")
        for block in blocks:
            _, times, text = block.split("\n")
            match = SRT_TIME.match(times)
            assert match
            start_s, end_s = _times_s(match)
            assert end_s - start_s <= LONGEST_CUE_S
            assert len(text.split(": ", 1)[1]) <= most


def test_clock() -> None:
    """Rounded once, so that no part overflows."""
    assert clock(3599.9996, ",") == "01:00:00,000"
    assert clock(61.5, ".") == "00:01:01.500"
    assert clock(61.5) == "00:01:01"


def test_text_has_a_line_for_each_paragraph() -> None:
    """Time, name, and what was said in a row."""
    assert _transcript(COACHING, "txt").splitlines()[:3] == [
        "[00:00:00] Coach: Hello, what would you like to talk about today?",
        "[00:00:05] Client: I feel stressed because my team does not talk to me. I called a meeting but nobody came.",
        "[00:00:20] Coach: It sounds like you felt alone. What happened then?",
    ]


def test_csv_runs_no_formula() -> None:
    """A cell that begins like a formula is text; the file has its byte order mark."""
    raw, media_type = render_transcript(result_of(HOSTILE), "csv")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert raw.startswith(b"\xef\xbb\xbf")
    assert media_type.startswith("text/csv")
    assert rows[1]["text"] == "'=cmd|\"/c"
    assert not any(cell[:1] in "=+-@" for row in rows for cell in row.values() if cell)


def test_docx_holds_the_words() -> None:
    """Word opens it; a control character, which XML cannot hold, is left out."""
    lines: tuple[Line, ...] = (("S1", 0, 4, "A\x00 bell\x07 rings."), *HOSTILE[1:])
    content, media_type = render_transcript(result_of(lines), "docx")
    paragraphs = [paragraph.text for paragraph in Document(io.BytesIO(content)).paragraphs]
    assert media_type.endswith("wordprocessingml.document")
    assert paragraphs[1].endswith("A bell rings.")


def test_json_transcript_has_segments_and_words() -> None:
    """With who is who and the language, without the report."""
    document = json.loads(_transcript(COACHING, "json"))
    assert list(document) == ["schema", "language", "speakers", "transcript"]
    assert document["transcript"]["segments"][0]["words"][0]["text"] == " Hello,"


@pytest.mark.parametrize("format", ["json", "srt", "vtt", "txt", "docx", "csv"])
def test_empty_transcript_in_every_format(format: str) -> None:
    """No speech is a file like any other."""
    content, _ = render_transcript(result_of(()), format)
    if format in ("txt", "docx"):
        text = (
            content.decode() if format == "txt" else "\n".join(p.text for p in Document(io.BytesIO(content)).paragraphs)
        )
        assert "No speech was found" in text
    if format == "vtt":
        assert content == b"WEBVTT\n"


@pytest.mark.parametrize("render", [render_transcript, render_report])
def test_unknown_format_is_refused(render: Any) -> None:
    """And the answer says which there are."""
    with pytest.raises(InvalidInput, match="json"):
        render(result_of(()), "odt")


def test_page_runs_nothing_that_was_said() -> None:
    """Every attack is on the page as text; no element or handler of theirs is."""
    page = Page(_report(HOSTILE, "html", roles=("coach", "client")))
    assert {"script", "img", "iframe", "link", "object"} & page.tags == set()
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    for attack in ATTACKS[:-1]:
        assert attack in page.text


@pytest.mark.parametrize("lines", [COACHING, HOSTILE, ()], ids=["coaching", "hostile", "silence"])
def test_page_asks_no_network(lines: tuple[Line, ...]) -> None:
    """No address in any attribute or style, and a policy that forbids what may be overlooked."""
    source = _report(lines, "html")
    page = Page(source)
    addresses = [value or "" for name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert [address for address in addresses if not address.startswith("#d-")] == []
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in page.attributes


def test_page_shows_the_charts() -> None:
    """The ratio bar, a lane for each speaker, the interruption's mark."""
    source = _report(INTERRUPTED, "html")
    assert source.count('class="track" x="0"') == 2
    assert 'class="cut"' in source
    widths = [float(w) for w in re.findall(r'<rect class="c\d" x="[\d.]+" y="0" width="([\d.]+)" height="26"', source)]
    assert sum(widths) == pytest.approx(1000, abs=0.1)


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Conversation report"), ("ja", "会話レポート"), ("zh", "對話報告")]
)
def test_report_in_each_language(language: str, title: str) -> None:
    """Title and language of page and Markdown."""
    html, markdown = (_report(COACHING, format, language) for format in ("html", "md"))
    assert f"<h1>{title}</h1>" in html
    assert f'<html lang="{"zh-TW" if language == "zh" else language}">' in html
    assert markdown.startswith(f"# {title}\n")


def test_markdown_gives_no_meaning_to_what_was_said() -> None:
    """Rendered, it holds no link, image, code, table or heading of theirs, and every attack as text."""
    rendered = MarkdownIt("commonmark").enable("table").render(_report(HOSTILE, "md", roles=("coach", "client")))
    page = Page(rendered)
    assert {"script", "img", "a", "table"} & page.tags == set()
    assert "**bold**" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert rendered.count("<h1>") == 1


def test_markdown_escapes_only_what_it_must() -> None:
    """Ordinary text stays readable in a terminal."""
    assert escape_markdown("It's 3.2 s, isn't it? (yes)") == "It's 3.2 s, isn't it? (yes)"
    assert escape_markdown("- item") == r"\- item"
    assert escape_markdown("1. item") == r"1\. item"
    assert escape_markdown("a\n# b") == r"a \# b"


def test_report_of_silence_says_so_and_shows_no_figures() -> None:
    """No chart, no table, no score."""
    html, markdown = _report((), "html"), _report((), "md")
    assert "No speech was found" in html
    assert '<svg class="ratio"' not in html
    assert "/ 5" not in markdown
    assert "not scored" in markdown


def test_report_of_a_single_speaker() -> None:
    """One bar with the whole, and the reasons for what is missing."""
    markdown = _report(COACHING[1:2], "md")
    assert "`████████████████████` **100 %** Speaker 2" in markdown
    assert "Only one speaker was found." in markdown


def test_json_report_is_the_document() -> None:
    """Nothing is lost on the way."""
    document = result_of(COACHING)
    assert json.loads(render_report(document, "json")[0]) == document
