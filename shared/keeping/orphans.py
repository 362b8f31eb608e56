"""Walks through the bucket, a slice at a time, and deletes what no row names any more."""

from datetime import UTC, datetime

import structlog

from shared.ports.store import ObjectStore
from shared.store.chores import ChoreBook
from shared.store.orphans import GRACE, Orphans
from shared.store.session import Database

CHORE = "orphans"
FOLDERS = ("jobs/", "uploads/")
PAGES = 20  # of a thousand keys a go: 2.9 million keys a day

log = structlog.get_logger(__name__)


def sweep_orphans(database: Database, objects: ObjectStore, *, pages: int = PAGES) -> int:
    """From where the last go stopped to the end of the bucket at most. Returns how many objects were deleted."""
    book, orphans, deleted = ChoreBook(database), Orphans(database), 0
    state = book.recall(CHORE)
    folder, after = int(state.get("folder", 0)), str(state.get("after", ""))
    for _ in range(pages):
        page = objects.list_page(FOLDERS[folder], after)
        doomed = orphans.among(page, datetime.now(UTC))
        if doomed:
            objects.delete_keys(doomed)
            log.warning("orphans.deleted", objects=len(doomed), first=doomed[0])
        deleted += len(doomed)
        after = page[-1].key if page else ""
        if not page:
            folder = (folder + 1) % len(FOLDERS)
            if folder == 0:
                break
    book.remember(CHORE, {"folder": folder, "after": after})
    return deleted


def abort_parts(objects: ObjectStore) -> int:
    """Multipart uploads that nobody can finish any more: their addresses were valid for five hours."""
    return objects.abort_uploads(datetime.now(UTC) - GRACE)
