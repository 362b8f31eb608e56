"""Deletes everything of an owner, or of one person, and says what went. The API, the steward and the operator's command
line call the same function; whichever is stopped, another goes on.
"""

import time

import structlog

from shared.domain.errors import StorageUnavailable
from shared.domain.ids import OwnerId
from shared.domain.keeping import Erasure
from shared.keeping.deleting import AT_ONCE, delete_decided
from shared.ports.store import ObjectStore
from shared.store.erasures import Erasures
from shared.store.session import Database

log = structlog.get_logger(__name__)


def erase_owner(
    database: Database,
    objects: ObjectStore,
    owner_id: OwnerId,
    *,
    on_behalf_of: str | None = None,
    account: bool = False,
    within_s: float | None = None,
) -> Erasure:
    """The report. It has no `finished_at` when the time was up or the store away: the steward goes on by itself.

    Held when a legal hold lies on anything of it; then nothing is deleted.
    """
    begun = Erasures(database).begin_erasure(owner_id, on_behalf_of=on_behalf_of, account=account)
    return go_on(database, objects, begun, within_s=within_s)


def go_on(database: Database, objects: ObjectStore, erasure: Erasure, *, within_s: float | None = None) -> Erasure:
    """Rows first: what they name is decided with them. Then the objects, then the account."""
    rows, until = Erasures(database), None if within_s is None else time.monotonic() + within_s

    def late() -> bool:
        return until is not None and time.monotonic() > until

    try:
        while rows.erase_jobs(erasure.id):
            if late():
                return rows.end_erasure(erasure.id)
        rows.erase_rest(erasure.id)
        while delete_decided(database, objects, most=AT_ONCE, erasure_id=erasure.id):
            if late():
                return rows.end_erasure(erasure.id)
        if erasure.on_behalf_of is None:
            _delete_unnamed(rows, objects, erasure)
    except StorageUnavailable as error:
        log.warning("erasure.interrupted", erasure_id=erasure.id, reason=error.message)
        rows.note_trouble(erasure.id, error.message)
    return rows.end_erasure(erasure.id)


def _delete_unnamed(rows: Erasures, objects: ObjectStore, erasure: Erasure) -> None:
    """What lies in the owner's folders although no row names it: imports, and what was left behind."""
    living = rows.living_uploads(erasure.owner_id)
    for kind in ("uploads", "imports"):
        folder, after, deleted = f"{kind}/{erasure.owner_id}/", "", 0
        while page := objects.list_page(folder, after):
            after = page[-1].key
            old = [found.key for found in page if found.modified_at <= erasure.requested_at]
            doomed = [key for key in old if key.removeprefix(folder).split("/")[0] not in living]
            if doomed:
                objects.delete_keys(doomed)
            deleted += len(doomed)
        rows.note_objects(erasure.id, kind, deleted)
