"""Waiting for exports, and what is told in the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from pipeline.errors import Stopped
from pipeline.source.dynamodb_calls import ExportStatus
from tests.pipeline.source.dynamodb.exporting import BUCKET, PREFIX, THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, Refusal

_DESCRIBE, _START = "DescribeExport", "ExportTableToPointInTime"


def test_each_table_is_told_in_the_end(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """With the export's count beside the table's, and the URI that DescribeExport's manifest has."""
    dynamodb.tables[THREE[0]].items = 20_001
    results = export()
    first, arn = results[0], dynamodb.exports[0].arn
    uri = f"s3://{BUCKET}/{PREFIX}/{THREE[0]}/AWSDynamoDB/{arn.rpartition('/')[2]}"
    assert (first.export_arn, first.status, first.uri) == (arn, ExportStatus.COMPLETED, uri)
    assert (first.items, first.table_items, first.billed_bytes, first.problem) == (20_000, 20_001, 12_345_678, None)
    assert f"{THREE[0]}: COMPLETED, 20,000 items (the table itself counts 20,001), 12.3 MB billed" in export.output
    assert "refreshes it about every six hours" in export.output
    command = "  ddb2pg migrate " + " ".join(f"--export {result.uri}" for result in results)
    assert f"{command} --endpoint_url {dynamodb.endpoint_url}\n" in export.output


def test_results_are_json(export: Exporting) -> None:
    parsed = orjson.loads(orjson.dumps(export()))
    assert [one["source_table"] for one in parsed] == list(THREE)
    assert {one["status"] for one in parsed} == {"COMPLETED"}
    assert parsed[0]["export_time"].endswith("+00:00")


