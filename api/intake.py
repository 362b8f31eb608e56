"""What is checked of a recording's source before a job is written: whatever can be refused early is refused here."""

import hashlib
import ipaddress
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel

from api.schemas import SourceIn
from shared.domain.errors import EmptyFile, InvalidInput, NotFound, SourceNotFound, SourceTooLarge
from shared.domain.ids import OwnerId, UploadId
from shared.domain.job import Source, SourceKind
from shared.guard.addresses import AddressGuard, check_url
from shared.toolbox import Toolbox

READABLE = ("uploads", "imports")  # the folders of the bucket that hold one folder an owner

# What a signature adds to an address: it differs each time the same recording is signed.
_SIGNATURE_NAMES = frozenset({"token"})  # Supabase Storage
_SIGNATURE_PREFIXES = ("x-amz-", "x-goog-")


def find_source(tools: Toolbox, owner: OwnerId, wanted: SourceIn) -> Source:
    """Raises what the caller can mend: no such upload, not an address we fetch from, not your object."""
    if wanted.upload_id is not None:
        upload = tools.ledger.get_upload(owner, UploadId(wanted.upload_id))
        return Source(SourceKind.UPLOAD, upload.id, upload.filename)
    if wanted.url is not None:
        return url_source(tools, wanted.url)
    return _object_source(tools, owner, wanted.s3_key or "")


def url_source(tools: Toolbox, url: str) -> Source:
    """What can be told without asking the network; the download stage checks what the name resolves to."""
    allowed = tools.settings.fetch_allow_hosts
    parsed = check_url(url, allowed)
    if _is_literal(parsed.host):
        AddressGuard(allowed).addresses(parsed.host, parsed.port or 443)
    return Source(SourceKind.URL, url, PurePosixPath(urlsplit(url).path).name or None)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _object_source(tools: Toolbox, owner: OwnerId, key: str) -> Source:
    _require_own_folder(owner, key)
    try:
        facts = tools.objects.head(key)
    except NotFound as error:
        raise SourceNotFound(f"There is no object {key!r}") from error
    if facts.bytes == 0:
        raise EmptyFile(f"The object {key!r} is empty")
    check_size(facts.bytes, tools.settings.max_upload_bytes)
    return Source(SourceKind.S3, key, PurePosixPath(key).name)


def _require_own_folder(owner: OwnerId, key: str) -> None:
    """A key is a name, not a path: `..` means nothing to S3, but some servers behind it resolve it."""
    folder, _, rest = key.partition("/")
    mine, _, name = rest.partition("/")
    plain = all(step not in ("", ".", "..") for step in key.split("/")) and key.isprintable() and "\\" not in key
    if folder not in READABLE or mine != owner or not name or not plain:
        allowed = " or ".join(f"{folder}/{owner}/…" for folder in READABLE)
        raise InvalidInput(f"s3_key must name an object of yours: {allowed}")


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise SourceTooLarge(f"The recording has {size} bytes; at most {max_bytes} are taken", max_bytes=max_bytes)


def body_hash(*parts: BaseModel | str) -> str:
    """Equal for requests that ask for the same, however their JSON was written, and whatever options came since."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.model_dump_json(exclude_defaults=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def unsigned(url: str) -> str:
    """The address without its signature, by which two signings of the same recording are the same."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _signs(name)]
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))


def _signs(name: str) -> bool:
    return name.lower() in _SIGNATURE_NAMES or name.lower().startswith(_SIGNATURE_PREFIXES)


def header_bytes(headers: Mapping[str, str]) -> int | None:
    """The declared length of a body, where there is an honest one."""
    declared = headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None
