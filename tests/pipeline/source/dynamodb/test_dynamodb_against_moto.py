"""Against moto's server, which writes real exports: data files without manifests, and no times."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb_calls import DynamoDB, ExportRequest
from pipeline.source.manifest import Window
from tests.aws_server import REGION, AwsServer
from tests.faults.jobs import wait_until
from tests.pipeline.source.dynamodb.exporting import Exporting
from transforms.lines import View

_NUMBERS = itertools.count(1)
Use = Callable[[Mapping[str, str]], None]


@pytest.fixture
def moto(aws_server: AwsServer, bucket: str, use_aws: Use) -> Exporting:
    use_aws({**aws_server.environment, "AWS_DEFAULT_REGION": REGION})
    aws_server.make_bucket(bucket)
    return Exporting(aws_server.endpoint_url)


def _make_table(aws_server: AwsServer, items: int, *, is_recoverable: bool = True) -> str:
    name = f"patients-{next(_NUMBERS)}"
    client = aws_server.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(items):
        client.put_item(TableName=name, Item={"id": {"S": f"{name}/{number}"}})
    if is_recoverable:
        client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    return name


def _lines(aws_server: AwsServer, uri: str) -> list[str]:
    bucket, _, prefix = uri.partition("s3://")[2].partition("/")
    found = aws_server.s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]
    bodies: list[Any] = [aws_server.s3.get_object(Bucket=bucket, Key=one["Key"])["Body"] for one in found]
    return [line for body in bodies for line in gzip.decompress(body.read()).decode().splitlines()]


def test_every_table_s_items_are_at_its_uri(aws_server: AwsServer, moto: Exporting, bucket: str) -> None:
    """Twice, into the same prefix: the second time the folders of the first are there."""
    tables = [_make_table(aws_server, items) for items in (3, 5)]
    first = moto(*tables, bucket=bucket)
    second = moto(*tables, bucket=bucket)
    for results in (first, second):
        for table, result, items in zip(tables, results, (3, 5), strict=True):
            name, _, uri = (result.uri or "").partition("=")
            assert name == table
            assert uri.startswith(f"s3://{bucket}/to-postgres/{table}/AWSDynamoDB/")
            lines = _lines(aws_server, uri)
            assert len(lines) == items == result.items
            assert all(f"{table}/" in line for line in lines)
    assert not {result.uri for result in first} & {result.uri for result in second}


def test_a_whole_table_does_not_pass_for_a_window(aws_server: AwsServer, moto: Exporting, bucket: str) -> None:
    """Moto takes the call for a window, and writes every item."""
    name = _make_table(aws_server, 3)
    dynamodb = DynamoDB(AwsSettings(moto.endpoint_url))
    table = dynamodb.describe_table(name)
    end = datetime.now(UTC).replace(microsecond=0)
    window = Window(end - timedelta(hours=1), end, View.NEW_IMAGE)
    request = ExportRequest(table.arn, table.table_id, bucket, "to-postgres", window, None, None, 0)
    export = dynamodb.start_export(name, request)
    wait_until(lambda: dynamodb.describe_export(name, export.arn).is_completed)
    assert dynamodb.describe_export(name, export.arn).items == 3
    assert dynamodb.describe_export(name, export.arn).of is None


def test_recovery_that_is_off_is_refused(aws_server: AwsServer, moto: Exporting, bucket: str) -> None:
    tables = [_make_table(aws_server, 1, is_recoverable=is_recoverable) for is_recoverable in (True, False, False)]
    with pytest.raises(Refused) as refused:
        moto(*tables, "no-such-table", bucket=bucket)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["no-such-table", *tables[1:]]
    assert "Contents" not in aws_server.s3.list_objects_v2(Bucket=bucket)


def test_a_bucket_that_is_not_there(aws_server: AwsServer, moto: Exporting) -> None:
    table = _make_table(aws_server, 1)
    [result] = moto(table, bucket="no-such-bucket")
    assert "S3NoSuchBucket" in str(result.problem)
    assert "make the bucket, or correct --to" in str(result.problem)
