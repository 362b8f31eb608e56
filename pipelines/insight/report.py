"""The report as JSON, Markdown and one self-contained HTML page.

What people said is data in all three: HTML is escaped by Jinja, Markdown by `escape_markdown`, on every expression.
The page asks nothing of any network, and its own policy forbids it to.
"""

import json
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.insight.report_view import ReportView
from shared.domain.errors import InvalidInput
from shared.domain.wire import result_from_dict

MEDIA_TYPES = {
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
# What Markdown gives a meaning to inside a line; line breaks would start blocks.
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~!&$])")
_BLOCK_START = re.compile(r"^(?:[-+=](?=[\s=-]|$)|\d+(?=[.)](?:\s|$)))")
BAR_CELLS = 20


def render_report(result: dict[str, Any], format: str) -> tuple[bytes, str]:
    """The report and its media type; `format` is json, md or html."""
    if format not in MEDIA_TYPES:
        raise InvalidInput(f"A report comes as {', '.join(MEDIA_TYPES)}, not as {format!r}")
    if format == "json":
        return json.dumps(result, ensure_ascii=False, indent=2).encode(), MEDIA_TYPES[format]
    view = ReportView(result_from_dict(result))
    environment = _markdown() if format == "md" else _html()
    page = environment.get_template(f"report.{format}.j2").render(view=view, t=view.texts.text)
    return page.encode(), MEDIA_TYPES[format]


@cache
def _html() -> Environment:
    return _environment(autoescape=True)


@cache
def _markdown() -> Environment:
    environment = _environment(autoescape=False, finalize=_finalize)
    environment.globals.update(bar=_bar, number=_numbered, code=_code)
    return environment


def _environment(**options: Any) -> Environment:
    # S701 looks for a literal; HTML is always escaped, Markdown has its own escapes.
    return Environment(  # noqa: S701
        loader=PackageLoader("pipelines.insight"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


def _finalize(value: object) -> object:
    """Every expression in the Markdown template passes here; only our own marks (Markup) go through as they are."""
    return value if isinstance(value, Markup) else escape_markdown(str(value))


def escape_markdown(text: str) -> str:
    line = " ".join(text.split())
    return _BLOCK_START.sub(_disarmed, _SPECIAL.sub(r"\\\1", line))


def _disarmed(start: re.Match[str]) -> str:
    """ "- x" becomes "\\- x", "1. x" becomes "1\\. x"."""
    found = start.group()
    return f"{found}\\" if found.isdigit() else f"\\{found}"


def _bar(share: float) -> Markup:
    filled = round(share * BAR_CELLS)
    return Markup("█" * filled + "░" * (BAR_CELLS - filled))  # noqa: S704 our own two characters


def _numbered(number: int) -> Markup:
    return Markup(f"{number:d}.")  # noqa: S704 a number


def _code(text: str) -> Markup:
    """A code span; a backtick cannot be escaped inside one."""
    return Markup(f"`{text.replace('`', '')}`")  # noqa: S704 no backtick, so no way out
