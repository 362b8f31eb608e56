"""Port to the object store (any S3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    key: str
    bytes: int
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class PresignedPart:
    number: int
    url: str


class ObjectStore(Protocol):
    """Keys are ours alone; every failure is StorageUnavailable, a missing key NotFound."""

    def put(self, key: str, path: Path, content_type: str) -> ObjectFacts: ...

    def put_stream(self, key: str, content: BinaryIO, content_type: str) -> ObjectFacts:
        """As `put`, for bytes of unknown number that come once; reads as it sends, in constant memory."""
        ...

    def get(self, key: str, target: Path) -> None: ...

    def stream(self, key: str, first: int | None = None, last: int | None = None) -> Iterator[bytes]:
        """Bytes first..last, both inclusive, in pieces."""
        ...

    def head(self, key: str) -> ObjectFacts: ...

    def copy(self, source: str, target: str) -> None: ...

    def delete_prefix(self, prefix: str) -> int: ...

    def list_page(self, prefix: str, after: str = "", most: int = 1000) -> Sequence[Listed]:
        """In the order of the keys, those behind `after`."""
        ...

    def delete_keys(self, keys: Sequence[str]) -> None: ...

    def abort_uploads(self, before: datetime) -> int:
        """Multipart uploads begun before then and never finished: their parts are in no list of objects."""
        ...

    def keep_rules(self) -> bool:
        """Our lifecycle rules on the bucket, beside those that somebody else has set. False: the store has none."""
        ...

    def presign_get(self, key: str, expires_s: int, filename: str | None = None) -> str: ...

    def presign_put(self, key: str, content_type: str, expires_s: int) -> str: ...

    def start_multipart(
        self, key: str, content_type: str, parts: int, expires_s: int
    ) -> tuple[str, Sequence[PresignedPart]]:
        """(multipart id, one URL a part)."""
        ...

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> ObjectFacts: ...

    def ping(self) -> None: ...
