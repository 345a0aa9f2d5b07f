"""Windows of changes: which are asked for, which are taken, and when none can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import pytest

from pipeline.errors import Refused, RefusedForNow, StoppedForNow, TooEarly
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb_calls import DynamoDB, ExportFilter, ExportStatus
from pipeline.source.windows import Applied, WantedWindows
from tests.pipeline.source.dynamodb.exporting import BUCKET, PREFIX, THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, ModelExport, Refusal
from transforms.lines import View

ONE = THREE[0]
_START = "ExportTableToPointInTime"
_QUARTER, _MARGIN = timedelta(minutes=15), timedelta(minutes=2)


def _ago(dynamodb: ModelDynamoDB, **ago: float) -> datetime:
    return (dynamodb.now - timedelta(**ago)).replace(microsecond=0)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _problems(export: Exporting, begin: Any, *tables: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        export.windows(begin, *tables, **options)
    assert not isinstance(refused.value, TooEarly)
    return refused.value.problems


# -- what is asked for ---------------------------------------------------------------------------------------------------------------------


def test_what_is_asked_for(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """As AWS's own model of the call has it; each table into the folder of its full export."""
    begin, until = _ago(dynamodb, hours=3), _ago(dynamodb, hours=1)
    export.settings = {"bucket_owner": "444455556666"}
    (result,) = export.windows(begin, ONE, until=until, kms_key="arn:aws:kms:eu-central-1:111122223333:key/abc")
    (asked,) = dynamodb.exports
    assert asked.parameters.pop("ClientToken").startswith("ddb2pg-")
    assert asked.parameters == {
        "TableArn": asked.table.arn,
        "S3Bucket": BUCKET,
        "S3BucketOwner": "444455556666",
        "S3Prefix": f"{PREFIX}/{ONE}",
        "S3SseAlgorithm": "KMS",
        "S3SseKmsKeyId": "arn:aws:kms:eu-central-1:111122223333:key/abc",
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": {
            "ExportFromTime": int(begin.timestamp()),
            "ExportToTime": int(until.timestamp()),
            "ExportViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    assert result.window
    assert (result.window.from_time, result.window.to_time, result.window.view) == (begin, until, View.NEW_AND_OLD_IMAGES)
    assert (result.export_time, result.status, result.items) == (None, ExportStatus.COMPLETED, 99)


def test_it_ends_two_minutes_before_now_for_all_tables(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """By DynamoDB's clock, at a whole second; each begins where its table is."""
    dynamodb.ahead = timedelta(days=40)
    for table in dynamodb.tables.values():
        table.earliest = dynamodb.now - timedelta(days=30)
    begins = {name: _ago(dynamodb, minutes=20 + number) for number, name in enumerate(THREE)}
    before = dynamodb.now
    export.windows({name: Applied(begin) for name, begin in begins.items()})
    assert {one.table.name: one.window[0] for one in dynamodb.exports} == begins
    (end,) = {one.window[1] for one in dynamodb.exports}
    assert before - timedelta(seconds=1) <= end + _MARGIN <= dynamodb.now
    assert end.microsecond == 0


@pytest.mark.parametrize(
    ("before", "asked", "view"),
    [(None, None, "NEW_AND_OLD_IMAGES"), (View.NEW_IMAGE, None, "NEW_IMAGE"), (None, View.NEW_IMAGE, "NEW_IMAGE")],
)
def test_the_view_is_that_of_the_windows_before(
    dynamodb: ModelDynamoDB, export: Exporting, before: View | None, asked: View | None, view: str
) -> None:
    export.windows({ONE: Applied(_ago(dynamodb, hours=3), view=before)}, view=asked)
    assert dynamodb.exports[0].parameters["IncrementalExportSpecification"]["ExportViewType"] == view


def test_more_than_a_day_is_several_windows(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Contiguous, and the command to apply has them in order."""
    begin, until = _ago(dynamodb, days=4), _ago(dynamodb, hours=6)
    results = export.windows(begin, ONE, until=until)
    windows = [one.window for one in dynamodb.exports]
    assert [(first, last) for first, last in windows] == [
        *((begin + timedelta(days=day), begin + timedelta(days=day + 1)) for day in range(3)),
        (begin + timedelta(days=3), until),
    ]
    assert len({one.parameters["ClientToken"] for one in dynamodb.exports}) == 4
    assert f"{ONE}: the changes from {_shown(begin)} to {_shown(until)}" in export.output
    assert "in 4 windows that touch, because one is 24 hours at most" in export.output
    command = "  ddb2pg migrate " + " ".join(f"--export {result.uri}" for result in results)
    assert f"{command} --endpoint_url {dynamodb.endpoint_url}\n" in export.output


def test_the_rule_of_the_cost_is_said_before_anything_is_started(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.denied.add(_START)
    with pytest.raises(Refused):
        export.windows(_ago(dynamodb, days=1, hours=3), ONE)
    assert "2 exports to be started. AWS bills the volume of changes that each processes, 10 MB at least" in export.output
    assert "0.10 USD" in export.output


def test_each_window_is_told_in_the_end(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Its count is of records: no table's count is beside it."""
    begin, until = _ago(dynamodb, hours=3), _ago(dynamodb, hours=1)
    export.windows(begin, ONE, until=until)
    assert f"{ONE}: COMPLETED, 99 records, 12.3 MB billed\n" in export.output
    assert f"  window  {_shown(begin)} to {_shown(until)}, NEW_AND_OLD_IMAGES\n" in export.output
    assert f"{ONE} from {_shown(begin)} to {_shown(until)}: started arn:" in export.output
    assert "six hours" not in export.output


# -- too early -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ago", [timedelta(seconds=3), timedelta(minutes=16, seconds=50)])
def test_too_early(dynamodb: ModelDynamoDB, export: Exporting, ago: timedelta) -> None:
    """It is said when there can be a window, and nothing is started."""
    begin = (dynamodb.now - ago).replace(microsecond=0)
    with pytest.raises(TooEarly) as early:
        export.windows(begin, ONE)
    assert early.value.at == begin + _QUARTER + _MARGIN
    assert f"the next window can be requested at {_shown(early.value.at)}" in str(early.value)
    assert dynamodb.calls[_START] == 0


def test_at_the_time_that_was_told_it_is_not_too_early(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    begin = _ago(dynamodb, minutes=5)
    with pytest.raises(TooEarly) as early:
        export.windows(begin, ONE)
    dynamodb.ahead += early.value.at - dynamodb.now
    export.windows(begin, ONE)
    assert dynamodb.exports[0].window[0] == begin


def test_all_tables_wait_for_the_last(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """So that they end at one time: a note and its session come together."""
    begins = {THREE[0]: _ago(dynamodb, hours=2), THREE[1]: _ago(dynamodb, minutes=12)}
    with pytest.raises(TooEarly) as early:
        export.windows({name: Applied(begin) for name, begin in begins.items()})
    assert early.value.at == begins[THREE[1]] + _QUARTER + _MARGIN
    assert dynamodb.exports == []


# -- what is there is taken ----------------------------------------------------------------------------------------------------------------


def _add(dynamodb: ModelDynamoDB, begin: datetime, end: datetime, status: str = "COMPLETED", **parameters: Any) -> ModelExport:
    window = {"ExportFromTime": begin.timestamp(), "ExportToTime": end.timestamp(), "ExportViewType": "NEW_AND_OLD_IMAGES"}
    given = {
        "S3Bucket": BUCKET,
        "S3Prefix": f"{PREFIX}/{ONE}",
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": window,
        "ClientToken": "ddb2pg-of-another-run",
        **parameters,
    }
    return dynamodb.add_export(ONE, started=end + timedelta(minutes=3), status=status, **given)


def test_the_same_command_goes_on_with_its_exports(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Until they are applied: in progress, done, or some of both; nothing is started twice."""
    begin = _ago(dynamodb, days=1, hours=3)
    dynamodb.looks_to_finish = None
    first = export.windows(begin, wait=False)
    assert [len(dynamodb.exports_of(name)) for name in THREE] == [2, 2, 2]
    assert "not waiting for them; the same command goes on with them" in export.output
    dynamodb.exports[0].status = "COMPLETED"
    dynamodb.looks_to_finish = 1
    for _ in range(2):
        again = export.windows(begin)
        assert [result.export_arn for result in again] == [result.export_arn for result in first]
        assert all(result.uri for result in again)
    assert len(dynamodb.exports) == 6
    assert "all were asked for before; the next window can be requested at" in export.output


def test_what_was_not_started_ends_where_the_others_do(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Of a command that was stopped after the first of two tables, and given again some minutes later."""
    begin = _ago(dynamodb, hours=1)
    export.windows(begin, THREE[0])
    dynamodb.ahead += timedelta(minutes=9)
    export.windows(begin, *THREE[:2])
    assert [one.window for one in dynamodb.exports] == [dynamodb.exports[0].window] * 2


def test_further_windows_follow_those_that_are_there(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    begin = _ago(dynamodb, hours=5)
    (first,) = export.windows(begin, ONE)
    dynamodb.ahead += timedelta(hours=1)
    results = export.windows(begin, ONE)
    assert results[0].export_arn == first.export_arn
    assert [one.window[0] for one in dynamodb.exports] == [begin, dynamodb.exports[0].window[1]]
    assert all(before.window[1] == after.window[0] for before, after in pairwise(dynamodb.exports))
    assert len(results) == 2


def test_a_window_that_was_applied_is_not_asked_for_again(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    begin = _ago(dynamodb, hours=5)
    export.windows(begin, ONE)
    dynamodb.ahead += timedelta(hours=1)
    end = dynamodb.exports[0].window[1]
    (result,) = export.windows(end, ONE)
    assert dynamodb.exports[1].window[0] == end
    assert result.export_arn == dynamodb.exports[1].arn


def test_up_to_a_time_only_what_ends_by_then_is_taken(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """The one that ends there before a longer one."""
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    _add(dynamodb, begin, until + timedelta(hours=1))
    _add(dynamodb, begin, begin + timedelta(hours=1))
    exact = _add(dynamodb, begin, until, "IN_PROGRESS")
    (result,) = export.windows(begin, ONE, until=until)
    assert result.export_arn == exact.arn
    assert dynamodb.calls[_START] == 0


_DIFFERENT: dict[str, dict[str, Any]] = {
    "into another bucket": {"S3Bucket": "another"},
    "into another prefix": {"S3Prefix": "elsewhere"},
    "as Ion": {"ExportFormat": "ION"},
    "filtered": {"FilterSpecification": {"FilterExpression": "a = b"}},
    "encrypted otherwise": {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "another-key"},
    "failed": {"status": "FAILED"},
    "begun a second later": {"begin": 1},
    "begun a second earlier": {"begin": -1},
    "of another view": {"view": "NEW_IMAGE"},
}


@pytest.mark.parametrize("difference", _DIFFERENT.values(), ids=_DIFFERENT)
def test_an_export_that_differs_is_left_alone(dynamodb: ModelDynamoDB, export: Exporting, difference: dict[str, Any]) -> None:
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    given = dict(difference)
    other = _add(dynamodb, begin + timedelta(seconds=given.pop("begin", 0)), until, given.pop("status", "COMPLETED"), **given)
    if "view" in given:
        other.parameters["IncrementalExportSpecification"]["ExportViewType"] = given["view"]
    (result,) = export.windows(begin, ONE, until=until)
    assert result.export_arn != other.arn
    assert dynamodb.exports[1].window == (begin, until)


def test_the_same_export_would_be_taken(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """So that the test above can fail."""
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    same = _add(dynamodb, begin, until)
    assert export.windows(begin, ONE, until=until)[0].export_arn == same.arn


def test_a_filtered_window_is_told_without_its_values(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """One may be a patient's."""
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    limit = {
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "patientId"},
        "ExpressionAttributeValues": {":p": {"S": "Erika Mustermann"}},
    }
    other = _add(dynamodb, begin, until, FilterSpecification=limit)
    export.windows(begin, ONE, until=until)
    assert f"{other.arn} was limited by key condition #p = :p, where #p is patientId; it is not taken" in export.output
    assert "Mustermann" not in export.output


def test_the_filter_of_an_export_is_told_without_values(dynamodb: ModelDynamoDB) -> None:
    """Of a full one, too."""
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    limit = {
        "FilterExpression": "#s > :s",
        "ProjectionExpression": "id, #s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": {"S": "Erika Mustermann"}},
    }
    window = _add(dynamodb, begin, until, FilterSpecification=limit)
    full = dynamodb.add_export(ONE, S3Bucket=BUCKET, FilterSpecification={"KeyConditionExpression": "id = :s"})
    whole = _add(dynamodb, begin, until)
    client = DynamoDB(AwsSettings(dynamodb.endpoint_url))
    assert client.knows_filters
    of_window, of_full, of_whole = (client.describe_export(ONE, each.arn).filter for each in (window, full, whole))
    assert of_window == ExportFilter(None, "#s > :s", "id, #s", (("#s", "state"),))
    assert of_full == ExportFilter("id = :s", None, None, ())
    assert of_whole is None
    assert str(of_window) == "filter #s > :s; projection id, #s, where #s is state"


@pytest.mark.parametrize(("token", "is_taken"), [("ddb2pg-of-another-run", True), ("0f6c1d0e-by-hand", False)])
def test_an_sdk_that_knows_no_filters_is_trusted_with_our_exports_only(
    dynamodb: ModelDynamoDB, export: Exporting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str, is_taken: bool
) -> None:
    """It leaves them out of its answers."""
    model = botocore.loaders.Loader().load_service_model("dynamodb", "service-2")
    for shape in ("ExportDescription", "ExportTableToPointInTimeInput"):
        del model["shapes"][shape]["members"]["FilterSpecification"]
    older = tmp_path / "dynamodb" / "2012-08-10" / "service-2.json"
    older.parent.mkdir(parents=True)
    older.write_text(json.dumps(model))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    filtered = {} if is_taken else {"FilterSpecification": {"FilterExpression": "a = b"}}
    there = _add(dynamodb, begin, until, ClientToken=token, **filtered)
    (result,) = export.windows(begin, ONE, until=until)
    assert (result.export_arn == there.arn) is is_taken
    assert ("may be limited by a filter, which this boto3 cannot tell" in export.output) is not is_taken


def test_a_failed_window_is_asked_for_again_with_another_token(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """At once: for eight hours DynamoDB answers the first token with the failed export."""
    begin, until = _ago(dynamodb, hours=3), _ago(dynamodb, hours=1)
    dynamodb.tables[ONE].failure = ("S3AccessDenied", "Access Denied")
    (failed,) = export.windows(begin, ONE, until=until)
    assert f"{ONE} from {_shown(begin)} to {_shown(until)}: the export failed (S3AccessDenied: Access Denied)" in str(failed.problem)
    assert "run the same command, to the same place: it starts only what failed" in export.output
    dynamodb.tables[ONE].failure = None
    (result,) = export.windows(begin, ONE, until=until)
    assert result.status is ExportStatus.COMPLETED
    first, second = (one.parameters["ClientToken"] for one in dynamodb.exports)
    assert first != second


def test_only_what_failed_is_started_again(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Also later, when there could be a further window: those after it are there, and are taken."""
    begin = _ago(dynamodb, days=1, hours=3)
    first = export.windows(begin, ONE)
    dynamodb.exports[0].status = "FAILED"
    for later in (timedelta(minutes=5), timedelta(hours=1)):
        dynamodb.ahead += later
        results = export.windows(begin, ONE)
        assert [result.window for result in results[:2]] == [result.window for result in first]
        assert results[1].export_arn == first[1].export_arn
    again, further = (one.window for one in dynamodb.exports[2:])
    assert (again, further[0]) == (dynamodb.exports[0].window, dynamodb.exports[1].window[1])


def test_what_is_done_is_taken_before_what_failed(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    begin, until = _ago(dynamodb, hours=6), _ago(dynamodb, hours=3)
    middle = begin + timedelta(hours=1)
    done = _add(dynamodb, begin, middle)
    _add(dynamodb, begin, until, "FAILED")
    results = export.windows(begin, ONE, until=until)
    assert results[0].export_arn == done.arn
    assert dynamodb.exports[-1].window == (middle, until)


def test_an_answer_that_is_lost_starts_no_second_export(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.lose_next_answer_to = _START
    export.windows(_ago(dynamodb, days=1, hours=3), ONE)
    assert dynamodb.calls[_START] == 3
    assert len(dynamodb.exports) == 2


# -- refused -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _nothing_is_started(dynamodb: ModelDynamoDB) -> Iterator[None]:
    yield
    assert dynamodb.calls[_START] == 0


@pytest.mark.usefixtures("_nothing_is_started")
class TestRefused:
    """Before anything is started."""

    def test_a_gap_that_stays(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        """A window that began where recovery does would lose what changed before, in silence."""
        begin = _ago(dynamodb, hours=6)
        dynamodb.tables[ONE].earliest = begin + timedelta(milliseconds=1)
        (problem,) = _problems(export, begin, ONE)
        assert "what changed in between cannot be exported any more, so no window can follow. Make a new full export" in problem

    def test_recovery_from_the_very_second_on_is_enough(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        """So that the test above can fail."""
        begin = _ago(dynamodb, minutes=3)
        dynamodb.tables[ONE].earliest = begin
        with pytest.raises(TooEarly):
            export.windows(begin, ONE)

    def test_recovery_that_is_off(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        for name in THREE[1:]:
            dynamodb.tables[name].earliest = None
        problems = _problems(export, _ago(dynamodb, hours=6))
        assert [problem.partition(":")[0] for problem in problems] == list(THREE[1:])
        assert all("recovery is off" in problem and "then make a new full export" in problem for problem in problems)

    def test_a_part_of_a_second(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        """A full export of somebody else's is as of milliseconds."""
        (problem,) = _problems(export, _ago(dynamodb, hours=6) + timedelta(milliseconds=622), ONE)
        assert ".622000+00:00, within a second, and windows begin at whole seconds" in problem

    def test_another_table_of_the_name(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        begin = _ago(dynamodb, hours=6)
        (problem,) = _problems(export, {ONE: Applied(begin, table_id="0d9e5b42-0000"), THREE[1]: Applied(begin)})
        assert problem.startswith(f"{ONE}: is not the table that is applied, but one that was made under its name later")

    def test_another_view_than_before(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        applied = {ONE: Applied(_ago(dynamodb, hours=6), view=View.NEW_IMAGE)}
        (problem,) = _problems(export, applied, view=View.NEW_AND_OLD_IMAGES)
        assert "the windows before are of the view NEW_IMAGE, and all of a chain must be of one" in problem

    @pytest.mark.parametrize(
        ("until", "words"),
        [
            (timedelta(minutes=14, seconds=59), r"would be shorter than 15 minutes, .* give --until .* or later"),
            (timedelta(0), "so there is nothing before --until"),
            (timedelta(hours=-1), "so there is nothing before --until"),
            (timedelta(hours=7), "has not come yet"),
            (timedelta(hours=2, milliseconds=1), "is within a second"),
        ],
    )
    def test_an_end_that_cannot_be(self, dynamodb: ModelDynamoDB, export: Exporting, until: timedelta, words: str) -> None:
        begin = _ago(dynamodb, hours=6)
        with pytest.raises(Refused, match=words):
            export.windows(begin, ONE, until=begin + until)

    def test_a_beginning_to_come(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        (problem,) = _problems(export, _ago(dynamodb, hours=-1), ONE)
        assert "correct --from" in problem

    def test_an_export_time_beside_windows(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        (problem,) = _problems(export, _ago(dynamodb, hours=6), ONE, export_time=dynamodb.now)
        assert "leave out --export_time or --incremental" in problem

    def test_all_problems_are_in_one_message(self, dynamodb: ModelDynamoDB, export: Exporting) -> None:
        begin = _ago(dynamodb, hours=6)
        applied = {ONE: Applied(begin, "another"), THREE[1]: Applied(begin + timedelta(milliseconds=1)), "no-such-table": Applied(begin)}
        assert len(_problems(export, applied)) == 3


def test_a_gap_that_windows_bridge_is_none(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """They were exported while recovery reached back so far."""
    begin = _ago(dynamodb, days=3)
    middle = begin + timedelta(hours=20)
    _add(dynamodb, begin, middle)
    dynamodb.tables[ONE].earliest = middle
    export.windows(begin, ONE)
    assert dynamodb.exports[1].window[0] == middle


# -- the days that are left ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "kept", "words"),
    [(10, None, None), (28, None, None), (29, None, "5 days and 23 hours"), (10, 14, "3 days and 23 hours"), (10, 35, None)],
)
def test_the_days_until_changes_are_lost(
    dynamodb: ModelDynamoDB, export: Exporting, days: int, kept: int | None, words: str | None
) -> None:
    """Point-in-time recovery keeps 35 days, or fewer, as it is set."""
    dynamodb.tables[ONE].recovery_days = kept
    dynamodb.tables[ONE].earliest = dynamodb.now - timedelta(days=34)
    begin = _ago(dynamodb, days=days) + timedelta(minutes=-30 if words else 1)
    export.windows(begin, ONE, wait=False)
    assert ("warning" in export.output) == (words is not None)
    assert (words or "") in export.output


# -- DynamoDB's refusals -------------------------------------------------------------------------------------------------------------------


def test_dynamodb_may_need_time_until_the_end_can_be_exported(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """The window does not move: it would not touch the next."""
    dynamodb.refuse_next[_START] = [Refusal("InvalidExportTimeException", "Export period to time is invalid")] * 3
    begin = _ago(dynamodb, hours=1)
    (result,) = export.windows(begin, ONE)
    assert result.window
    assert dynamodb.exports[0].window == (begin, result.window.to_time)
    assert f"DynamoDB does not take {_shown(result.window.to_time)} yet" in export.output
    assert export.output.count("does not take") == 1
    assert dynamodb.calls[_START] == 4


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Export period from time cannot be less than the table creation time", "make a new full export, and load it"),
        ("Difference between export period from time and export period to time is less than 15 minutes", "a window is 15 minutes at least"),
    ],
)
def test_a_time_that_stays_wrong_is_not_tried_again(dynamodb: ModelDynamoDB, export: Exporting, said: str, words: str) -> None:
    dynamodb.refuse_next[_START] = [Refusal("InvalidExportTimeException", said)]
    with pytest.raises(Refused, match=words):
        export.windows(_ago(dynamodb, hours=1), ONE)
    assert dynamodb.calls[_START] == 1


def test_a_conflict_is_explained(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    dynamodb.refuse_next[_START] = [Refusal("ExportConflictException", "Duplicate request detected")]
    with pytest.raises(Refused, match=r"same client token and other parameters within eight hours; give another --to"):
        export.windows(_ago(dynamodb, hours=1), ONE)


def test_an_export_of_another_window_is_not_passed_on(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """A second that is missing is a change that is lost."""
    original = dynamodb._DescribeExport

    def describe(body: dict[str, object]) -> dict[str, object]:
        answer = original(body)
        window = answer["ExportDescription"]["IncrementalExportSpecification"]
        answer["ExportDescription"]["IncrementalExportSpecification"] = {**window, "ExportFromTime": window["ExportFromTime"] + 1}
        return answer

    dynamodb._DescribeExport = describe  # type: ignore[method-assign]
    (result,) = export.windows(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1), ONE)
    assert "the export is not of this window" in str(result.problem)
    assert not result.uri
    assert "ddb2pg migrate" not in export.output


# -- what was begun to be applied ----------------------------------------------------------------------------------------------------------


def _add_window(dynamodb: ModelDynamoDB, begin: datetime, end: datetime) -> ModelExport:
    window = {"ExportFromTime": begin.timestamp(), "ExportToTime": end.timestamp(), "ExportViewType": "NEW_AND_OLD_IMAGES"}
    return dynamodb.add_export(
        ONE,
        ClientToken="ddb2pg-somebody",
        S3Bucket=BUCKET,
        S3Prefix=f"{PREFIX}/{ONE}",
        ExportFormat="DYNAMODB_JSON",
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification=window,
    )


def test_a_window_that_was_begun_comes_before_any_other(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """Also before a longer one, and before a later export of the same window."""
    begin, end = _ago(dynamodb, hours=3), _ago(dynamodb, hours=2)
    begun = _add_window(dynamodb, begin, end)
    _add_window(dynamodb, begin, end)
    _add_window(dynamodb, begin, end + timedelta(minutes=30))
    first, second = export.windows({ONE: Applied(begin, begun=(begun.arn.rpartition("/")[2],))})
    assert first.export_arn == begun.arn
    assert second.window
    assert second.window.from_time == end


def test_without_the_export_of_what_was_begun_nothing_is_asked_for(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    (problem,) = _problems(export, {ONE: Applied(_ago(dynamodb, hours=3), begun=("01700000000000-lost",))})
    assert "window 01700000000000-lost was begun, and its export is not among those that DynamoDB lists for this place" in problem
    assert dynamodb.exports == []


def test_a_longer_time_than_15_minutes_may_be_asked_for(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    applied = {ONE: Applied(_ago(dynamodb, minutes=60))}
    with pytest.raises(TooEarly) as early:
        export(ONE, windows=WantedWindows(applied, least=timedelta(minutes=59)))
    assert early.value.at == applied[ONE].end + timedelta(minutes=61)
    assert timedelta(seconds=55) < early.value.left <= timedelta(minutes=1, seconds=1)
    assert "a window is 59 minutes at least" in str(early.value)
    assert len(export(ONE, windows=WantedWindows(applied, least=timedelta(minutes=57)))) == 1


def test_what_passes_by_itself_is_told_apart(dynamodb: ModelDynamoDB, export: Exporting) -> None:
    """From what somebody must put right, before anything was started and after."""
    begin = _ago(dynamodb, hours=3)
    dynamodb.refuse_next = {"ListExports": [Refusal("InternalServerError")]}
    with pytest.raises(RefusedForNow):
        export.windows(begin, ONE)
    dynamodb.refuse_next = {_START: [Refusal("InternalServerError")]}
    with pytest.raises(StoppedForNow):
        export.windows(begin, ONE)
    dynamodb.denied.add("ListExports")
    with pytest.raises(Refused) as refused:
        export.windows(begin, ONE)
    assert not isinstance(refused.value, RefusedForNow)
