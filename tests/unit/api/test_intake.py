"""Which sources are taken, and which requests are the same."""

import pytest

from api.intake import body_hash, find_source, unsigned
from api.schemas import JobIn, SourceIn
from shared.domain.errors import InvalidInput, SourceRefused
from shared.domain.ids import OwnerId
from shared.domain.job import Source, SourceKind
from shared.settings import Settings
from shared.toolbox import Toolbox

pytestmark = pytest.mark.unit

ME, OTHER = OwnerId("11111111-1111-4111-8111-111111111111"), OwnerId("22222222-2222-4222-8222-222222222222")


@pytest.fixture
def tools() -> Toolbox:
    """No servers: what is refused here is refused without asking any."""
    return Toolbox(Settings(fetch_allow_hosts=("127.0.0.1:8099",)))


@pytest.mark.parametrize(
    "key",
    [
        f"uploads/{OTHER}/x/a.m4a",
        f"imports/{OTHER}/a.m4a",
        f"jobs/{ME}/a.m4a",
        f"uploads/{ME}",
        f"uploads/{ME}/",
        f"uploads/{ME}/../{OTHER}/a.m4a",
        f"uploads/{ME}/./a.m4a",
        f"uploads/{ME}//a.m4a",
        f"/uploads/{ME}/a.m4a",
        f"uploads/{ME}/a\x00.m4a",
        f"uploads\\{ME}\\a.m4a",
        f"Uploads/{ME}/a.m4a",
        "a.m4a",
    ],
)
def test_a_key_outside_ones_own_folder_is_refused(tools: Toolbox, key: str) -> None:
    """A key must not be a way to another owner's recordings, however it is written."""
    with pytest.raises(InvalidInput):
        find_source(tools, ME, SourceIn(s3_key=key))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.m4a",
        "ftp://example.com/a.m4a",
        "file:///etc/passwd",
        "https:///a.m4a",
        "https://user:secret@example.com/a.m4a",
        "https://127.0.0.1/a.m4a",
        "https://[::1]/a.m4a",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.8/a.m4a",
        "a.m4a",
    ],
)
def test_an_address_that_is_never_fetched_is_refused_at_once(tools: Toolbox, url: str) -> None:
    """Plain http, other schemes, credentials and private numbers need no worker to be refused."""
    with pytest.raises(SourceRefused) as refused:
        find_source(tools, ME, SourceIn(url=url))
    assert "secret" not in refused.value.message


def test_an_allowed_host_may_be_private(tools: Toolbox) -> None:
    """An intranet can name the hosts it trusts."""
    found = find_source(tools, ME, SourceIn(url="http://127.0.0.1:8099/a.m4a?x=1"))
    assert found == Source(SourceKind.URL, "http://127.0.0.1:8099/a.m4a?x=1", "a.m4a")


def test_the_same_request_has_the_same_hash_however_it_is_written() -> None:
    """Order and spelt-out defaults do not make another request; another option does."""
    plain = JobIn.model_validate({"source": {"url": "https://example.com/a"}, "language": "ja"})
    spelt = JobIn.model_validate({"language": "ja-JP", "speakers": 2, "source": {"url": "https://example.com/a"}})
    other = JobIn.model_validate({"source": {"url": "https://example.com/a"}, "language": "ja", "speakers": 3})
    assert body_hash(plain) == body_hash(spelt)
    assert body_hash(plain) != body_hash(other)


@pytest.mark.parametrize(
    ("signed", "plain"),
    [
        (
            "https://x.supabase.co/storage/v1/object/sign/a/b.m4a?token=e30",
            "https://x.supabase.co/storage/v1/object/sign/a/b.m4a",
        ),
        ("https://b.s3.test/a?X-Amz-Signature=1&X-Amz-Date=2&versionId=7", "https://b.s3.test/a?versionId=7"),
        ("https://example.com/get?id=3&empty=", "https://example.com/get?id=3&empty="),
    ],
)
def test_a_signature_is_no_part_of_the_recordings_name(signed: str, plain: str) -> None:
    """Signed twice, a recording is still the same; what else the address says is kept."""
    assert unsigned(signed) == plain
