"""What S3 answers when it does not answer with an object, as sentences.

The codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.places.aws_client import UNREACHABLE, error_code, why
from pipeline.places.place import ChangedFile, StorageFailed

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
ELSEWHERE: Final = "the bucket is in another region, or behind another endpoint; give its --aws_region"
_BUSY: Final = "S3 did not answer, however often it was asked ({code}); wait, and run the same command again"
_ARCHIVED: Final = "it is archived (Glacier) and cannot be read; restore it first (aws s3api restore-object)"

_SENTENCES: Final = {
    "NoSuchBucket": "there is no bucket {bucket}; correct its name, or the endpoint",
    "InvalidBucketName": "a bucket cannot have that name; correct the URI",
    "InvalidObjectState": _ARCHIVED,
    **dict.fromkeys(["AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"], _DENIED),
    **dict.fromkeys(["PermanentRedirect", "TemporaryRedirect", "301", "307", "AuthorizationHeaderMalformed"], ELSEWHERE),
    **dict.fromkeys(["SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504"], _BUSY),
}


class PassingFailure(StorageFailed):
    """One that may be over in a moment: asking again is worth while."""


def cause_of(error: ClientError | BotoCoreError, uri: str, *, is_writing: bool = False) -> Exception:
    """What to raise in place of botocore's error: `FileNotFoundError`, `ChangedFile`, or `StorageFailed` with what to do."""
    code = error_code(error)
    if code in ("NoSuchKey", "404"):
        return FileNotFoundError(2, "there is no such object", uri)
    if code in ("PreconditionFailed", "412"):
        return ChangedFile()
    bucket = uri.partition("://")[2].partition("/")[0]
    sentence = why(error) or _sentence(code, error)
    if is_writing and sentence in (_DENIED, _NO_KEY):
        sentence = _DENIED_WRITING
    kind = PassingFailure if sentence == UNREACHABLE or (sentence == _BUSY and code != "SlowDown") else StorageFailed
    return kind(f"{uri}: {sentence.format(bucket=bucket, code=code)}")


def _sentence(code: str, error: ClientError | BotoCoreError) -> str:
    if code.startswith("KMS") or (_SENTENCES.get(code) == _DENIED and "kms" in str(error).lower()):
        return _NO_KEY
    if not code:
        return f"S3 cannot be asked for it ({type(error).__name__}); look at the URI"
    return _SENTENCES.get(code, "S3 refuses the request ({code}); look up what it means, and look at the URI and the bucket's policy")
