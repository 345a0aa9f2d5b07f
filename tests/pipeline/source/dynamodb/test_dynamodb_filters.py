"""Exports that DynamoDB limited: a chain takes none that items can leave, and no two that are limited otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.options import AskFilters, MigrateOptions
from pipeline.outcome.outcome import Check, Verdict
from pipeline.outcome.verdict import ExitCode
from pipeline.preflight.check import check
from tests.handmade_export import write_export
from tests.histories import BEGIN, SECOND, History, Item, Operation, write_window
from tests.made_options import made_options
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database

HOUR = 3_600
VALUE = "tenant-of-mrs-doe"
WHOLE: dict[str, Any] = {}
ON_KEY = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": VALUE}}}
ON_ANOTHER_KEY = {**ON_KEY, "ExpressionAttributeValues": {":id": {"S": "another"}}}
BEYOND = {"FilterExpression": "#s = :s", "ExpressionAttributeNames": {"#s": "state"}, "ExpressionAttributeValues": {":s": {"S": VALUE}}}
PROJECTED = {**ON_KEY, "ProjectionExpression": "id"}
REFUSED = {
    "a filter beyond the key": (WHOLE, BEYOND, "looks at more than the key"),
    "a projection": (ON_KEY, PROJECTED, "looks at more than the key"),
    "a full export with one beyond the key": (BEYOND, BEYOND, "so windows cannot follow"),
    "a window of a part after the whole": (WHOLE, ON_KEY, "must have the same"),
    "a window of the whole after a part": (ON_KEY, WHOLE, "must have the same"),
    "windows of two parts": (ON_KEY, ON_ANOTHER_KEY, "must have the same"),
}


def _put(second: int, number: int, name: str) -> Operation:
    key: Item = {"id": {"S": uuid(number)}}
    return Operation(second * SECOND, key, {**key, "name": {"S": name}})


HISTORY = History([_put(BEGIN - 1, 1, "a"), _put(BEGIN + 1, 1, "b")], [BEGIN, BEGIN + HOUR])


class Limited:
    """A full export and a window as files, and as the model of DynamoDB has them."""

    def __init__(self, model: ModelDynamoDB, database: Database, folder: Path) -> None:
        model.add_table("things")
        self.model, self.folder = model, folder
        self.migration = Migration(database, folder, THING, endpoint_url=model.endpoint_url, ask_filters=AskFilters.ALWAYS)

    def full(self, limit: dict[str, Any]) -> Path:
        return write_export(
            self.folder,
            "things",
            [HISTORY.full_export()],
            exportTime="2026-01-01T00:00:00.000Z",
            exportArn=self._asked_for(limit),
        )

    def window(self, limit: dict[str, Any]) -> Path:
        arn = self._asked_for(limit)
        return write_window(self.folder, "things", HISTORY, *HISTORY.windows[0], exportArn=arn)

    def _asked_for(self, limit: dict[str, Any]) -> str:
        given = {"FilterSpecification": limit} if limit else {}
        return self.model.add_export("things", S3Bucket="bucket", **given).arn

    def findings(self, *exports: Path, **others: Any) -> list[Check]:
        options = made_options(
            MigrateOptions,
            exports,
            self.migration.reference,
            self.folder / "look",
            tables=(THING,),
            **{**self.migration.others, **others},
        )
        return [one for one in check(options).findings if one.name in ("export_filtered", "filters_unknown")]


@pytest.fixture
def limited(dynamodb: ModelDynamoDB, bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limited:
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN)
    return Limited(dynamodb, bare, tmp_path)


@pytest.mark.parametrize(("of_full", "of_window", "sentence"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("is_loaded_before", [False, True], ids=["together", "after the load"])
def test_a_chain_takes_one_filter_and_that_on_the_key(
    limited: Limited, of_full: dict[str, Any], of_window: dict[str, Any], sentence: str, is_loaded_before: bool
) -> None:
    exports = [limited.full(of_full)]
    if is_loaded_before:
        limited.migration.run(*exports)
        exports = []
    [problem] = limited.migration.problems(*exports, limited.window(of_window))
    assert sentence in problem
    assert VALUE not in problem


def test_a_fresh_export_with_a_filter_proves_nothing_of_a_chain_without(limited: Limited, bare: Database) -> None:
    """What is lost may be among the items that it leaves out."""
    limited.migration.run(limited.full(WHOLE))
    bare.execute("DELETE FROM thing")
    limited.folder /= "fresh"
    with pytest.raises(Refused, match="was made with a filter, and what is applied without any"):
        limited.migration.validate(limited.full(BEYOND), as_of=True, endpoint_url=limited.model.endpoint_url, ask_filters=AskFilters.ALWAYS)


@pytest.mark.parametrize("limit", [WHOLE, ON_KEY], ids=["whole", "on the key"])
def test_a_chain_of_equal_exports_is_applied_and_its_ledger_has_no_value_of_the_filter(
    limited: Limited, bare: Database, limit: dict[str, Any]
) -> None:
    assert limited.migration.run(limited.full(limit), limited.window(limit)).exit_code is ExitCode.DONE
    recorded = [text for (text,) in bare.query("SELECT export_filter FROM ddb2pg.load ORDER BY load_id")]
    assert len(recorded) == 2 == recorded.count(recorded[0])
    assert recorded[0] == "whole" if limit is WHOLE else recorded[0].startswith("key ")
    assert VALUE not in str(limited.migration.everything())


def test_a_full_export_alone_with_a_filter_is_loaded_with_a_warning(limited: Limited) -> None:
    full = limited.full(BEYOND)
    [warning] = limited.findings(full)
    assert (warning.name, warning.verdict) == ("export_filtered", Verdict.WARNING)
    assert VALUE not in warning.detail
    assert limited.migration.run(full).exit_code is ExitCode.DONE


def test_what_may_not_be_asked_is_not_known_and_forbids_nothing(limited: Limited, dynamodb: ModelDynamoDB) -> None:
    dynamodb.denied.add("DescribeExport")
    full, window = limited.full(WHOLE), limited.window(BEYOND)
    [unknown] = limited.findings(full, window)
    assert (unknown.name, unknown.verdict) == ("filters_unknown", Verdict.FACT)
    assert "dynamodb:DescribeExport" in unknown.detail
    assert limited.migration.run(full, window).exit_code is ExitCode.DONE


@pytest.mark.parametrize("ask", [AskFilters.AUTO, AskFilters.NEVER])
def test_of_exports_on_disk_dynamodb_is_asked_only_on_demand(limited: Limited, dynamodb: ModelDynamoDB, ask: AskFilters) -> None:
    [unknown] = limited.findings(limited.full(BEYOND), limited.window(BEYOND), ask_filters=ask)
    assert unknown.name == "filters_unknown"
    assert not dynamodb.calls["DescribeExport"]


def test_a_filter_that_is_known_later_counts_for_a_chain_that_was_begun_without(limited: Limited) -> None:
    full = limited.full(BEYOND)
    limited.migration.run(full, ask_filters=AskFilters.NEVER)
    with pytest.raises(Refused, match="so windows cannot follow"):
        limited.migration.run(full, limited.window(WHOLE))
