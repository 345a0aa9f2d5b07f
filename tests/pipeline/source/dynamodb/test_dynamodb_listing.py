"""Exports that are there already are found on every page of the listing, and only those that matter are described."""

from __future__ import annotations

from datetime import timedelta

from tests.pipeline.source.dynamodb.exporting import BUCKET, PREFIX, THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, ModelExport


def _ours(dynamodb: ModelDynamoDB, ago: timedelta, status: str, export_type: str = "FULL_EXPORT") -> ModelExport:
    time = (dynamodb.now - ago).replace(microsecond=0)
    return dynamodb.add_export(
        THREE[0],
        started=time,
        status=status,
        S3Bucket=BUCKET,
        S3Prefix=f"{PREFIX}/{THREE[0]}",
        ExportTime=time.timestamp(),
        ExportType=export_type,
        ClientToken="ddb2pg-of-another-run",
    )


def test_an_export_in_progress_is_found_on_the_third_page(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.largest_page = 5
    running = _ours(dynamodb, timedelta(hours=20), "IN_PROGRESS")
    for hour in range(1, 13):
        _ours(dynamodb, timedelta(hours=hour), "FAILED")
    dynamodb.looks_to_finish = 2
    (result,) = export(THREE[0])
    assert result.export_arn == running.arn
    assert dynamodb.calls["ListExports"] == 3


def test_a_finished_export_is_found_by_its_time_on_the_third_page(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.largest_page = 5
    for hour in range(1, 12):
        _ours(dynamodb, timedelta(hours=hour), "COMPLETED")
    oldest = dynamodb.exports[-1]
    (result,) = export(THREE[0], export_time=oldest.export_time)
    assert result.export_arn == oldest.arn


def test_the_listing_is_not_read_further_than_it_matters(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Exports are listed for 90 days, and each costs a call."""
    for day in range(1, 80):
        _ours(dynamodb, timedelta(days=day, minutes=1), "COMPLETED")
    export(THREE[0], wait=False)
    assert dynamodb.calls["ListExports"] == 1
    assert dynamodb.calls["DescribeExport"] == 6


def test_incremental_exports_are_not_described(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """There may be one every 15 minutes."""
    for quarter in range(1, 60):
        _ours(dynamodb, timedelta(minutes=15 * quarter), "COMPLETED", "INCREMENTAL_EXPORT")
    export(THREE[0], wait=False)
    assert dynamodb.calls["DescribeExport"] == 0


def test_many_exports_are_described_up_to_a_bound(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    for minute in range(1, 80):
        _ours(dynamodb, timedelta(minutes=minute), "FAILED")
    export(THREE[0], wait=False)
    assert dynamodb.calls["DescribeExport"] == 50
