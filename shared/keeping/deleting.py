"""Deletes the objects that the ledger has decided to delete."""

import structlog

from shared.domain.errors import StorageUnavailable
from shared.ports.store import ObjectStore
from shared.store.deletions import Deletions
from shared.store.session import Database

AT_ONCE = 20  # taken together; each is one listing and one delete call for a job's usual handful of objects
MOST = 400  # of one go: a chore's slice stays a matter of seconds

log = structlog.get_logger(__name__)


def delete_decided(
    database: Database,
    objects: ObjectStore,
    *,
    most: int = MOST,
    job_id: str | None = None,
    erasure_id: str | None = None,
) -> int:
    """Those that are due, or of one job, or of one erasure. Raises StorageUnavailable: the rest is due again later."""
    deletions, deleted = Deletions(database), 0
    while deleted < most and (taken := deletions.take(AT_ONCE, job_id=job_id, erasure_id=erasure_id)):
        for doomed in taken:
            deletions.done(doomed, objects.delete_prefix(doomed.prefix))
            deleted += 1
    return deleted


def delete_now(database: Database, objects: ObjectStore, *, job_id: str) -> None:
    """While somebody waits for the answer. The store may be away: then the steward does it when it is back."""
    try:
        delete_decided(database, objects, job_id=job_id)
    except StorageUnavailable as error:
        log.warning("deletion.later", job_id=job_id, reason=error.message)
