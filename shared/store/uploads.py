"""Uploads: where an owner may put a recording, and whether it is there."""

import re
from uuid import uuid4

from sqlalchemy import Connection, Update, delete, insert, select, update

from shared.domain.errors import NotFound
from shared.domain.ids import OwnerId, UploadId
from shared.domain.records import Upload
from shared.store.admission import Admission
from shared.store.rows import upload_of, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import uploads

_UNSAFE = re.compile(r"[^\w.\-]+")  # what needs escaping in a URL, or has a meaning in a path
LONGEST_NAME = 100  # an S3 key may have 1024 bytes; a character of Japanese takes three, nine when escaped


def safe_filename(filename: str) -> str:
    """A name for the end of a key: no folders, nothing that needs escaping, the extension kept."""
    name = _UNSAFE.sub("_", filename.replace("\\", "/").rsplit("/", 1)[-1]).strip("._")
    return name[-LONGEST_NAME:] or "recording"


class Uploads:
    def __init__(self, database: Database, admission: Admission) -> None:
        self.database, self.admission = database, admission

    def create_upload(self, owner_id: OwnerId, *, filename: str, content_type: str, bytes: int) -> Upload:
        upload_id = str(uuid4())
        row = {
            "id": upload_id,
            "owner_id": owner_id,
            "key": f"uploads/{owner_id}/{upload_id}/{safe_filename(filename)}",
            "filename": filename,
            "content_type": content_type,
            "bytes": bytes,
        }
        with self.database.begin() as connection:
            self.admission.upload(connection, owner_id, bytes)
            return upload_of(connection.execute(insert(uploads).values(row).returning(uploads)).one())

    def get_upload(self, owner_id: OwnerId, upload_id: UploadId) -> Upload:
        query = select(uploads).where(uploads.c.owner_id == owner_id, uploads.c.id == _id(upload_id))
        with self.database.reading_as(owner_id) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _missing(upload_id)
        return upload_of(row)

    def expect_parts(self, owner_id: OwnerId, upload_id: UploadId, multipart_id: str) -> Upload:
        """Remember under which id the object store collects the parts."""
        with self.database.begin() as connection:
            return _change(connection, owner_id, upload_id, update(uploads).values(multipart_id=multipart_id))

    def complete_upload(self, owner_id: OwnerId, upload_id: UploadId, *, bytes: int | None = None) -> Upload:
        """`bytes`: the size, where it was not known before."""
        arrived: dict[str, object] = {"completed": True, "multipart_id": None}
        if bytes is not None:
            arrived["bytes"] = bytes
        with self.database.begin() as connection:
            self.admission.upload(connection, owner_id, bytes or 0)
            return _change(connection, owner_id, upload_id, update(uploads).values(arrived))

    def drop_upload(self, owner_id: OwnerId, upload_id: UploadId) -> None:
        """Forget an upload that no job was made from."""
        with self.database.begin() as connection:
            connection.execute(delete(uploads).where(uploads.c.owner_id == owner_id, uploads.c.id == _id(upload_id)))


def _change(connection: Connection, owner_id: OwnerId, upload_id: UploadId, change: Update) -> Upload:
    mine = change.where(uploads.c.owner_id == owner_id, uploads.c.id == _id(upload_id)).returning(uploads)
    row = connection.execute(mine).one_or_none()
    if row is None:
        raise _missing(upload_id)
    return upload_of(row)


def _id(upload_id: str) -> str:
    return uuid_or_missing(upload_id, "upload")


def _missing(upload_id: str) -> NotFound:
    return NotFound(f"There is no upload {upload_id!r}")
