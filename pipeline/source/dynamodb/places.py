"""Where an export is, as `ddb2pg migrate --export` takes it."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.places.aws import client
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb.exports import Export

FOLDER = "AWSDynamoDB"


def uri_of_manifest(export: Export, bucket: str, prefix: str) -> str | None:
    """The folder of the manifests that DescribeExport names; its key is from the bucket's root."""
    folder = (export.manifest or "").rpartition("/")[0]
    if not folder:
        return None
    return f"s3://{bucket}/{folder}" if folder.startswith(f"{prefix}/") else f"s3://{bucket}/{prefix}/{folder}"


def folders(aws: AwsSettings, bucket: str, prefix: str) -> frozenset[str] | None:
    """The URIs of all exports below a prefix; None where they cannot be listed, which only exports without manifests need."""
    owner = {"ExpectedBucketOwner": aws.bucket_owner} if aws.bucket_owner else {}
    try:
        pages = (
            client("s3", aws).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{FOLDER}/", Delimiter="/", **owner)
        )
        keys = [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", ())]
    except (ClientError, BotoCoreError):
        return None
    return frozenset(f"s3://{bucket}/{key.rstrip('/')}" for key in keys)


def uri_of_new_folder(table: str, before: frozenset[str] | None, after: frozenset[str] | None, where: str) -> tuple[str | None, str | None]:
    """Of an export without manifests: the URI, or why there is none. `before` is None when nobody looked."""
    if after is None:
        return None, f"{table}: the export brought no manifest, and {where} cannot be listed; allow s3:ListBucket, and look there yourself"
    new = sorted(after - (before or frozenset()))
    if len(new) == 1:
        return f"{table}={new[0]}", None
    if not new:
        return None, f"{table}: the export brought no manifest, and there is no new folder in {where}; look there yourself"
    return None, f"{table}: the export brought no manifest, and it may be any of these; choose: {' '.join(f'{table}={uri}' for uri in new)}"
