"""The rules by which histories are cut: the tests of windows stand on them. Examples by hand, and by chance against a plain replay."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.data_file import read_lines
from pipeline.source.manifest import read_export
from tests.histories import BEGIN, SECOND, History, Operation, histories, history_by_chance, records_between, write_history
from tests.strategies import MODERATE

KEYS = [{"id": {"S": name}} for name in "abcd"]
CUTS = [BEGIN, BEGIN + 1_000, BEGIN + 2_000]


def put(seconds: float, name: str, v: int | None) -> Operation:
    """Seconds after the full export; None deletes."""
    key = {"id": {"S": name}}
    return Operation(int((BEGIN + seconds) * SECOND), key, None if v is None else {**key, "v": {"N": str(v)}})


def told(history: History, window: int, view: str = "NEW_AND_OLD_IMAGES") -> list[Any]:
    """Of each record the key, the values of its images, and when, in seconds after the full export."""
    found = []
    for record in map(json.loads, history.records(window, view)):
        values = [int(record[name]["v"]["N"]) if name in record else None for name in ("OldImage", "NewImage")]
        micros = int(record["Metadata"]["WriteTimestampMicros"]["N"])
        found.append((record["Keys"]["id"]["S"], *values, (micros - BEGIN * SECOND) / SECOND))
    return found


def test_the_documented_rules() -> None:
    history = History(
        [
            *(put(-5, "a", 1), put(-4, "b", 1), put(-3, "c", 1), put(-2, "d", 1), put(-1, "d", None)),
            # An insert, two updates, a delete; inserted and deleted; deleted and inserted; nothing but the time of a write.
            *(put(1, "e", 1), put(2, "a", 2), put(3, "a", 3), put(4, "b", None), put(5, "f", 1), put(6, "f", None)),
            *(put(7, "c", None), put(8, "c", 2), put(9, "c", 1)),
            put(1_001, "b", 5),
        ],
        CUTS,
    )
    assert [json.loads(line)["Item"]["id"]["S"] for line in history.full_export()] == ["a", "b", "c"]
    assert told(history, 0) == [("e", None, 1, 1), ("a", 1, 3, 3), ("b", 1, None, 4), ("c", 1, 1, 9)]
    assert told(history, 0, "NEW_IMAGE") == [("e", None, 1, 1), ("a", None, 3, 3), ("b", None, None, 4), ("c", None, 1, 9)]
    assert told(history, 1) == [("b", None, 5, 1_001)]
    quiet = History(history.operations, CUTS, tells_unchanged=False)
    assert [key for key, *_ in told(quiet, 0)] == ["e", "a", "b"]


def test_a_window_begins_with_its_first_microsecond_and_ends_before_its_last() -> None:
    history = History([put(-0.000001, "a", 1), put(0, "b", 1), put(999.999999, "c", 1), put(1_000, "d", 1)], CUTS)
    assert [item["id"]["S"] for item in history.items_at(BEGIN)] == ["a"]
    assert [key for key, *_ in told(history, 0)] == ["b", "c"]
    assert [key for key, *_ in told(history, 1)] == ["d"]


def replayed(items: dict[str, Any], lines: list[bytes]) -> dict[str, Any]:
    """The items after the records of a window, taken at their word."""
    after = dict(items)
    for record in map(json.loads, lines):
        key = json.dumps(record["Keys"])
        after.pop(key, None)
        if "NewImage" in record:
            after[key] = record["NewImage"]
    return after


def state(history: History, second: int) -> dict[str, Any]:
    return {json.dumps({"id": item["id"]}): dict(item) for item in history.items_at(second)}


def with_value(key: Any) -> Any:
    return st.integers(0, 3).map(lambda v: {**key, "v": {"N": str(v)}})


@MODERATE
@given(history=histories(KEYS, with_value), view=st.sampled_from(["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]))
def test_windows_in_their_order_lead_to_the_table_as_it_was(history: History, view: str) -> None:
    """One record a key, whose old image is what was there."""
    now = state(history, history.cuts[0])
    for number, (_, end) in enumerate(history.windows):
        lines = history.records(number, view)
        records = list(map(json.loads, lines))
        assert len({json.dumps(record["Keys"]) for record in records}) == len(records)
        if view == "NEW_AND_OLD_IMAGES":
            assert all(record.get("OldImage") == now.get(json.dumps(record["Keys"])) for record in records)
        now = replayed(now, lines)
        assert now == state(history, end)


def test_an_overlap_or_a_gap_loses_changes() -> None:
    """Which is why a chain takes neither: so the rules are those that make it matter."""
    chance = Random(7)
    wrong = {"overlap": 0, "gap": 0, "none": 0}
    for _ in range(300):
        history = history_by_chance(chance, KEYS, lambda key: {**key, "v": {"N": str(chance.randrange(9))}}, operations=60, windows=2)
        first, second, last = history.cuts
        length = min(second - first, last - second) // 3
        for name, begin in (("none", second), ("overlap", second - length), ("gap", second + length)):
            now = replayed(state(history, first), list(records_between(history, first, second)))
            now = replayed(now, list(records_between(history, begin, last)))
            wrong[name] += now != state(history, last)
    assert wrong["none"] == 0
    assert min(wrong["overlap"], wrong["gap"]) > 10, wrong


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """In AWS's layout: the windows' data files in one folder, of which none is another's."""
    chance = Random(1)
    history = history_by_chance(chance, KEYS, lambda key: {**key, "v": {"N": "1"}}, operations=40)

    full, windows = write_history(tmp_path, "things", history, "NEW_IMAGE", chance)

    exports = [read_export(str(folder)) for folder in (full, *windows)]
    for export, lines in zip(exports, [history.full_export(), *(history.records(number, "NEW_IMAGE") for number in range(3))], strict=True):
        assert sorted(line for file in export.data_files for line in read_lines(file.uri, LOCAL_AND_AWS) if line) == sorted(lines)
    assert len({export.table_id for export in exports}) == 1
    assert [int(export.window.to_time.timestamp()) for export in exports[1:] if export.window] == history.cuts[1:]
    assert len(list((tmp_path / "things" / "AWSDynamoDB" / "data").iterdir())) == 9
