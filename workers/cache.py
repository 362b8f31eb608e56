"""The content cache: the same input, stage and parameters give an owner what was made before."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from shared.domain.errors import NotFound
from shared.domain.job import StoredFile
from shared.ports.store import ObjectStore
from shared.store.documents import StageDocuments
from shared.store.runs import Claim, Finished

EDITION = 1  # raise when a stage makes something else of the same input and parameters


def cache_key(claim: Claim, parameters: Mapping[str, object]) -> str:
    return _digest([EDITION, claim.run.stage, claim.run.shard, parameters, claim.upstream])


def content_key(claim: Claim, content: str) -> str:
    """For a stage that learns only by its work what its input is."""
    return _digest([EDITION, claim.run.stage, content])


def object_key(claim: Claim, key: str, name: str) -> str:
    """Ours alone, and the same for every attempt at the same content: two attempts write equal bytes."""
    return f"jobs/{claim.job.id}/{claim.run.stage}/{claim.run.shard}/{key[:16]}/{name}"


def look_up(claim: Claim, key: str, documents: StageDocuments, objects: ObjectStore) -> Finished | None:
    """What an earlier job left, its files copied to this job, so that each may be deleted without the other."""
    found = documents.cached(claim.job.owner_id, claim.run.stage, key)
    if found is None:
        return None
    artefact = found.artefact
    try:
        files = tuple(_copied(objects, stored, object_key(claim, key, stored.name)) for stored in artefact.files)
    except NotFound:  # that job is being deleted
        return None
    return Finished(key, artefact.document, files, found.warnings, from_cache=True, made_by=found.job_id)


def _copied(objects: ObjectStore, stored: StoredFile, key: str) -> StoredFile:
    objects.copy(stored.key, key)
    return replace(stored, key=key)


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
