"""Calls that DynamoDB did not do, and exports that it could not finish, as sentences: what was wrong, where, and what to do next."""

from __future__ import annotations

from typing import Final

from botocore import exceptions

from pipeline.places.aws import error_code, why

_CONNECTION_LOST: Final = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectionClosedError,
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
)
# ExportNotFoundException: an export that was started a moment ago.
_PASSING: Final = {
    "LimitExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ExportNotFoundException",
}
_DENIED: Final = {"AccessDeniedException", "AccessDenied", "UnauthorizedException"}


class CallFailed(Exception):
    """A call that failed for good, after botocore's own retries."""

    def __init__(self, sentence: str, error: Exception) -> None:
        super().__init__(sentence)
        self.code = error_code(error)
        self.is_for_all = why(error) is not None
        """Whether it is of credentials or the connection, so that no other call would fare better."""
        self.is_transient = _is_transient(error, self.code)


def _is_transient(error: Exception, code: str) -> bool:
    if isinstance(error, exceptions.ClientError):
        return code in _PASSING or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, _CONNECTION_LOST) and not isinstance(error, exceptions.SSLError)


def call_failed(error: Exception, action: str, table: str, region: str) -> CallFailed:
    """`action` as IAM names it, without the service."""
    return CallFailed(why(error) or f"{table}: {_sentence(error, action, region)}", error)


def _sentence(error: Exception, action: str, region: str) -> str:
    code = error_code(error)
    said = _said(error)
    if code in _DENIED:
        needs = " (an export also needs s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload)" if action.startswith("Export") else ""
        on = "its exports (table/NAME/export/*)" if action == "DescribeExport" else "the table"
        return f"access is denied; allow these credentials dynamodb:{action} on {on}{needs}"
    no_table = f"there is no such table in {region} in this account; correct its name, --aws_region or AWS_PROFILE"
    sentences = {
        "ResourceNotFoundException": no_table,
        "TableNotFoundException": no_table,
        "PointInTimeRecoveryUnavailableException": "point-in-time recovery is off or not ready; turn it on, wait a minute, run it again",
        "InvalidExportTimeException": f"DynamoDB does not take the export time ({said}); give an --export_time in its recovery window",
        "ExportConflictException": f"DynamoDB sees a conflict with another export ({said}); give another --to, or another --export_time",
        "LimitExceededException": f"DynamoDB runs as many exports as it may ({said}); wait until some are done, and run it again",
    }
    return sentences.get(code) or f"DynamoDB refuses {action} ({code or type(error).__name__}: {said})"


# Enough for AWS's; what is no DynamoDB may answer with a whole page.
_LONGEST_WORDS: Final = 300


def _said(error: Exception) -> str:
    """AWS's own words, on one line."""
    words = error.response.get("Error", {}).get("Message", "") if isinstance(error, exceptions.ClientError) else str(error)
    return " ".join(str(words).split())[:_LONGEST_WORDS] or "it says no more"


# -- exports that end FAILED ---------------------------------------------------------------------------------------------------------------

# The first was seen on AWS (scylladb/scylladb, test/alternator/test_export.py); AWS lists none.
_REMEDIES: Final = {
    "NoSuchBucket": "make the bucket, or correct --to",
    "AccessDenied": "allow these credentials s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload on the bucket, in its policy too "
    "when another account owns it (then give --expected_bucket_owner), and do not revoke them before the export is done",
    "KMS": "allow these credentials kms:GenerateDataKey and kms:Decrypt on the key, which must be enabled and in the bucket's region",
}


def why_failed(code: str | None, message: str | None) -> str:
    """What DynamoDB says of a failed export, and what to do about it."""
    said = " ".join(f"{code or 'no code'}: {message or 'no message'}".split())
    # The codes of S3 come with and without its name.
    remedy = _REMEDIES.get((code or "").removeprefix("S3")) or (_REMEDIES["KMS"] if "kms" in said.lower() else "mend what it names")
    return f"the export failed ({said}); {remedy}"
