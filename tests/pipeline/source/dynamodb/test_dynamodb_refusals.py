"""What is wrong is said at once, all of it, and nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from pipeline.errors import Refused
from pipeline.source.export_plan import split_target
from tests.pipeline.source.dynamodb.exporting import THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, Refusal

_START = "ExportTableToPointInTime"


@pytest.fixture(autouse=True)
def _nothing_is_started(dynamodb: ModelDynamoDB) -> Iterator[None]:
    yield
    assert dynamodb.exports == []


def _problems(export: Exporting, *tables: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        export(*tables, **options)
    return refused.value.problems


def test_recovery_that_is_off_is_said_of_every_table(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """With the command that turns it on, which is not run."""
    for name in THREE[1:]:
        dynamodb.tables[name].earliest = None
    problems = _problems(export)
    assert len(problems) == 2
    for problem, name in zip(problems, THREE[1:], strict=True):
        assert problem.startswith(f"{name}: point-in-time recovery is off")
        assert (
            f"aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true" in problem
        )
    assert dynamodb.calls["UpdateContinuousBackups"] == 0


def test_problems_of_different_kinds_are_in_one_message(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.tables[THREE[0]].earliest = None
    dynamodb.tables[THREE[1]].earliest = dynamodb.now - timedelta(hours=1)
    problems = _problems(export, *THREE, "no-such-table", export_time=dynamodb.now - timedelta(hours=2))
    assert len(problems) == 3
    text = "\n".join(problems)
    assert "no-such-table: there is no such table in eu-central-1" in text
    assert f"{THREE[0]}: point-in-time recovery is off" in text
    assert f"{THREE[1]}: can be exported from" in text
    assert THREE[2] not in text


def test_a_time_in_the_future_is_refused(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    (problem,) = _problems(export, export_time=dynamodb.now + timedelta(seconds=30))
    assert "has not come yet: DynamoDB's clock says" in problem


@pytest.mark.parametrize("action", ["DescribeTable", "DescribeContinuousBackups", "ListExports"])
def test_denied_access_is_said_of_every_table_with_the_action(dynamodb: ModelDynamoDB, export: Exporting, action: str) -> None:
    dynamodb.denied.add(action)
    problems = _problems(export)
    assert problems == tuple(f"{name}: access is denied; allow these credentials dynamodb:{action} on the table" for name in THREE)


def test_denied_actions_are_said_all_at_once(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Not one a try."""
    dynamodb.denied |= {"DescribeContinuousBackups", "ListExports"}
    assert len(_problems(export)) == 6


def test_denied_access_to_the_export_itself(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.denied.add(_START)
    (problem,) = _problems(export)
    assert f"{THREE[0]}: access is denied" in problem
    assert f"dynamodb:{_START}" in problem
    assert "s3:PutObject" in problem


# -- credentials, region, endpoint ---------------------------------------------------------------------------------------------------------


def test_no_credentials(export: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, not one for each table."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps what it has found once
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (problem,) = _problems(export)
    assert problem.startswith("there are no AWS credentials; set AWS_PROFILE")


def test_no_region(export: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (problem,) = _problems(export)
    assert problem.startswith("there is no AWS region; give --aws_region")


def test_a_key_that_aws_does_not_know(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.refuse_next["DescribeTable"] = [Refusal("UnrecognizedClientException", "The security token is invalid")] * 3
    (problem,) = _problems(export)
    assert "does not know the access key" in problem
    assert dynamodb.calls["DescribeTable"] == 1


def test_an_endpoint_that_is_no_url(export: Exporting) -> None:
    export.endpoint_url = "nonsense"
    (problem,) = _problems(export)
    assert "correct --endpoint_url" in problem


def test_an_endpoint_where_nobody_answers(export: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.places.aws._TRIES", 1)
    export.endpoint_url = "http://127.0.0.1:9"
    (problem,) = _problems(export)
    assert problem.startswith("AWS cannot be reached")


# -- options -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "options", "words"),
    [
        (("ab",), {}, "neither the name of a DynamoDB table nor the ARN"),
        (("a table",), {}, "neither the name"),
        (("arn:aws:dynamodb:eu-central-1:1:table/x",), {}, "neither the name"),
        ((THREE[0], f"arn:aws:dynamodb:eu-central-1:111122223333:table/{THREE[0]}"), {}, "named 2 times"),
        (THREE, {"bucket": "no_"}, "cannot be a bucket's name"),
        (THREE, {"bucket": ""}, "cannot be a bucket's name"),
        (THREE, {"prefix": "x" * 1020}, "the prefix is too long"),
        (THREE, {"export_time": datetime(2026, 1, 2, 3, 4, 5)}, "has no time zone; add Z"),  # noqa: DTZ001 - the point
    ],
)
def test_options_that_cannot_be(
    dynamodb: ModelDynamoDB, export: Exporting, tables: tuple[str, ...], options: dict[str, Any], words: str
) -> None:
    (problem,) = _problems(export, *tables, **options)
    assert words in problem
    assert not dynamodb.calls


def test_an_owner_that_is_no_account(export: Exporting) -> None:
    export.settings = {"bucket_owner": "me"}
    (problem,) = _problems(export)
    assert "12 digits" in problem


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/a/b/", ("bucket", "a/b")),
    ],
)
def test_split_target(uri: str, parts: tuple[str, str]) -> None:
    assert split_target(uri) == parts


@pytest.mark.parametrize("uri", ["bucket/a", "/tmp/a", "gs://bucket/a", "s3://", "s3:///a"])  # noqa: S108 - not written to
def test_split_target_refuses(uri: str) -> None:
    with pytest.raises(Refused, match=r"is not s3://BUCKET"):
        split_target(uri)
