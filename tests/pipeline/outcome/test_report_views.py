"""What the page says of a report: headline, sums, windows, what to do, columns; counted here without our code."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.outcome.views import columns_of, equations, headline, percent, sum_of, sums_of, to_do, windows_of
from pipeline.records.gather import RecordCount
from pipeline.records.kinds import RecordKind
from tests.pipeline.outcome.reported import TABLES, Reported
from tests.pipeline.planted import report_of

FINISHED = "2026-11-23T10:15:00+00:00"


def _table(source: str, rows: int, review: int, counted: str = "item", **others: Any) -> dict[str, Any]:
    parts = [
        {"name": "rows", "words": "rows", "count": rows, "kind": "good"},
        {"name": "dead_letters", "words": "dead letters", "count": review, "kind": "review"},
    ]
    return {
        "source_table": source,
        "target_table": f"public.{source}",
        "counted": counted,
        "total": rows + review,
        "seen": rows + review,
        "parts": parts,
        "problems": [],
        "checks": [],
        "totals": {"notices": 2},
        "seconds": 1.5,
        "outdated": 0,
        **others,
    }


def _window(number: int, began: str, ended: str, review: int = 0, **others: Any) -> dict[str, Any]:
    times = {"changes_from": f"2026-11-23T{began}:00+00:00", "changes_to": f"2026-11-23T{ended}:00+00:00"}
    return _table("orders", 10, review, "record", window=number, **times, **others)


def _report(*tables: dict[str, Any], state: str = "review") -> dict[str, Any]:
    verdict = {"state": state, "sentence": "The sentence", "details": []}
    return {"command": "migrate", "verdict": verdict, "tables": list(tables), "finished_at": FINISHED}


@pytest.mark.parametrize(
    ("count", "total", "words"),
    [(0, 5, "0 %"), (5, 5, "100 %"), (1, 60_000, "< 0.1 %"), (59_999, 60_000, "> 99.9 %"), (8_953, 60_000, "14.9 %"), (0, 0, "0 %")],
)
def test_a_share_is_never_rounded_to_none_or_all(count: int, total: int, words: str) -> None:
    assert percent(count, total) == words


def test_the_headline_is_what_needs_review() -> None:
    """Over all tables; of windows, which count records, beside it. Else the sentence of the verdict."""
    assert headline(_report(_table("a", 50, 8), _table("b", 41, 1))) == "9 of 100 items (9 %) need review"
    assert headline(_report(_table("a", 1, 1))) == "1 of 2 items (50 %) needs review"
    both = headline(_report(_table("a", 50, 50), _window(1, "10:00", "10:10", 10)))
    assert both == "50 of 100 items (50 %) and 10 of 20 records (50 %) need review"
    assert headline(_report(_table("a", 50, 8), state="bad")) == "The sentence"


def test_an_item_counts_once_in_the_headline_however_many_tables_take_from_its_export() -> None:
    """Which of those to review are the same item is not known, so their sum is the most that it can be."""
    shared = [_table("App", 100 - review, review, export_id="1") for review in (4, 0, 0)]
    assert headline(_report(*shared)) == "4 of 100 items (4 %) need review"
    shared[2] = _table("App", 97, 3, export_id="1")
    assert headline(_report(*shared)) == "up to 7 of 100 items (7 %) need review"
    assert headline(_report(*shared, _table("b", 99, 1, export_id="2"))) == "up to 8 of 200 items (4 %) need review"
    shared[1] = _table("App", 1, 99, export_id="1")
    assert headline(_report(*shared)) == "up to 100 of 100 items (100 %) need review"


def test_the_headline_is_the_verdict_where_nothing_needs_review() -> None:
    assert headline(_report(_table("a", 50, 0))) == "The sentence"


def test_the_total_is_the_sum_of_the_tables() -> None:
    """And holds if each of them does; one table has none."""
    total = sum_of(equations([_table("a", 50, 8), _table("b", 41, 1, problems=["is short"])]))
    assert total
    assert (total.table["total"], total.count("rows"), total.count("dead_letters"), total.holds) == (100, 91, 9, False)
    assert total.table["totals"]["notices"] == 4
    assert sum_of(equations([_table("a", 50, 8)])) is None


def test_items_and_records_of_streams_have_a_total_each() -> None:
    """What is not counted alike is not added up; of what one table alone has there is no sum."""
    loads = [_table("a", 50, 8), _table("b", 41, 1)]
    streams = [{**_table(name, 5, 1), "counted": "record"} for name in ("a", "b", "c")]
    assert [(total.table["counted"], total.table["total"]) for total in sums_of(equations([*loads, *streams]))] == [
        ("item", 100),
        ("record", 18),
    ]
    assert [total.table["counted"] for total in sums_of(equations([*loads, streams[0]]))] == ["item"]


def test_windows_are_on_one_time_line() -> None:
    """With the time up to which the target has the changes, and how long before the end of the run that was."""
    [of_table] = windows_of(_report(_table("orders", 5, 0), _window(1, "10:00", "10:05"), _window(2, "10:05", "10:10", 3, outdated=7)))
    first, second = of_table.rows
    assert (first.number, first.state, first.start, first.start + first.width) == (1, "good", 0, pytest.approx(498))
    assert (second.number, second.state, second.start, second.start + second.width) == (2, "review", 500, pytest.approx(998))
    assert (of_table.lag, of_table.as_of, of_table.outdated) == ("5 min 0 s", "2026-11-23 10:10:00 UTC", 7)
    assert of_table.total
    assert of_table.total.table["total"] == 23


def test_without_windows_there_is_no_time_line() -> None:
    """Nor for one of a report that does not say its times."""
    assert windows_of(_report(_table("orders", 5, 0))) == ()
    assert windows_of(_report(_table("orders", 5, 0, window=1))) == ()


def test_what_to_do_begins_with_the_most_frequent_code() -> None:
    """Of all tables together, without notices; the command names a code that is there."""
    counts = [
        RecordCount(RecordKind.NOTICES, "a", "unmapped_attribute", "x", 99),
        RecordCount(RecordKind.DEAD_LETTERS, "a", "wrong_type", "x", 3),
        RecordCount(RecordKind.DEAD_LETTERS, "b", "wrong_type", None, 3),
        *(RecordCount(RecordKind.DEAD_LETTERS, "b", f"code_{number}", None, 5 - number) for number in range(5)),
    ]
    found = to_do(_report(), counts, "runs/my run", {"wrong_type": "Do that."})
    assert found
    assert [(cause.code, cause.count) for cause in found.causes[:2]] == [("wrong_type", 6), ("code_0", 5)]
    assert (found.causes[0].advice, found.more) == ("Do that.", 1)
    assert [command for _, command in found.commands] == [
        "ddb2pg dead-letters show 'runs/my run' --code wrong_type",
        "ddb2pg dead-letters replay 'runs/my run'",
    ]
    assert to_do(_report(), counts[:1], "run", {}) is None


def _items_of(folder: Path, table: str, chunk: int) -> list[dict[str, Any]]:
    """Every second one of the first chunk of each data file."""
    items = []
    for path in (folder / "export" / table).rglob("data/*.json.gz"):
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:chunk:2]:
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict) and isinstance(document.get("Item"), dict) and len(document) == 1:
                items.append(document["Item"])
    return items


def test_the_columns_of_a_load_are_counted(reported: Reported) -> None:
    """What is present in the sample is what its items have, as another reader counts it."""
    report = report_of(reported.migrated)
    for number, table in enumerate(TABLES):
        items = _items_of(reported.folder, table, 50)
        of_table = report["tables"][number]
        sample = of_table["sample"]
        assert sample["items"] == len(items)
        assert len(items) / 2 < sample["rows"] <= len(items)
        for column in sample["columns"]:
            if column["source"] != "attributes" or len(column["attributes"]) > 1 or "." in column["attributes"][0]:
                continue
            [name] = column["attributes"]
            having = Counter(name in item and item[name] != {"NULL": True} for item in items)
            assert column["present"] == having[True], (table, name)
            assert sum(column["shapes"].values()) == having[True]
        assert sample["items"] > 10
    # It has several columns whose attributes some items lack.
    assert sum(column["null"] > 0 for column in report["tables"][0]["sample"]["columns"]) > 2
    assert len(columns_of(report["tables"])) == len(TABLES)


def test_what_is_striking_about_a_column_is_said() -> None:
    """An attribute in no item, and a type that most items do not have."""
    column = {"type": "uuid", "source": "attributes", "attributes": ["x"], "null": 9, "defaulted": 0, "shapes": {}}
    sample = {
        "items": 10,
        "rows": 9,
        "columns": [
            {**column, "name": "misspelt", "present": 0, "refused": 0},
            {**column, "name": "wrong", "present": 10, "refused": 9, "shapes": {"N": 9, "S uuid": 1}},
            {**column, "name": "sound", "present": 10, "refused": 1},
        ],
    }
    [of_table] = columns_of([_table("a", 9, 1, sample=sample)])
    assert [row.name for row in of_table.striking] == ["misspelt", "wrong"]
    assert [(shape.words, shape.share) for shape in of_table.rows[1].shapes] == [("N", "90 %"), ("S uuid", "10 %")]
