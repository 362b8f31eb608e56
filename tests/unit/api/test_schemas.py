"""What a job request may say."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas import JobIn
from shared.domain.job import JobOptions

pytestmark = pytest.mark.unit

URL = {"url": "https://example.com/a.m4a"}


def _options(**fields: Any) -> JobOptions:
    return JobIn.model_validate({"source": URL, **fields}).to_options()


def test_defaults_are_a_one_on_one_in_an_unknown_language() -> None:
    """Who says nothing gets two speakers, a detected language and roles that are judged."""
    assert _options() == JobOptions(language=None, speakers=2, roles=(), denoise=False, spoken_summary=True)


@pytest.mark.parametrize(
    ("tag", "code"),
    [("ja", "ja"), ("ja-JP", "ja"), ("zh_TW", "zh-TW"), ("zh-Hans", "zh-CN"), ("zh", "zh"), ("EN", "en")],
)
def test_language_is_reduced_to_its_code(tag: str, code: str) -> None:
    """Tags as browsers write them are understood."""
    assert _options(language=tag).language == code


@pytest.mark.parametrize("speakers", [None, "auto"])
def test_speakers_can_be_left_to_us(speakers: object) -> None:
    """JSON says null and a form says auto; both mean: estimate."""
    assert _options(speakers=speakers).speakers is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"language": "xx"}, "language"),
        ({"language": ""}, "language"),
        ({"speakers": 0}, "speakers"),
        ({"speakers": 11}, "speakers"),
        ({"speakers": "two"}, "speakers"),
        ({"roles": ["boss"]}, "roles"),
        ({"roles": ["coach", "client", "client"]}, ""),
        ({"options": {"report_language": "fr"}}, "options"),
        ({"options": {"denoize": True}}, "options"),
        ({"langauge": "ja"}, "langauge"),
        ({"session_id": "a\nb"}, "session_id"),
        ({"session_id": "x" * 201}, "session_id"),
        ({"source": {}}, "source"),
        ({"source": {**URL, "s3_key": "uploads/a/b"}}, "source"),
        ({"source": {"path": "/etc/passwd"}}, "source"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(fields: dict[str, Any], place: str) -> None:
    """Each mistake is found before a job is written, and named."""
    with pytest.raises(ValidationError) as refused:
        JobIn.model_validate({"source": URL, **fields})
    found = refused.value.errors()[0]["loc"]
    assert (found[0] if found else "") == place
