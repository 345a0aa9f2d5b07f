"""All tables are exported as of one time, by DynamoDB's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import Refused
from tests.pipeline.source.dynamodb.exporting import THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB


def _times(dynamodb: ModelDynamoDB) -> set[datetime]:
    return {one.export_time for one in dynamodb.exports}


def test_all_tables_have_one_export_time(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    results = export()
    assert [result.source_table for result in results] == list(THREE)
    assert len(dynamodb.exports) == 3
    assert len(_times(dynamodb)) == 1
    assert {result.export_time for result in results} == _times(dynamodb)


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(seconds=-40), timedelta(seconds=40), timedelta(days=400)])
def test_a_skewed_local_clock_does_no_harm(dynamodb: ModelDynamoDB, export: Exporting, ahead: timedelta) -> None:
    """This machine's clock is wrong by so much: the time is now all the same, neither in the future nor long ago."""
    dynamodb.ahead = ahead
    for table in dynamodb.tables.values():
        table.earliest = dynamodb.now - timedelta(hours=1)
    before = dynamodb.now - timedelta(seconds=1)
    export()
    (time,) = _times(dynamodb)
    assert before <= time <= dynamodb.now
    assert time.microsecond == 0


def test_a_time_that_is_given_is_taken(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """In any zone; DynamoDB counts whole seconds."""
    wanted = (dynamodb.now - timedelta(days=3)).replace(microsecond=0)
    export(export_time=(wanted + timedelta(milliseconds=600)).astimezone())
    assert _times(dynamodb) == {wanted}
    assert f"--export_time {wanted:%Y-%m-%dT%H:%M:%SZ}" in export.output


def test_dynamodb_may_need_time_until_now_can_be_exported(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Its recovery window ends behind its clock. The time does not move: what was written before the command is in the export."""
    dynamodb.lag = timedelta(seconds=2)
    begun = dynamodb.now
    export(most_poll_seconds=0.2)
    (time,) = _times(dynamodb)
    assert time >= begun.replace(microsecond=0)
    assert export.output.count("does not take") == 1
    assert dynamodb.calls["ExportTableToPointInTime"] > 3


def test_recovery_that_was_turned_on_in_this_second_is_enough(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """The window begins inside a second, and export times are whole seconds."""
    for table in dynamodb.tables.values():
        table.earliest = dynamodb.now
    assert len(export()) == 3
    assert len(_times(dynamodb)) == 1


def test_a_time_that_dynamodb_never_takes_ends_it(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Trying again is for times that are new."""
    dynamodb.lag = timedelta(days=9)
    with pytest.raises(Refused, match="does not take the export time"):
        export(export_time=datetime.now(UTC) - timedelta(days=5))
    assert dynamodb.calls["ExportTableToPointInTime"] == 1
