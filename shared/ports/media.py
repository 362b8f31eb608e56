"""Ports to recordings: what is in a file, its samples, and how it is fetched."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.domain.audio import MediaFacts


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one streaming decode left on disk, as 16 kHz mono FLAC."""

    samples: int
    mix: Path
    channels: tuple[Path, ...]  # left and right of a two-channel source, else empty


class MediaTool(Protocol):
    def probe(self, path: Path) -> MediaFacts:
        """Raises EmptyFile, NotAudio, NoAudioTrack or TruncatedMedia."""
        ...

    def decode(self, path: Path, folder: Path, *, denoise: bool, on_progress: Callable[[float], None]) -> Decoded:
        """Decode once, in constant memory; `on_progress` gets the seconds decoded. Raises MediaError."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    bytes: int
    sha256: str
    content_type: str | None


class Fetcher(Protocol):
    def fetch(
        self, url: str, target: Path, *, max_bytes: int, on_progress: Callable[[int, int | None], None]
    ) -> Fetched:
        """Stream an https address into `target`, resuming by Range. Raises SourceError."""
        ...
