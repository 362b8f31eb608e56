"""The download stage: a source becomes a file on this disk, with its digest and what its header says."""

import hashlib
from pathlib import Path

from shared.domain.audio import IntakeLimits, MediaFacts, SourceAudio
from shared.domain.errors import InvalidInput, NotAudio, NotFound, SourceNotFound
from shared.domain.job import Source, SourceKind
from shared.ports.media import Fetched, Fetcher, MediaTool
from shared.ports.store import ObjectStore
from shared.ports.tick import Tick

_OURS = "jobs"  # the folder of what stages leave: nobody's source
_PAGES = ("text/html", "application/xhtml+xml")


def download(  # noqa: PLR0913 - each port by name
    source: Source,
    *,
    fetcher: Fetcher,
    objects: ObjectStore,
    media: MediaTool,
    limits: IntakeLimits,
    workdir: Path,
    upload_key: str | None,
    tick: Tick,
) -> tuple[SourceAudio, Path]:
    """`upload_key` is where an upload's bytes are. The length is checked by the header; decoding counts again."""
    target = workdir / "source"
    if source.kind is SourceKind.URL:
        fetched = _from_url(source.value, target, fetcher, limits, tick)
    else:
        fetched = _from_store(_key(source, upload_key), target, objects, limits, tick)
    facts = _probe(target, fetched, media)
    limits.check_longest(facts.duration_s)
    limits.check_shortest(facts.duration_s)
    tick(facts.duration_s)
    return SourceAudio(fetched.sha256, facts, source.kind.value), target


def _from_url(url: str, target: Path, fetcher: Fetcher, limits: IntakeLimits, tick: Tick) -> Fetched:
    return fetcher.fetch(url, target, max_bytes=limits.max_bytes, on_progress=lambda received, total: tick(0.0))


def _from_store(key: str, target: Path, objects: ObjectStore, limits: IntakeLimits, tick: Tick) -> Fetched:
    try:
        facts = objects.head(key)
    except NotFound as error:
        raise SourceNotFound("The uploaded recording is not in the store any more; upload it again") from error
    limits.check_bytes(facts.bytes)
    digest, received = hashlib.sha256(), 0
    with target.open("wb") as file:
        for piece in objects.stream(key) if facts.bytes else ():
            file.write(piece)
            digest.update(piece)
            received += len(piece)
            limits.check_bytes(received)
            tick(0.0)
    return Fetched(received, digest.hexdigest(), facts.content_type)


def _key(source: Source, upload_key: str | None) -> str:
    key = source.value if source.kind is SourceKind.S3 else upload_key
    if not key:
        raise InvalidInput("The source names no object")
    steps = key.split("/")
    if any(step in ("", ".", "..") for step in steps) or "\\" in key or not key.isprintable() or steps[0] == _OURS:
        raise InvalidInput("The source must be the key of a recording in our bucket, without .. or empty steps")
    return key


def _probe(path: Path, fetched: Fetched, media: MediaTool) -> MediaFacts:
    """The commonest mistake gets a message of its own."""
    try:
        return media.probe(path)
    except NotAudio as error:
        if (fetched.content_type or "").split(";")[0].strip().lower() in _PAGES:
            raise NotAudio("The address gives a web page, not a recording; use the link of the download") from error
        raise
