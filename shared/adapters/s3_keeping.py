"""So that nothing stays in the object store by mistake: listings, unfinished uploads, lifecycle rules."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from shared.domain.errors import NotFound
from shared.ports.store import Listed

T = TypeVar("T")

LISTING = 1000  # keys a page, and the most that one delete call takes
OURS = "vibeinsight-"
# A second net: what the steward has missed for two days. `tmp/` is for what nobody is to find again tomorrow.
RULES = (
    {
        "ID": f"{OURS}parts",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
    {"ID": f"{OURS}tmp", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}},
)
_NO_RULES = "NoSuchLifecycleConfiguration"
_UNKNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "InvalidRequest", "MalformedXML", "AccessDenied"})


class S3Keeping:
    """The housekeeping half of the port `ObjectStore`."""

    _s3: Any
    _bucket: str
    _call: Callable[[str, Callable[[], Any]], Any]
    _delete: Callable[[list[str]], None]

    def list_page(self, prefix: str, after: str = "", most: int = LISTING) -> Sequence[Listed]:
        asked = {"Bucket": self._bucket, "Prefix": prefix, "MaxKeys": most, **({"StartAfter": after} if after else {})}
        page = self._call(prefix, lambda: self._s3.list_objects_v2(**asked))
        return [Listed(entry["Key"], entry["Size"], entry["LastModified"]) for entry in page.get("Contents", [])]

    def delete_keys(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), LISTING):
            some = list(keys[first : first + LISTING])
            self._call(some[0], lambda some=some: self._delete(some))  # type: ignore[misc]

    def abort_uploads(self, before: datetime) -> int:
        """At most a page of them: the next go finds the rest."""
        page = self._call("", lambda: self._s3.list_multipart_uploads(Bucket=self._bucket, MaxUploads=LISTING))
        old = [begun for begun in page.get("Uploads") or [] if begun["Initiated"] < before]
        return sum(self._abort(begun["Key"], begun["UploadId"]) for begun in old)

    def _abort(self, key: str, upload_id: str) -> bool:
        target = {"Bucket": self._bucket, "Key": key, "UploadId": upload_id}
        try:
            self._call(key, lambda: self._s3.abort_multipart_upload(**target))
        except NotFound:
            return False  # somebody else did, or it was completed in this moment
        return True

    def keep_rules(self) -> bool:
        try:
            others = [rule for rule in self._rules() if not str(rule.get("ID", "")).startswith(OURS)]
            wanted = {"Rules": [*others, *RULES]}
            self._s3.put_bucket_lifecycle_configuration(Bucket=self._bucket, LifecycleConfiguration=wanted)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _UNKNOWN:
                return False
            raise
        return True

    def _rules(self) -> list[dict[str, Any]]:
        try:
            found = self._s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _NO_RULES:
                return []
            raise
        return list(found.get("Rules", []))
