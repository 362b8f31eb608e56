"""What an answer carries beside its body: headers, origins, hosts; and what the pages may load."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cli.stack import Stack
from shared.adapters.s3 import S3ObjectStore
from shared.toolbox import Toolbox
from tests.integration.api.harness import served
from tests.integration.security.conftest import Caller

pytestmark = pytest.mark.integration

FOREIGN = re.compile(r"(?:https?:)?//(?!www\.w3\.org)[\w.-]+\.\w+")


@pytest.fixture(scope="module")
def strict(toolbox: Toolbox) -> Iterator[str]:
    """An API with names of its own, behind https, for one foreign page."""
    own = {
        "allowed_hosts": ("api.example.com", "*.internal.example"),
        "public_url": "https://api.example.com",
        "cors_origins": ("https://app.example.com",),
    }
    tools = Toolbox(toolbox.settings.model_copy(update=own))
    with served(tools) as url:
        yield url
    tools.close()


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/livez", "/v1/jobs", "/v1/keys", "/nowhere"])
def test_every_answer_is_guarded(nobody: Caller, path: str) -> None:
    """No sniffing of types, no frames, no referrer, no foreign origin in the policy, no cookie, nothing kept."""
    answer = nobody("GET", path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|\*|script-src[^;]*unsafe", policy)
    assert "set-cookie" not in answer.headers
    assert "server" not in answer.headers or "uvicorn" in answer.headers["server"]


def test_https_is_insisted_on_where_it_is_there(strict: str, address: str) -> None:
    """And not on a machine that has none."""
    assert "max-age=" in httpx.get(f"{strict}/livez").headers["strict-transport-security"]
    assert "strict-transport-security" not in httpx.get(f"{address}/livez").headers


def test_the_interactive_page_loads_nothing_from_elsewhere(nobody: Caller) -> None:
    """Its scripts and styles come from here, with their own types, and name no other place to load from."""
    page = nobody("GET", "/docs").text
    assert FOREIGN.findall(page) == []
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        answer = nobody("GET", f"/{asset}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
    assert nobody("GET", "/docs/redoc.standalone.js").status_code == 422


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.example.com", 401),
        ("API.example.com:8080", 401),
        ("a.internal.example", 401),
        ("internal.example", 421),
        ("evil.example", 421),
        ("api.example.com.evil.example", 421),
        ("", 421),
        ("[::1]", 421),
    ],
)
def test_only_known_names_are_answered(strict: str, host: str, status: int) -> None:
    """A page whose name was made to point here reads nothing, while health checks by address go on."""
    assert httpx.get(f"{strict}/v1/jobs", headers={"Host": host}).status_code == status
    assert httpx.get(f"{strict}/livez", headers={"Host": host}).status_code == 200


def test_only_named_pages_may_call(strict: str) -> None:
    """Another origin gets no permission, nobody gets to send cookies, and no origin is reflected."""
    ask = {"Access-Control-Request-Method": "POST", "Host": "api.example.com"}
    friend, stranger = (
        httpx.options(f"{strict}/v1/jobs", headers={"Origin": origin, **ask})
        for origin in ("https://app.example.com", "https://evil.example")
    )
    assert friend.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-credentials" not in friend.headers


def test_without_named_pages_there_is_no_permission(nobody: Caller) -> None:
    """The default."""
    answer = httpx.get(f"{nobody.address}/livez", headers={"Origin": "https://app.example.com"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_what_is_no_recording_is_refused_at_the_door(mine: Caller) -> None:
    """By a form and by a direct upload alike, with its code, and nothing of it is kept."""
    form = mine("POST", "/v1/jobs/file", files={"file": ("a.wav", b"PK\x03\x04" + b"x" * 100, "audio/wav")})
    assert (form.status_code, form.json()["code"]) == (422, "not_audio")
    content = b"<svg onload=alert(1)>"
    upload = mine("POST", "/v1/uploads", json={"filename": "a.mp3", "bytes": len(content)}).json()
    httpx.put(upload["url"], content=content, headers=upload["headers"]).raise_for_status()
    done = mine("POST", f"/v1/uploads/{upload['id']}/complete", json={})
    assert (done.status_code, done.json()["code"]) == (422, "not_audio")
    assert mine("POST", f"/v1/uploads/{upload['id']}/complete", json={}).status_code == 404


def test_signed_addresses_are_short_and_for_the_public_name(stack: Stack, tmp_path: Path) -> None:
    """They name the endpoint that callers reach, hold for its name alone, and end after a quarter of an hour."""
    inner = stack.settings.s3_endpoint_url or ""
    public = inner.replace("127.0.0.1", "localhost")
    settings = stack.settings.model_copy(update={"s3_public_endpoint_url": public})
    store = S3ObjectStore(settings)
    signed = store.presign_put("tests/public", "audio/wav", settings.presign_expires_s)
    assert signed.startswith(public)
    assert parse_qs(urlsplit(signed).query)["X-Amz-Expires"] == ["900"]
    send = {"content": b"abc", "headers": {"Content-Type": "audio/wav"}}
    assert httpx.put(signed.replace("localhost", "127.0.0.1"), **send).status_code == 403
    assert httpx.put(signed, **send).status_code == 200
    assert store.head("tests/public").bytes == 3
    store.delete_prefix("tests/public")
