"""What the steward does for keeping and deleting, each a bounded slice."""

import structlog

from shared.keeping.deleting import delete_decided
from shared.keeping.erasing import go_on
from shared.ports.store import ObjectStore
from shared.store.erasures import Erasures
from shared.store.expiry import PROGRESS_ROWS, Expiry
from shared.store.session import Database

SLICES = 10  # of progress rows a go
ERASURE_S = 30.0  # of one erasure a go: the next gets its turn

log = structlog.get_logger(__name__)


def expire(database: Database, objects: ObjectStore) -> dict[str, int]:
    """What the owners' policies let go, and its objects."""
    expiry = Expiry(database)
    went = {"results": expiry.results(), "source": expiry.source(), "derived": expiry.derived()}
    went["uploads"] = expiry.uploads()
    if any(went.values()):
        log.info("retention.expired", **went)
    delete_decided(database, objects)
    return went


def prune(database: Database) -> int:
    """Rows that only grow: progress of old jobs, the log of deliveries."""
    expiry, gone = Expiry(database), 0
    for _ in range(SLICES):
        slice_ = expiry.progress()
        gone += slice_
        if slice_ < PROGRESS_ROWS:
            break
    return gone + expiry.deliveries()


def go_on_erasing(database: Database, objects: ObjectStore) -> None:
    """Erasures that were interrupted, or asked for more than a request's time."""
    for erasure in Erasures(database).open_erasures():
        done = go_on(database, objects, erasure, within_s=ERASURE_S)
        log.info("erasure.went_on", erasure_id=done.id, finished=done.finished_at is not None, left=done.left)


def keep_bucket_rules(objects: ObjectStore) -> None:
    if not objects.keep_rules():
        log.warning("bucket.no_lifecycle_rules")  # the steward's own sweeps do the same, only slower