def test_what_is_asked_for(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """A whole table, as JSON, encrypted, into a bucket of the owner named, each table into a folder of its own."""
    export.settings = {"bucket_owner": "444455556666"}
    export(kms_key="arn:aws:kms:eu-central-1:111122223333:key/abc")
    for name, one in zip(THREE, dynamodb.exports, strict=True):
        token = one.parameters.pop("ClientToken")
        assert token.startswith("ddb2pg-")
        assert one.parameters == {
            "TableArn": one.table.arn,
            "ExportTime": int(one.export_time.timestamp()),
            "S3Bucket": BUCKET,
            "S3BucketOwner": "444455556666",
            "S3Prefix": f"{PREFIX}/{name}",
            "S3SseAlgorithm": "KMS",
            "S3SseKmsKeyId": "arn:aws:kms:eu-central-1:111122223333:key/abc",
            "ExportFormat": "DYNAMODB_JSON",
            "ExportType": "FULL_EXPORT",
        }
    assert "--expected_bucket_owner 444455556666" in export.output


def test_without_a_prefix_and_by_arn(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    (result,) = export(dynamodb.tables[THREE[0]].arn, prefix="")
    assert result.source_table == THREE[0]
    assert dynamodb.exports[0].parameters["S3Prefix"] == THREE[0]
    assert dynamodb.exports[0].parameters["S3SseAlgorithm"] == "AES256"
    assert result.uri == f"s3://{BUCKET}/{THREE[0]}/AWSDynamoDB/{result.export_arn.rpartition('/')[2]}"


def test_changes_of_state_are_lines(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.looks_to_finish = 4
    export()
    for name in THREE:
        assert export.output.count(f"{name}: COMPLETED after 0:00:0") == 1
        assert f"{name}: started arn:" in export.output


def test_on_a_terminal_states_are_shown_while_they_last(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.looks_to_finish = 10
    export(terminal=True, poll_seconds=0.05, most_poll_seconds=0.1)
    assert "IN_PROGRESS" in export.output
    assert f"{THREE[0]}: COMPLETED after" in export.output


def test_not_waiting_tells_how_to_go_on(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    results = export(wait=False)
    assert dynamodb.calls[_DESCRIBE] == 0
    assert {(result.status, result.uri, result.items) for result in results} == {(ExportStatus.IN_PROGRESS, None, None)}
    assert all(one.arn in export.output for one in dynamodb.exports)
    assert "not waiting for them; the same command with --export_time 20" in export.output
    again = export(export_time=results[0].export_time)
    assert [result.export_arn for result in again] == [result.export_arn for result in results]
    assert all(result.uri for result in again)


# -- failed exports ------------------------------------------------------------------------------------------------------------------------


def test_a_failed_export_is_named_when_the_others_are_done(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.tables[THREE[0]].failure = ("S3NoSuchBucket", "The specified bucket\ndoes not exist")
    dynamodb.looks_to_finish = 3
    results = export()
    assert results[0].problem == (
        f"{THREE[0]}: the export failed (S3NoSuchBucket: The specified bucket does not exist); make the bucket, or correct --to"
    )
    [advice] = [line for line in export.output.splitlines() if "starts only what failed" in line]
    assert "--export_time 20" in advice
    statuses = [result.status for result in results]
    assert statuses == [ExportStatus.FAILED, ExportStatus.COMPLETED, ExportStatus.COMPLETED]
    assert [bool(result.uri) for result in results] == [False, True, True]
    assert [one.status for one in dynamodb.exports] == ["FAILED", "COMPLETED", "COMPLETED"]
    assert "ddb2pg migrate" not in export.output.replace("what ddb2pg migrate proves", "")


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("AccessDenied", "Access Denied", "s3:PutObject"),
        ("S3AccessDenied", "Access Denied", "s3:PutObject"),
        ("KMS.DisabledException", "the key is disabled", "kms:GenerateDataKey"),
        ("AnythingElse", "who knows", "fix what it names"),
    ],
)
def test_failures_come_with_what_to_do(dynamodb: ModelDynamoDB, export: Exporting, code: str, message: str, words: str) -> None:
    dynamodb.tables[THREE[2]].failure = (code, message)
    assert words in str(export()[2].problem)


# -- errors on the way ---------------------------------------------------------------------------------------------------------------------


def test_errors_that_pass_are_sat_out(dynamodb: ModelDynamoDB, export: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what botocore tries again; a failure of one table does not keep the others from being looked at."""
    monkeypatch.setattr("pipeline.places.aws._TRIES", 1)
    dynamodb.looks_to_finish = 2
    errors = [("InternalServerError", 500), ("ExportNotFoundException", 400), ("SlowDown", 503)]
    dynamodb.refuse_next[_DESCRIBE] = [Refusal(code, "wait", status) for code, status in errors]
    assert all(result.uri for result in export())


def test_throttling_is_sat_out(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """By botocore, which slows down."""
    dynamodb.refuse_next[_START] = [Refusal("LimitExceededException", "Rate exceeded")]
    assert len(export()) == 3
    assert len(dynamodb.exports) == 3


def test_errors_that_stay_end_it(dynamodb: ModelDynamoDB, export: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.places.aws._TRIES", 1)
    dynamodb.refuse_next[_DESCRIBE] = [Refusal("InternalServerError", "no", 500)] * 1000
    with pytest.raises(Stopped, match=r"InternalServerError.*go on in AWS; the same command with --export_time 20"):
        export()
    assert dynamodb.calls[_DESCRIBE] < 100


def test_credentials_that_expire_while_waiting(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """They are seldom good for as long as a large table needs."""
    dynamodb.refuse_next[_DESCRIBE] = [Refusal("ExpiredTokenException", "The security token included in the request is expired")]
    with pytest.raises(Stopped, match=r"have expired; renew them.*go on in AWS; the same command with --export_time 20"):
        export()
    assert dynamodb.calls[_DESCRIBE] == 1


def test_a_lost_connection_at_the_first_start_does_not_say_that_nothing_was_started(
    dynamodb: ModelDynamoDB, export: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.places.aws._TRIES", 1)
    dynamodb.lose_next_answer_to = _START
    with pytest.raises(Stopped, match="go on in AWS"):
        export()
    assert len(dynamodb.exports) == 1


def test_a_refusal_after_the_first_start_stops(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """It is not "nothing was done" any more, and the sentence says how to go on."""
    dynamodb.looks_to_finish = None
    original = dynamodb._ExportTableToPointInTime

    def conflict_with_the_second(body: dict[str, Any]) -> dict[str, Any]:
        if dynamodb.exports:
            raise Refusal("ExportConflictException", "There was a conflict when writing to the specified S3 bucket")
        return original(body)

    dynamodb._ExportTableToPointInTime = conflict_with_the_second  # type: ignore[method-assign]
    with pytest.raises(Stopped, match=rf"{THREE[1]}: DynamoDB sees a conflict.*go on in AWS; the same command with --export_time 20"):
        export()


def test_an_export_of_another_time_than_asked_for_is_not_passed_on(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    original = dynamodb._DescribeExport

    def describe(body: dict[str, object]) -> dict[str, object]:
        answer = original(body)
        answer["ExportDescription"]["ExportTime"] += 1
        return answer

    dynamodb._DescribeExport = describe  # type: ignore[method-assign]
    results = export()
    assert all("as of another time" in str(result.problem) for result in results)
    assert not any(result.uri for result in results)


def test_the_common_time_is_behind_a_window_that_opened_later(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """An export in progress sets the time, and a table cannot follow: it is said, and nothing is started."""
    dynamodb.looks_to_finish = None
    export(THREE[0], wait=False)
    dynamodb.ahead += timedelta(hours=1)
    dynamodb.tables[THREE[1]].earliest = dynamodb.now - timedelta(minutes=1)
    with pytest.raises(Exception, match="or wait until the exports that are in progress are done"):
        export()
    assert len(dynamodb.exports) == 1
