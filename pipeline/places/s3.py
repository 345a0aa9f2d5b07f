"""S3, or a server that speaks its protocol: reading objects, writing them whole, and sentences for what S3 refuses.

The codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.places.aws import UNREACHABLE, client, error_code, is_still_expired, why
from pipeline.places.place import PREFLIGHT_NAME, AwsSettings, ChangedFile, NewFile, StorageFailed, StoredFile, join

# botocore itself gives up within three seconds, unless S3 asks it to slow down. Each of these asks is one of its own: half a minute in all.
_ASKS: Final = 7
# A body that breaks off is asked for again where it broke. So many breaks in a row end it, unless so many bytes came in between.
_BREAKS: Final = 8
_BYTES_OF_PROGRESS: Final = 1 << 20
_LONGEST_WAIT: Final = 10.0  # seconds
# What is read at a time: bytes of a body that breaks off inside it are asked for again.
_BLOCK: Final = 1 << 16
# S3 takes up to 10,000 parts, so objects of up to 80 GB; what is held in memory is one part a file. Parts but the last have at least 5 MiB.
_PART: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class S3Place:
    """`s3://bucket/key`; what is written is encrypted with `kms_key`, or else as the bucket says."""

    aws: AwsSettings
    kms_key: str | None = None

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        bucket, key = _split(folder)
        prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
        token: dict[str, str] = {}
        while True:
            answer = self._list(folder, Bucket=bucket, Prefix=prefix, **token)
            for entry in answer.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # what some programs make to show a folder
                    yield StoredFile(f"s3://{bucket}/{entry['Key']}", entry["Size"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """The version is the ETag."""
        bucket, key = _split(uri)

        def get(version: str | None, first_byte: int) -> dict[str, Any]:
            is_version = {"IfMatch": version} if version else {}
            part = {"Range": f"bytes={first_byte}-"} if first_byte else {}
            answer = self.ask(uri, "get_object", {"Bucket": bucket, "Key": key, **is_version, **part})
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

    def new_file(self, uri: str) -> NewFile:
        return _NewObject(uri, self)

    def why_not_writable(self, folder: str) -> str | None:
        """An upload is begun and given up, so nothing is written."""
        upload = _NewObject(join(folder, PREFLIGHT_NAME), self)
        try:
            upload.begin()
        except (StorageFailed, FileNotFoundError) as failed:
            return str(failed)
        upload.discard()
        return None

    def _list(self, folder: str, **arguments: str) -> dict[str, Any]:
        """A page of a listing. One that broke off before its first byte looks like an empty one to botocore."""
        for tries in range(_BREAKS):
            try:
                answer = self.ask(folder, "list_objects_v2", arguments)
            except FileNotFoundError:
                break
            if "IsTruncated" in answer:
                return answer
            _wait(tries)
        message = f"{folder}: the server does not list its objects as S3 does; look at the network and the endpoint's URL"
        raise StorageFailed(message)

    def ask(self, uri: str, operation: str, arguments: Mapping[str, Any], *, is_writing: bool = False) -> dict[str, Any]:
        """S3's answer to a request that can be made twice. Raises `StorageFailed`, `ChangedFile`, `FileNotFoundError`."""
        owner = {"ExpectedBucketOwner": self.aws.bucket_owner} if self.aws.bucket_owner else {}
        tries = 0
        while True:
            tries += 1
            try:
                return cast("dict[str, Any]", getattr(self._client(uri), operation)(**arguments, **owner))
            except (ClientError, BotoCoreError, RuntimeError) as error:
                cause = _cause_of(error, uri, is_writing=is_writing)
                if tries == _ASKS or not isinstance(cause, _PassingFailure):
                    raise cause from None
            _wait(tries)

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


# -- reading -------------------------------------------------------------------------------------------------------------------------------


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


# -- writing -------------------------------------------------------------------------------------------------------------------------------


