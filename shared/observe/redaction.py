"""What never gets out: secrets, known by the name they stand under or by their look."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
DEEPEST = 6  # nesting of what is logged; beyond it nobody reads
# Parts of the names under which secrets stand, in whatever case and with - or _ between.
SECRET_NAMES = (
    "password passwd passphrase secret token authorization api_key apikey access_key private_key credential cookie"
    " signature presigned jwt"
).split()
# Names that hold such a word and are no secret: a count of a model's tokens, which claim holds a lease.
OPEN_NAMES = frozenset({"tokens", "tokens_in", "tokens_out", "max_tokens", "token_type"})
# The parameters by which signed addresses are known: S3, Google, Azure, CloudFront, Supabase and everybody's own.
SIGNED = (
    r"x-(?:amz|goog)-[\w-]+|signature|sig|token|key|api_?key|access_token|refresh_token|id_token|code|secret|password"
    r"|awsaccesskeyid|googleaccessid|key-pair-id|policy|se|sp|sv|sr"
)
SECRET_TEXT = re.compile(
    r"(?P<keep>://[^/\s:@]*:)[^@\s/]+(?=@)"  # user:password@ in an address
    rf"|(?P<sig>[?&](?:{SIGNED})=)[^&\s\"'<>]+"
    r"|(?P<scheme>\b(?:Bearer|Basic) )[\w.~+/=-]+"
    r"|(?P<vi>\bvi_)[\w-]{8,}"  # our keys
    r"|(?P<whsec>\bwhsec_)[\w+/=-]{8,}"  # secrets of webhooks
    r"|(?P<sk>\b[sr]k[-_](?:proj-|live_|test_)?)[\w-]{8,}"  # OpenAI, Stripe
    r"|(?P<google>\bAIza)[\w-]{20,}"
    r"|(?P<aws>\b(?:AKIA|ASIA))[A-Z0-9]{12,}"
    r"|(?P<gh>\b(?:ghp|gho|ghs|hf|sbp)_)[A-Za-z0-9]{16,}"
    r"|(?P<jwt>\beyJ)[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"
    r"|(?P<v1>\bv1=)[0-9a-f]{32,}",  # a webhook's signature
    re.IGNORECASE,
)
KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)


def hide_secrets(text: str) -> str:
    """The text with each secret's beginning kept, so that one can tell what stood there."""
    if "-----BEGIN" in text:
        text = KEY_BLOCK.sub(HIDDEN, text)
    return SECRET_TEXT.sub(lambda found: next(filter(None, found.groups()), "") + HIDDEN, text)


def is_secret_name(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return plain not in OPEN_NAMES and any(word in plain for word in SECRET_NAMES)


def cleaned(value: Any, depth: int = 0) -> Any:
    """The same without secrets, however deep they stand."""
    if isinstance(value, str):
        return hide_secrets(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= DEEPEST:
        return hide_secrets(repr(value))
    if isinstance(value, Mapping):
        return {name: cleaned_entry(name, inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(inner, depth + 1) for inner in value]
    return hide_secrets(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def cleaned_entry(name: Any, value: Any, depth: int = 0) -> Any:
    secret = isinstance(name, str) and is_secret_name(name) and not isinstance(value, bool | int | float | None)
    return HIDDEN if secret else cleaned(value, depth)
