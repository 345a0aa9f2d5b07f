"""What was asked for: which tables, into which bucket, of which time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pipeline.errors import Refused

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_NAME: Final = r"[A-Za-z0-9_.-]{3,255}"
_TABLE: Final = re.compile(rf"(?:arn:aws[\w-]*:dynamodb:[\w-]+:\d{{12}}:table/)?({_NAME})")
# Of a bucket and a prefix: botocore's model of ExportTableToPointInTime.
_BUCKET: Final = re.compile(r"(?=.{3,255}\Z)[a-zA-Z0-9]+[.\-\w]*[a-zA-Z0-9]+", re.ASCII)
_LONGEST_PREFIX: Final = 1024


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Of one `ddb2pg export`. The account that must own the bucket is `AwsSettings.bucket_owner`."""

    tables: tuple[str, ...]
    """Names or ARNs."""
    bucket: str
    prefix: str = ""
    export_time: datetime | None = None
    """Aware, to the second; without it, now by DynamoDB's clock."""
    wait: bool = True
    kms_key: str | None = None
    """Encrypt with this key of KMS; without it, with S3's own (AES256)."""
    poll_seconds: float = 2.0
    """Until exports are looked at again; grows to `most_poll_seconds`."""
    most_poll_seconds: float = 30.0

    def prefix_of(self, table: str) -> str:
        """A folder for each table, so that exports that bring no manifest can be told apart."""
        return "/".join(filter(None, (self.prefix.strip("/"), table)))

    def problems(self) -> Iterator[str]:
        """What is wrong with them at first sight, as sentences."""
        if not self.tables:
            yield "there is no table to export; name some"
        names = [_name_of(table) for table in self.tables]
        for table, name in zip(self.tables, names, strict=True):
            if name is None:
                yield f"{table!r} is neither the name of a DynamoDB table nor the ARN of one; correct it"
        for name, times in Counter(filter(None, names)).items():
            if times > 1:
                yield f"{name}: the table is named {times} times; name it once, because an export goes into the folder of its table's name"
        if not _BUCKET.fullmatch(self.bucket):
            yield f"{self.bucket!r} cannot be a bucket's name; give --to s3://BUCKET/PREFIX"
        if any(len(self.prefix_of(name).encode()) > _LONGEST_PREFIX for name in filter(None, names)):
            yield f"the prefix is too long: with a table's name it may have {_LONGEST_PREFIX} bytes; shorten --to"
        if self.export_time and self.export_time.tzinfo is None:
            yield f"--export_time {self.export_time.isoformat()} has no time zone; add Z for UTC"


def _name_of(table: str) -> str | None:
    matched = _TABLE.fullmatch(table)
    return matched[1] if matched else None


def split_target(uri: str) -> tuple[str, str]:
    """The bucket and the prefix of `s3://bucket/prefix`. Raises `Refused`."""
    matched = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", uri)
    if not matched:
        raise Refused([f"--to {uri}: is not s3://BUCKET or s3://BUCKET/PREFIX"])
    return matched[1], (matched[2] or "").strip("/")
