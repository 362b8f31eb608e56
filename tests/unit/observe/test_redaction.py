"""What is hidden, and what is not."""

import pytest

from shared.observe.redaction import HIDDEN, cleaned, cleaned_entry, hide_secrets

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://s3/b/k?X-Amz-Credential=AKIDEXAMPLE%2F2026&X-Amz-Signature=deadbeef", "deadbeef"),
        ("https://s3/b/k?X-Amz-Credential=AKIDEXAMPLE%2F2026&X-Amz-Signature=deadbeef", "AKIDEXAMPLE"),
        ("https://storage/x?GoogleAccessId=me@x&Expires=1&Signature=c2lnbmVk", "c2lnbmVk"),
        ("https://x.blob/y?sv=2024&se=2026&sr=b&sig=azuresig%3D", "azuresig"),
        ("https://cdn/x?Policy=cG9saWN5&Key-Pair-Id=K2ABC", "cG9saWN5"),
        ("https://p.supabase.co/storage/v1/object/sign/a?token=eyJhbGciOi.J9.x", "eyJhbGciOi"),
        ("the header was eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2lnbmF0dXJl", "eyJzdWIiOiIx"),
        ("webhook signed with whsec_C2FVsBQIhrscChlQIMV9", "C2FVsBQIhrscChlQIMV9"),
        ("t=1700000000,v1=0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789abcdef"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("openai said no to sk-proj-abcdefghijklmno", "abcdefghijklmno"),
        ("gemini key AIzaSyA1234567890abcdefghijklmn", "1234567890abcdefghijklmn"),
        ("redis://user:p%2Fss@host:6379/0", "p%2Fss"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_secrets_are_known_by_their_look(text: str, secret: str) -> None:
    """In the middle of a sentence or of an address, whoever signed it."""
    assert secret not in hide_secrets(text)


def test_nested_values_are_cleaned() -> None:
    """However deep, and in whatever container; numbers and plain words stay."""
    given = {
        "request": {"headers": [{"Authorization": "whatever"}, "Bearer abcdef"], "Set-Cookie": "a=b"},
        "webhook": {"secrets": ["one", "two"], "url": "https://x/?page=2"},
        "tokens_in": 512,
        "max_tokens": 100,
        "ok": True,
    }
    assert cleaned(given) == {
        "request": {"headers": [{"Authorization": HIDDEN}, f"Bearer {HIDDEN}"], "Set-Cookie": HIDDEN},
        "webhook": {"secrets": HIDDEN, "url": "https://x/?page=2"},
        "tokens_in": 512,
        "max_tokens": 100,
        "ok": True,
    }


def test_a_name_is_enough() -> None:
    """What stands under such a name is hidden whatever it looks like."""
    for name in (
        "api_key",
        "X-Api-Key",
        "webhook_secret",
        "presigned_url",
        "VIBEINSIGHT_S3_SECRET_KEY",
        "refreshToken",
    ):
        assert cleaned_entry(name, "plain") == HIDDEN
    assert cleaned_entry("token_count", 3) == 3
    assert cleaned_entry("object_key", "jobs/1/x") == "jobs/1/x"


def test_what_nests_without_end_is_cut() -> None:
    """A structure that holds itself does not hang the logger."""
    endless: list[object] = []
    endless.append(endless)
    assert "[...]" in str(cleaned(endless))
