"""The front door, for whoever opens the address in a browser: what this is and which calls it has."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

HOME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
# The interactive page is loaded from where its makers publish it; everything it needs is named here.
DOCS_POLICY = (
    "default-src 'none'; script-src https://cdn.jsdelivr.net 'unsafe-inline'; connect-src 'self'; "
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'; img-src data: https://fastapi.tiangolo.com; "
    "frame-ancestors 'none'"
)
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>VibeInsight</title>
<meta name="viewport" content="width=device-width"><style>body{{font:16px/1.5 system-ui;margin:3rem auto;
max-width:46rem;padding:0 1rem}}td{{padding:.15rem .8rem .15rem 0;vertical-align:top}}code{{white-space:nowrap}}</style>
<h1>VibeInsight</h1><p>Recordings of conversations in, coaching insight out. The API is up.
Its description: <a href="openapi.json">openapi.json</a>, <a href="docs">as a page to try it</a>.</p>
<table>{rows}</table></html>"""

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
def home(request: Request) -> HTMLResponse:
    page = _PAGE.format(rows="".join(_rows(request.app.openapi())))
    return HTMLResponse(page, headers={"Content-Security-Policy": HOME_POLICY})


@router.get("/docs", response_class=HTMLResponse)
def docs() -> HTMLResponse:
    page = get_swagger_ui_html(openapi_url="openapi.json", title="VibeInsight API")
    page.headers["Content-Security-Policy"] = DOCS_POLICY
    return page


def _rows(document: dict[str, Any]) -> list[str]:
    return [
        f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{escape(call.get('summary', ''))}"
        for path, calls in document["paths"].items()
        for method, call in calls.items()
    ]
