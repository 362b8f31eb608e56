"""The object store, over any S3: Tigris or Supabase Storage in production, SeaweedFS in the embedded stack."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError

from shared.adapters.s3_keeping import LISTING, S3Keeping
from shared.domain.errors import Conflict, InvalidInput, NotFound, SetupError, StorageUnavailable
from shared.ports.store import ObjectFacts, PresignedPart
from shared.settings import Settings

T = TypeVar("T")

_CONNECT_S = 3.0  # the store is near; longer means that it is down
_READ_S = 30.0
_TRIES = 4  # with the waits between them about two seconds: a restart of the store is the ledger's business
_PART_BYTES = 16 * 1024**2  # 10,000 parts of it are 160 GB, and two in flight stay below 40 MB of memory
_PIECE_BYTES = 1024**2
_MISSING = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_UPLOAD_REFUSED = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"}


class S3ObjectStore(S3Keeping):
    """Port `ObjectStore`. One client a process: it is safe between threads and keeps its connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bucket = settings.s3_bucket

    def put(self, key: str, path: Path, content_type: str) -> ObjectFacts:
        """Large files go up in parts."""
        extra = {"ContentType": content_type}
        self._call(key, lambda: self._s3.upload_file(str(path), self._bucket, key, extra, Config=self._transfer))
        return self.head(key)

    def put_stream(self, key: str, content: BinaryIO, content_type: str) -> ObjectFacts:
        """Once: what was read of `content` is gone, so that another try is the sender's."""
        extra = {"ContentType": content_type}
        with _explained(key):
            self._s3.upload_fileobj(content, self._bucket, key, ExtraArgs=extra, Config=self._transfer)
        return self.head(key)

    def get(self, key: str, target: Path) -> None:
        with target.open("wb") as file:
            for piece in self.stream(key):
                file.write(piece)

    def stream(self, key: str, first: int | None = None, last: int | None = None) -> Iterator[bytes]:
        """A dropped connection is taken up again where it broke, as long as the object is the same."""
        reading = _Reading(self._s3, {"Bucket": self._bucket, "Key": key}, first or 0, last)
        while piece := self._call(key, reading.next_piece):
            yield piece

    def head(self, key: str) -> ObjectFacts:
        found = self._call(key, lambda: self._s3.head_object(Bucket=self._bucket, Key=key))
        return ObjectFacts(key, found["ContentLength"], found.get("ContentType", ""), found["ETag"].strip('"'))

    def copy(self, source: str, target: str) -> None:
        origin = {"Bucket": self._bucket, "Key": source}
        self._call(source, lambda: self._s3.copy_object(Bucket=self._bucket, Key=target, CopySource=origin))

    def delete_prefix(self, prefix: str) -> int:
        if not prefix.strip("/"):
            raise InvalidInput("An empty prefix would delete the whole bucket")
        deleted = 0
        while keys := self._call(prefix, lambda: self._first_keys(prefix)):
            self._call(prefix, lambda keys=keys: self._delete(keys))  # type: ignore[misc]
            deleted += len(keys)
        return deleted

    def presign_get(self, key: str, expires_s: int, filename: str | None = None) -> str:
        parameters = {"Bucket": self._bucket, "Key": key}
        if filename is not None:
            parameters["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return self._presign("get_object", parameters, expires_s)

    def presign_put(self, key: str, content_type: str, expires_s: int) -> str:
        parameters = {"Bucket": self._bucket, "Key": key, "ContentType": content_type}
        return self._presign("put_object", parameters, expires_s)

    def start_multipart(
        self, key: str, content_type: str, parts: int, expires_s: int
    ) -> tuple[str, Sequence[PresignedPart]]:
        begun = self._call(
            key, lambda: self._s3.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        )
        target = {"Bucket": self._bucket, "Key": key, "UploadId": begun["UploadId"]}
        return begun["UploadId"], [
            PresignedPart(number, self._presign("upload_part", target | {"PartNumber": number}, expires_s))
            for number in range(1, parts + 1)
        ]

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> ObjectFacts:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        self._call(
            key,
            lambda: self._s3.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=multipart_id, MultipartUpload={"Parts": parts}
            ),
        )
        return self.head(key)

    def ping(self) -> None:
        try:
            with _explained(self._bucket):
                self._s3.head_bucket(Bucket=self._bucket)
        except NotFound as error:
            raise StorageUnavailable(f"The object store has no bucket {self._bucket!r}: create it") from error

    def ensure_bucket(self) -> None:
        """For the embedded stack: the bucket, and the right of our own pages to upload to it."""
        with _explained(self._bucket):
            with suppress(self._s3.exceptions.BucketAlreadyOwnedByYou, self._s3.exceptions.BucketAlreadyExists):
                self._s3.create_bucket(Bucket=self._bucket)
            self._s3.put_bucket_cors(Bucket=self._bucket, CORSConfiguration={"CORSRules": [self._cors()]})

    def _cors(self) -> dict[str, list[str]]:
        return {
            "AllowedOrigins": [self._settings.public_url.rstrip("/")],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],  # the browser must tell us each part's
        }

    def _presign(self, operation: str, parameters: dict[str, Any], expires_s: int) -> str:
        return str(self._signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=expires_s))

    def _first_keys(self, prefix: str) -> list[str]:
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=LISTING)
        return [entry["Key"] for entry in page.get("Contents", [])]

    def _delete(self, keys: list[str]) -> None:
        doomed = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        if self._s3.delete_objects(Bucket=self._bucket, Delete=doomed).get("Errors"):
            raise StorageUnavailable("The object store could not delete all of them")

    def _call(self, key: str, action: Callable[[], T]) -> T:
        for attempt in self._retrying():
            with attempt, _explained(key):
                return action()
        raise AssertionError("unreachable: the last try raises")

    def _retrying(self) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(_TRIES),
            retry=retry_if_exception_type(StorageUnavailable),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )

    @cached_property
    def _transfer(self) -> Any:
        from boto3.s3.transfer import TransferConfig

        transfer = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=2)
        transfer.max_in_memory_upload_chunks = 2  # of a stream; the default of ten would hold 160 MB an upload
        return transfer

    @cached_property
    def _s3(self) -> Any:
        return self._client(self._settings.s3_endpoint_url)

    @cached_property
    def _signer(self) -> Any:
        """Signs the name by which callers reach the store: the signature holds for no other."""
        public = self._settings.s3_public_endpoint_url
        return self._client(public) if public else self._s3

    def _client(self, endpoint_url: str | None) -> Any:
        import boto3
        from botocore.config import Config

        settings = self._settings
        if settings.s3_access_key is None or settings.s3_secret_key is None:
            raise SetupError("No object store: set S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key.get_secret_value(),
            aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": settings.s3_addressing_style},
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                retries={"total_max_attempts": 1},  # ours are in `_retrying`
                request_checksum_calculation="when_required",  # the newer default is unknown to several stores
                response_checksum_validation="when_required",
            ),
        )


