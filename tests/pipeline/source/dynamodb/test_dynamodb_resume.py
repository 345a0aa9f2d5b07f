"""A command that was stopped goes on with its exports; none is started twice, and no old export passes for a new one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.source.dynamodb_calls import ExportStatus
from tests.faults.jobs import wait_until
from tests.pipeline.source.dynamodb.exporting import BUCKET, PREFIX, THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, ModelExport, Refusal

_START = "ExportTableToPointInTime"


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def first_of_three(dynamodb: ModelDynamoDB, export: Exporting) -> Iterator[ModelExport]:
    """What a process leaves that was killed after it had started the first of three exports."""
    dynamodb.looks_to_finish = None
    dynamodb.hold[_START, 2] = threading.Event()
    process = export.start_process()
    assert dynamodb.is_waited_for.wait(300), process.communicate(timeout=5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=300)
    # What it asked for last never arrived.
    dynamodb.refuse_next[_START] = [Refusal("InternalServerError", status=500)]
    dynamodb.hold[_START, 2].set()
    wait_until(lambda: not dynamodb.refuse_next[_START])
    assert [one.table.name for one in dynamodb.exports] == [THREE[0]]
    yield dynamodb.exports[0]
    process.communicate()


class TestKilled:
    """After the first of three was started."""

    def test_it_goes_on_with_the_export_in_progress(self, dynamodb: ModelDynamoDB, export: Exporting, first_of_three: ModelExport) -> None:
        """As of the time of the first, which is not started again."""
        dynamodb.ahead += timedelta(minutes=17)
        dynamodb.looks_to_finish = first_of_three.looks + 2
        results = export()
        assert len(dynamodb.exports) == 3
        assert {one.export_time for one in dynamodb.exports} == {first_of_three.export_time}
        assert results[0].export_arn == first_of_three.arn
        assert "still in progress: going on with them" in export.output

    @pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED"])
    def test_it_goes_on_by_the_export_time(
        self, dynamodb: ModelDynamoDB, export: Exporting, first_of_three: ModelExport, status: str
    ) -> None:
        """Days later, too, when no client token is good any more."""
        first_of_three.status = status
        dynamodb.ahead += timedelta(days=3)
        dynamodb.looks_to_finish = 1
        results = export(export_time=first_of_three.export_time)
        assert len(dynamodb.exports) == 3
        assert {one.export_time for one in dynamodb.exports} == {first_of_three.export_time}
        assert results[0].export_arn == first_of_three.arn


def test_the_command_that_goes_on_stands_there_before_anything_is_started(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.denied.add(_START)
    with pytest.raises(Refused):
        export()
    assert "the same command with --export_time 20" in export.output


def test_an_interrupted_command_says_that_its_exports_go_on(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.looks_to_finish = None
    process = export.start_process()
    wait_until(lambda: dynamodb.calls["DescribeExport"] > 3)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    last = stdout.splitlines()[-1]
    assert "go on in AWS" in last
    assert f"--export_time {_shown(dynamodb.exports[0].export_time)}" in last
    assert "KeyboardInterrupt" in stderr


def test_an_answer_that_is_lost_starts_no_second_export(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Botocore asks again, with the same token."""
    dynamodb.lose_next_answer_to = _START
    assert len(export()) == 3
    assert dynamodb.calls[_START] == 4
    assert len(dynamodb.exports) == 3


# -- finished exports ----------------------------------------------------------------------------------------------------------------------


