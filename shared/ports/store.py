"""Port to the object store (any S3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    key: str
    bytes: int
    content_type: str
    etag: str


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

    def presign_get(self, key: str, expires_s: int, filename: str | None = None) -> str: ...

    def presign_put(self, key: str, content_type: str, expires_s: int) -> str: ...

    def start_multipart(
        self, key: str, content_type: str, parts: int, expires_s: int
    ) -> tuple[str, Sequence[PresignedPart]]:
        """(multipart id, one URL a part)."""
        ...

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> ObjectFacts: ...

    def ping(self) -> None: ...