class _NewObject(io.RawIOBase):
    """An object that is gathered, and uploaded in parts if it is large. It is there when its upload is complete. See `NewFile`."""

    def __init__(self, uri: str, place: S3Place) -> None:
        super().__init__()
        self._uri = uri
        self._place = place
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": place.kms_key} if place.kms_key else {}

    @property
    def stream(self) -> BinaryIO:
        return cast("BinaryIO", self)

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        """Takes all bytes, as `write` of a file may not."""
        self._buffer += content
        while len(self._buffer) >= _PART:
            self._put_part(bytes(self._buffer[:_PART]))
            del self._buffer[:_PART]
        return len(memoryview(content).cast("B"))

    def begin(self) -> None:
        """Begin an upload in parts; whether that works shows whether we can write."""
        self._upload = self._ask("create_multipart_upload", **self._encryption)["UploadId"]

    def keep(self) -> None:
        if self._upload is None:
            self._ask("put_object", **self._encryption, **_body(bytes(self._buffer)))
        else:
            if self._buffer:
                self._put_part(bytes(self._buffer))
            self._complete()
        self._buffer.clear()

    def discard(self) -> None:
        """If the upload cannot be aborted, the bucket's lifecycle rules must delete its parts."""
        if self._upload is not None:
            with contextlib.suppress(StorageFailed, FileNotFoundError):
                self._ask("abort_multipart_upload", UploadId=self._upload)
        self._buffer.clear()

    def _put_part(self, content: bytes) -> None:
        if self._upload is None:
            self.begin()
        number = len(self._parts) + 1
        answer = self._ask("upload_part", UploadId=self._upload, PartNumber=number, **_body(content))
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def _complete(self) -> None:
        try:
            self._ask("complete_multipart_upload", UploadId=self._upload, MultipartUpload={"Parts": self._parts})
        except (StorageFailed, FileNotFoundError) as failed:
            # The first answer may have been lost: then S3 no longer has the upload when it is asked again.
            with contextlib.suppress(StorageFailed, FileNotFoundError):
                self._ask("head_object")
                return
            raise StorageFailed(str(failed)) from None

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        bucket, key = _split(self._uri)
        return self._place.ask(self._uri, operation, {"Bucket": bucket, "Key": key, **arguments}, is_writing=True)


def _body(content: bytes) -> dict[str, Any]:
    return {"Body": content, "ContentMD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()}


# -- errors as sentences -------------------------------------------------------------------------------------------------------------------

_NO_KEY: Final = (
    "it is encrypted with a KMS key that these credentials may not use, or that is disabled; "
    "allow them kms:Decrypt on the key, or enable it"
)
_DENIED: Final = (
    "access is denied; allow these credentials s3:ListBucket on {bucket} and s3:GetObject on what is in it "
    "(a bucket policy, or an --expected_bucket_owner that is not its owner, can deny it, too)"
)
_DENIED_WRITING: Final = (
    "access is denied; allow these credentials s3:PutObject and s3:AbortMultipartUpload on what is below it, and kms:GenerateDataKey and "
    "kms:Decrypt on the key if it is encrypted with one (a bucket policy, or an --expected_bucket_owner that is not its owner, can deny "
    "it, too)"
)
_ELSEWHERE: Final = "the bucket is in another region, or behind another endpoint; give its --aws_region"
_BUSY: Final = "S3 did not answer, however often it was asked ({code}); wait, and run the same command again"

_SENTENCES: Final = {
    "NoSuchBucket": "there is no bucket {bucket}; correct its name, or the endpoint",
    "InvalidBucketName": "a bucket cannot have that name; correct the URI",
    "InvalidObjectState": "it is archived (Glacier) and cannot be read; restore it first (aws s3api restore-object)",
    **dict.fromkeys(["AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"], _DENIED),
    **dict.fromkeys(["PermanentRedirect", "TemporaryRedirect", "301", "307", "AuthorizationHeaderMalformed"], _ELSEWHERE),
    **dict.fromkeys(["SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504"], _BUSY),
}


class _PassingFailure(StorageFailed):
    """One that may be over in a moment: asking again is worth while."""


def _cause_of(error: Exception, uri: str, *, is_writing: bool) -> Exception:
    """What to raise in place of botocore's error: `FileNotFoundError`, `ChangedFile`, or `StorageFailed` with what to do."""
    # botocore follows a redirect that does not name its region until the stack is full; what it sends may wrap that.
    if isinstance(error, RecursionError) or isinstance(getattr(error, "kwargs", {}).get("error"), RecursionError):
        return StorageFailed(f"{uri}: {_ELSEWHERE}")
    if isinstance(error, RuntimeError) and not is_still_expired(error):
        return error
    code = error_code(error)
    if code in ("NoSuchKey", "404"):
        return FileNotFoundError(2, "there is no such object", uri)
    if code in ("PreconditionFailed", "412"):
        return ChangedFile()
    sentence = why(error) or _sentence(code, error)
    if is_writing and sentence in (_DENIED, _NO_KEY):
        sentence = _DENIED_WRITING
    is_passing = sentence == UNREACHABLE or (sentence == _BUSY and code != "SlowDown")
    return (_PassingFailure if is_passing else StorageFailed)(f"{uri}: {sentence.format(bucket=_split(uri)[0], code=code)}")


def _sentence(code: str, error: Exception) -> str:
    if code.startswith("KMS") or (_SENTENCES.get(code) == _DENIED and "kms" in str(error).lower()):
        return _NO_KEY
    if not code:
        return f"S3 cannot be asked for it ({type(error).__name__}); look at the URI"
    return _SENTENCES.get(code, "S3 refuses the request ({code}); look up what it means, and look at the URI and the bucket's policy")