def test_a_finished_set_is_never_handed_out_as_new(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """The tables have changed meanwhile. It is mentioned, with the option that takes it."""
    old = export()
    dynamodb.ahead += timedelta(hours=2)
    new = export()
    assert not {result.export_arn for result in old} & {result.export_arn for result in new}
    assert all(result.export_time > old[0].export_time for result in new)
    assert "of all tables; they are not taken, because the tables may hold newer items." in export.output
    assert f"If they are wanted: --export_time {_shown(old[0].export_time)}\n" in export.output


def test_a_finished_set_is_taken_by_its_time(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Even when recovery is off by now: nothing needs to be started."""
    old = export()
    for table in dynamodb.tables.values():
        table.earliest = None
    again = export(export_time=old[0].export_time)
    assert [result.export_arn for result in again] == [result.export_arn for result in old]
    assert [result.uri for result in again] == [result.uri for result in old]
    assert dynamodb.calls[_START] == 3


def test_an_older_finished_set_is_not_mentioned(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    export()
    dynamodb.ahead += timedelta(hours=25)
    export()
    assert "finished exports" not in export.output


def test_a_finished_part_is_mentioned_as_that(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    (old,) = export(THREE[1])
    dynamodb.ahead += timedelta(hours=2)
    export()
    assert f"finished exports of {_shown(old.export_time)} of {THREE[1]}; they are not taken" in export.output


def test_what_is_done_of_a_set_in_progress_is_taken(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Without its time: one table is large, the others were done before the command was stopped."""
    dynamodb.looks_to_finish = None
    export(wait=False)
    for one in dynamodb.exports[1:]:
        one.status = "COMPLETED"
    dynamodb.ahead += timedelta(hours=30)
    dynamodb.looks_to_finish = 1
    dynamodb.exports[0].looks = -1
    results = export()
    assert [result.export_arn for result in results] == [one.arn for one in dynamodb.exports]
    assert len(dynamodb.exports) == 3


# -- exports that are not the one asked for ------------------------------------------------------------------------------------------------

_OTHERS: dict[str, dict[str, Any]] = {
    "into another bucket": {"S3Bucket": "another"},
    "into another prefix": {"S3Prefix": "elsewhere"},
    "into another table's prefix": {"S3Prefix": f"{PREFIX}/{THREE[1]}"},
    "as Ion": {"ExportFormat": "ION"},
    "incremental": {"ExportType": "INCREMENTAL_EXPORT"},
    "filtered": {"FilterSpecification": {"FilterExpression": "a = b"}},
    "encrypted otherwise": {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "another-key"},
}
_OURS: dict[str, Any] = {
    "S3Bucket": BUCKET,
    "S3Prefix": f"{PREFIX}/{THREE[0]}",
    "ExportFormat": "DYNAMODB_JSON",
    "ExportType": "FULL_EXPORT",
    "S3SseAlgorithm": "AES256",
    "ClientToken": "ddb2pg-of-another-run",
}


@pytest.mark.parametrize("difference", _OTHERS.values(), ids=_OTHERS)
@pytest.mark.parametrize("is_time_given", [True, False])
def test_an_export_that_differs_is_left_alone(
    dynamodb: ModelDynamoDB, export: Exporting, difference: dict[str, Any], is_time_given: bool
) -> None:
    """A part of a table that passes for the whole would lose the rest."""
    time = (dynamodb.now - timedelta(hours=1)).replace(microsecond=0)
    parameters = {**_OURS, "ExportTime": time.timestamp(), **difference}
    other = dynamodb.add_export(THREE[0], started=time, status="COMPLETED" if is_time_given else "IN_PROGRESS", **parameters)
    dynamodb.looks_to_finish = 3
    dynamodb.lists_types = is_time_given
    result = export(THREE[0], export_time=time if is_time_given else None)[0]
    assert result.export_arn != other.arn
    assert len(dynamodb.exports) == 2


def test_the_same_export_would_be_taken(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """So that the test above can fail."""
    time = (dynamodb.now - timedelta(hours=1)).replace(microsecond=0)
    same = dynamodb.add_export(THREE[0], started=time, **_OURS, ExportTime=time.timestamp())
    assert export(THREE[0], export_time=time)[0].export_arn == same.arn


def test_an_export_of_a_table_that_had_the_name_before_is_left_alone(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    time = (dynamodb.now - timedelta(hours=1)).replace(microsecond=0)
    old = dynamodb.add_export(THREE[0], started=time, **_OURS, ExportTime=time.timestamp())
    dynamodb.add_table(THREE[0])
    assert export(THREE[0], export_time=time)[0].export_arn != old.arn


def test_an_export_of_somebody_else_in_progress_is_not_ours_to_follow(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Its time was not ours to choose."""
    time = (dynamodb.now - timedelta(hours=1)).replace(microsecond=0)
    dynamodb.add_export(
        THREE[0], started=time, status="IN_PROGRESS", **{**_OURS, "ExportTime": time.timestamp(), "ClientToken": "0f6c1d0e-by-hand"}
    )
    dynamodb.looks_to_finish = 3
    assert all(result.export_time > time for result in export())


# -- failed exports ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_in_progress", [True, False])
def test_a_failed_export_is_started_again_by_the_same_command(dynamodb: ModelDynamoDB, export: Exporting, is_in_progress: bool) -> None:
    """At once: for eight hours DynamoDB answers the first token with the failed export. Also while another of its set is in progress."""
    dynamodb.tables[THREE[1]].failure = ("S3NoSuchBucket", "The specified bucket does not exist")
    failed = export()
    assert [bool(result.problem) for result in failed] == [False, True, False]
    time = failed[0].export_time
    dynamodb.tables[THREE[1]].failure = None
    if is_in_progress:
        dynamodb.exports[0].status, dynamodb.exports[0].looks = "IN_PROGRESS", -1
    results = export(export_time=None if is_in_progress else time)
    assert {result.status for result in results} == {ExportStatus.COMPLETED}
    assert {result.export_time for result in results} == {time}
    assert [len(dynamodb.exports_of(table)) for table in THREE] == [1, 2, 1]
