"""The front door, for whoever opens the address in a browser: what this is and which calls it has."""

from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

HOME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
# Swagger UI sets styles from its script; nothing of it comes from, or goes to, another origin.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ASSET_AGE = "public, max-age=86400"  # they change with a release
_DOCS = """<!doctype html><html lang="en"><meta charset="utf-8"><title>VibeInsight API</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs/swagger-ui.css">
<div id="swagger-ui"></div><script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script></html>"""
_START = "SwaggerUIBundle({url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null});"
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
    return HTMLResponse(_DOCS, headers={"Content-Security-Policy": DOCS_POLICY})


@router.get("/docs/start.js")
def start() -> Response:
    return Response(_START, media_type="text/javascript", headers={"Cache-Control": ASSET_AGE})


@router.get("/docs/{name}")
def asset(name: Literal["swagger-ui-bundle.js", "swagger-ui.css"]) -> Response:
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return Response(_file(name), media_type=kind, headers={"Cache-Control": ASSET_AGE})


@cache
def _file(name: str) -> bytes:
    """Out of the package that carries Swagger UI, so that the lock's hash is that of what a browser runs."""
    return files("fastapi_offline").joinpath("static", name).read_bytes()


def _rows(document: dict[str, Any]) -> list[str]:
    return [
        f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{escape(call.get('summary', ''))}"
        for path, calls in document["paths"].items()
        for method, call in calls.items()
    ]
