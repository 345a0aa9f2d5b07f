"""S3, or a server that speaks its protocol."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeVar, cast

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.places.aws_client import client
from pipeline.places.aws_settings import AwsSettings
from pipeline.places.place import ChangedFile, StorageFailed, StoredFile
from pipeline.places.s3_errors import ELSEWHERE, PassingFailure, cause_of

# botocore itself gives up within three seconds, unless S3 asks it to slow down. Each of these asks is one of its own: half a minute in all.
_ASKS: Final = 7
# A body that breaks off is asked for again where it broke. So many breaks in a row end it, unless so many bytes came in between.
_BREAKS: Final = 8
_BYTES_OF_PROGRESS: Final = 1 << 20
_LONGEST_WAIT: Final = 10.0  # seconds
# What is read at a time: bytes of a body that breaks off inside it are asked for again.
_BLOCK: Final = 1 << 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class S3Place:
    """`s3://bucket/key`; the client is the process's one."""

    aws: AwsSettings

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """See `Place`."""
        bucket, key = _split(folder)
        prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
        token: dict[str, str] = {}
        while True:
            answer = self._list(folder, Bucket=bucket, Prefix=prefix, **token)
            for found in answer.get("Contents", ()):
                if not found["Key"].endswith("/"):  # what some programs make to show a folder
                    yield StoredFile(f"s3://{bucket}/{found['Key']}", found["Size"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def read(self, uri: str) -> bytes:
        """See `Place`."""
        with self.open(uri, None)[0] as stream:
            return stream.read()

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """See `Place`; the version is the ETag."""
        bucket, key = _split(uri)

        def get(version: str | None, first_byte: int) -> dict[str, Any]:
            is_version = {"IfMatch": version} if version else {}
            part = {"Range": f"bytes={first_byte}-"} if first_byte else {}
            answer = self._ask(uri, "get_object", {"Bucket": bucket, "Key": key, **is_version, **part})
            # Not every server that speaks S3's protocol knows all of it.
            if version not in (None, answer["ETag"]):
                raise ChangedFile
            if first_byte and not answer.get("ContentRange", "").startswith(f"bytes {first_byte}-"):
                message = (
                    f"{uri}: the connection broke off, and the server does not send the rest of an object alone; copy the export to disk"
                )
                raise StorageFailed(message)
            return answer

        answer = get(version, 0)
        stream = _ObjectStream(uri, answer["Body"], answer["ContentLength"], lambda first_byte: get(answer["ETag"], first_byte)["Body"])
        return cast("BinaryIO", stream), answer["ETag"]

    def _list(self, folder: str, **arguments: str) -> dict[str, Any]:
        """A page of a listing. One that broke off before its first byte looks like an empty one to botocore."""
        for tries in range(_BREAKS):
            try:
                answer = self._ask(folder, "list_objects_v2", arguments)
            except FileNotFoundError:
                break
            if "IsTruncated" in answer:
                return answer
            _wait(tries)
        message = f"{folder}: the server does not list its objects as S3 does; look at the network and the endpoint's URL"
        raise StorageFailed(message)

    def ask_to_write(self, uri: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """S3's answer to a request that can be made twice. Raises `StorageFailed`, and `FileNotFoundError` for what is not there."""
        return self._ask(uri, operation, arguments, is_writing=True)

    def _ask(self, uri: str, operation: str, arguments: Mapping[str, Any], *, is_writing: bool = False) -> dict[str, Any]:
        owner = {"ExpectedBucketOwner": self.aws.bucket_owner} if self.aws.bucket_owner else {}

        def ask() -> dict[str, Any]:
            return cast("dict[str, Any]", getattr(self._client(uri), operation)(**arguments, **owner))

        for tries in range(1, _ASKS):
            try:
                return _told(uri, ask, is_writing=is_writing)
            except PassingFailure:
                _wait(tries)
        return _told(uri, ask, is_writing=is_writing)

    def _client(self, uri: str) -> Any:
        try:
            return client("s3", self.aws)
        except ValueError:
            message = (
                f"{uri}: the endpoint or the region is none; correct --endpoint_url or AWS_ENDPOINT_URL (https://HOST:PORT), --aws_region"
            )
            raise StorageFailed(message) from None


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def _wait(tries: int) -> None:
    time.sleep(random.uniform(0.1, min(0.2 * 2**tries, _LONGEST_WAIT)))


def _told(uri: str, work: Callable[[], T], *, is_writing: bool = False) -> T:
    """The work's result; botocore's errors as a place tells them."""
    try:
        return work()
    except (ClientError, BotoCoreError) as error:
        raise cause_of(error, uri, is_writing=is_writing) from None
    except RecursionError:
        # botocore follows a redirect that does not name its region for ever.
        raise StorageFailed(f"{uri}: {ELSEWHERE}") from None


class _ObjectStream(io.RawIOBase):
    """An object's bytes in order. A body that breaks off goes on where it broke, of the same version or not at all."""

    def __init__(self, uri: str, body: Any, size: int, ask_from: Callable[[int], Any]) -> None:
        self._uri = uri
        self._body: Any | None = body
        self._size = size
        self._ask_from = ask_from
        self._position = 0
        self._breaks = 0
        self._position_at_break = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        while wanted:
            read = self._read(wanted)
            if read:
                buffer[: len(read)] = read
                self._position += len(read)
                return len(read)
            self._note_break()
        return 0

    def _read(self, wanted: int) -> bytes:
        """Some of the bytes that come next; none when the body broke off."""
        if self._body is None:
            self._body = self._ask_from(self._position)
        try:
            return cast("bytes", self._body.read(min(wanted, _BLOCK)))
        except (BotoCoreError, urllib3.exceptions.HTTPError, OSError):
            return b""

    def _note_break(self) -> None:
        self._close_body()
        if self._position - self._position_at_break >= _BYTES_OF_PROGRESS:
            self._breaks = 0
        self._breaks += 1
        self._position_at_break = self._position
        if self._breaks > _BREAKS:
            message = f"{self._uri}: the connection breaks off again and again; look at the network, and run the same command again"
            raise StorageFailed(message)
        _wait(self._breaks)

    def _close_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        """Let go of the connection, too."""
        self._close_body()
        super().close()
