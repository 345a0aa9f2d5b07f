"""The reports of `rollback` and `dead-letters replay`: as the schema says, as the files beside them say, and on the page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from pipeline.outcome.page import page_content
from pipeline.places.storage import OutputFolder
from pipeline.records.gather import gather_records
from tests.pipeline.outcome.reported import TABLES, Reported, TakenBack, entries_in, problems_of
from tests.pipeline.planted import report_of
from tests.truth import records


def test_reports_are_as_their_schema_says(taken_back: TakenBack) -> None:
    """And one whose tables lack something is not."""
    for folder in (taken_back.replayed, taken_back.looked, taken_back.rolled_back):
        report = report_of(folder)
        assert problems_of(report) == []
        assert problems_of({**report, "tables": [{}]})
        assert problems_of({**report, "command": "another"})
        assert [table["source_table"] for table in report["tables"]] in (list(TABLES), list(reversed(TABLES)))


def test_what_happened_is_said_in_words(taken_back: TakenBack) -> None:
    def said(folder: Path) -> tuple[str, str, str]:
        report = report_of(folder)
        return report["command"], report["verdict"]["state"], report["verdict"]["sentence"]

    assert said(taken_back.replayed) == ("dead-letters replay", "review", "Some dead letters are refused again")
    assert said(taken_back.looked) == ("rollback", "review", "A look: nothing was deleted")
    assert said(taken_back.rolled_back) == ("rollback", "review", "The loads are rolled back, and rows are left")


def test_the_equations_are_on_the_page(reported: Reported, taken_back: TakenBack) -> None:
    """Of the dead letters that were given, and of the rows that were loaded."""
    given = Counter(record["source_table"] for record in reported.dead_letters())
    replayed = page_content(
        report_of(taken_back.replayed), gather_records(OutputFolder(str(taken_back.replayed)), {}), str(taken_back.replayed)
    )
    for equation in replayed.equations:
        table = equation.table
        refused = table["parts"][-1]
        assert table["total"] == table["seen"] == given[table["source_table"]] == refused["count"]
        assert (table["counted"], refused["words"], equation.holds) == ("dead letter", "refused again", True)

    loaded = {table["source_table"]: table["totals"]["rows"] for table in report_of(reported.migrated)["tables"]}
    rolled_back = page_content(
        report_of(taken_back.rolled_back), gather_records(OutputFolder(str(taken_back.rolled_back)), {}), str(taken_back.rolled_back)
    )
    for equation in rolled_back.equations:
        deleted, gone, left = (part["count"] for part in equation.table["parts"])
        table = equation.table["source_table"]
        assert equation.table["total"] == deleted + gone + left == loaded[table]
        assert left == len(list(records(taken_back.rolled_back / "discrepancies" / table))) > 0
        assert gone == 2
    assert rolled_back.listing is not None
    assert rolled_back.listing.heading == "Rows that are left"


def test_rows_that_are_left_are_counted_and_listed(taken_back: TakenBack) -> None:
    """By the columns that were changed; of their keys there are shapes."""
    expected = Counter[tuple[str, str, str | None]]()
    for table in TABLES:
        for record in records(taken_back.rolled_back / "discrepancies" / table):
            expected.update((table, record["kind"], column) for column in record["columns"] or [None])
    found = {(one["table"], one["code"], one["attribute"]): one["count"] for one in report_of(taken_back.rolled_back)["records"]}
    assert found == expected
    assert len(expected) > 10
    entries = entries_in(taken_back.rolled_back / "report.html")
    shapes = {entries["strings"][number] for block in entries["blocks"] for _, numbers in block["fields"] for number in numbers}
    assert "S(36) uuid" in shapes
    assert all(shape is None or re.fullmatch(r"(S\(36\) uuid|N\(\d+\) (digits|number))", shape) for shape in shapes)
