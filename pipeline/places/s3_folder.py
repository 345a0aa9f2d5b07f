"""Folders of S3 that a run writes into. An object is there when its upload is complete, so a file is whole or not there."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from pipeline.places.aws_settings import AwsSettings
from pipeline.places.place import StorageFailed, join

# S3 takes up to 10,000 parts, so objects of up to 80 GB; what is held in memory is one part a file.
_PART: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class S3Folder:
    """`s3://bucket/prefix`. Holds settings only, so it travels with a job."""

    uri: str
    aws: AwsSettings = field(default_factory=AwsSettings)
    kms_key: str | None = None
    """Encrypt with this one; None leaves it to the bucket."""

    def __truediv__(self, name: str) -> S3Folder:
        return S3Folder(join(self.uri, name), self.aws, self.kms_key)

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """The last part."""
        return self.uri.rpartition("/")[2]

    def new_file(self, name: str) -> S3File:
        """Begin an object."""
        return S3File(self / name)

    def why_not_writable(self) -> str | None:
        """The sentence that says why nothing can be written; None when it can. An upload is begun and given up, so nothing is written."""
        uploads = Uploads(self / ".ddb2pg-preflight")
        try:
            uploads.abort(uploads.begin())
        except (StorageFailed, FileNotFoundError) as failed:
            return str(failed)
        return None

    def write_bytes(self, content: bytes) -> int:
        """Write an object of this name. Raises `StorageFailed`."""
        Uploads(self).put(content)
        return len(content)


class Uploads:
    """The requests by which one object is written. Each raises `StorageFailed`."""

    def __init__(self, target: S3Folder) -> None:
        from pipeline.places.s3 import S3Place  # noqa: PLC0415 - boto3 takes long to import

        self._place = S3Place(target.aws)
        self._uri = target.uri
        bucket, _, key = target.uri.partition("://")[2].partition("/")
        self._address = {"Bucket": bucket, "Key": key}
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": target.kms_key} if target.kms_key else {}

    def put(self, content: bytes) -> None:
        """The whole object at once."""
        self._ask("put_object", **self._encryption, **_body(content))

    def begin(self) -> str:
        """The id of an upload in parts; whoever can begin one can write."""
        return cast("str", self._ask("create_multipart_upload", **self._encryption)["UploadId"])

    def put_part(self, upload: str, number: int, content: bytes) -> dict[str, Any]:
        """A part, of at least 5 MiB unless it is the last; what `complete` needs of it."""
        answer = self._ask("upload_part", UploadId=upload, PartNumber=number, **_body(content))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def complete(self, upload: str, parts: list[dict[str, Any]]) -> None:
        """The object is there from now on."""
        try:
            self._ask("complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts})
        except (StorageFailed, FileNotFoundError) as failed:
            # An answer may have been lost: asked again, S3 does not know the upload any more.
            with contextlib.suppress(StorageFailed, FileNotFoundError):
                self._ask("head_object")
                return
            raise StorageFailed(str(failed)) from None

    def abort(self, upload: str) -> None:
        """Give the parts up; where that fails, the bucket's own rules have to."""
        with contextlib.suppress(StorageFailed, FileNotFoundError):
            self._ask("abort_multipart_upload", UploadId=upload)

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self._place.ask_to_write(self._uri, operation, **self._address, **arguments)


def _body(content: bytes) -> dict[str, Any]:
    return {"Body": content, "ContentMD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()}


class S3File(io.RawIOBase):
    """See `NewFile`: an object that is gathered, and uploaded in parts if it is large."""

    def __init__(self, target: S3Folder) -> None:
        super().__init__()
        self._uploads = Uploads(target)
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    @property
    def stream(self) -> BinaryIO:
        """To be written into."""
        return cast("BinaryIO", self)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Never less than all of it."""
        self._buffer += content
        while len(self._buffer) >= _PART:
            self._put_part(bytes(self._buffer[:_PART]))
            del self._buffer[:_PART]
        return len(memoryview(content).cast("B"))

    def keep(self) -> None:
        """See `NewFile`."""
        if self._upload is None:
            self._uploads.put(bytes(self._buffer))
        else:
            if self._buffer:
                self._put_part(bytes(self._buffer))
            self._uploads.complete(self._upload, self._parts)
        self._buffer.clear()

    def discard(self) -> None:
        """See `NewFile`."""
        if self._upload is not None:
            self._uploads.abort(self._upload)
        self._buffer.clear()

    def _put_part(self, content: bytes) -> None:
        if self._upload is None:
            self._upload = self._uploads.begin()
        self._parts.append(self._uploads.put_part(self._upload, len(self._parts) + 1, content))