class _Reading:
    """How far one object has been read; a failure leaves it where it was."""

    def __init__(self, s3: Any, target: dict[str, str], first: int, last: int | None) -> None:
        self._s3, self._target = s3, target
        self._next, self._last = first, last
        self._body: Any = None

    def next_piece(self) -> bytes:
        """Empty at the end."""
        try:
            self._body = self._body or self._open()
            piece = bytes(self._body.read(_PIECE_BYTES))
        except BaseException:
            self._body = None
            raise
        self._next += len(piece)
        return piece

    def _open(self) -> Any:
        if self._next or self._last is not None:
            self._target["Range"] = f"bytes={self._next}-{'' if self._last is None else self._last}"
        found = self._s3.get_object(**self._target)
        self._target["IfMatch"] = found["ETag"]
        return found["Body"]


@contextmanager
def _explained(key: str) -> Iterator[None]:
    """The vendor's errors as ours; no address and no credential in the text."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise NotFound(f"There is no object {key!r} in the store") from error
        if code == "PreconditionFailed":
            raise Conflict(f"The object {key!r} changed while it was read") from error
        if code in _UPLOAD_REFUSED:
            raise InvalidInput(f"The parts of {key!r} do not fit together ({code}); upload it again") from error
        if code == "InvalidRange":
            raise InvalidInput(f"The object {key!r} has no such range of bytes") from error
        raise StorageUnavailable(f"The object store refused ({code})") from error
    except (BotoCoreError, Boto3Error, HTTPError, ConnectionError) as error:
        raise StorageUnavailable(f"The object store does not answer ({type(error).__name__})") from error
