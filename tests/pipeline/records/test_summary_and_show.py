"""The dead letters of a faulty export, summarised and shown, against its truth."""

from __future__ import annotations

import json
import shutil
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.errors import Refused
from pipeline.places.storage import LOCAL_AND_AWS, OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles
from pipeline.records.kinds import RecordFormat
from pipeline.records.reading import find_dead_letters, read_dead_letters
from pipeline.records.summary import Filter, Names, ShownLine, TableSummary, item_lines, print_summary, summarise
from tests.command_line import CommandLine
from tests.pipeline.records.conftest import LoadedExport
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.plain


def _summaries(place: Path, output: str = "/nowhere") -> list[TableSummary]:
    files = find_dead_letters(str(place), output, LOCAL_AND_AWS)
    return summarise(read_dead_letters(files.uris, LOCAL_AND_AWS), {})


def _truth(root: Path, source_table: str) -> list[dict[str, Any]]:
    with (root / "truth" / f"{source_table}.jsonl").open(encoding="utf-8") as lines:
        return [entry for entry in map(json.loads, lines) if entry["outcome"] == "dead_letter"]


@pytest.mark.parametrize("record_format", list(RecordFormat))
def test_counts_by_code_are_those_of_the_truth(loaded: LoadedExport, record_format: RecordFormat) -> None:
    """Each item once for a code and an attribute; the first places are the first in the files."""
    summaries = {summary.source_table: summary for summary in _summaries(loaded.run_folders[record_format])}
    for table in TABLES:
        truth, summary = _truth(loaded.root, table.source), summaries[table.source]
        found = Counter(
            {(error.code, error.attribute): error.items for error in summary.errors if "(inside)" not in (error.attribute or "")}
        )
        expected = Counter((error["code"], error["attribute"]) for entry in truth for error in entry["errors"])
        assert found.pop(("primary_key_conflict", None), 0) == summary.dead_letters - len(truth)
        assert found == Counter({key: count for key, count in expected.items() if "." not in (key[1] or "") and "[" not in (key[1] or "")})
        assert sum(len(error.first_places) for error in summary.errors) >= len(summary.errors)
        for error in summary.errors:
            assert error.share == round(error.items / summary.dead_letters, 4)
            if error.code == "missing_required":
                assert {pattern.shape for pattern in error.patterns} <= {"missing", "NULL"}
            if error.code == "invalid_enum":
                assert not {pattern.shape[:1] for pattern in error.patterns} - {"S", "e"}


def test_a_run_is_found_by_folder_and_by_id(loaded: LoadedExport, tmp_path: Path) -> None:
    """So is each folder in it, and a single file; the folder of all runs is refused, for each has all dead letters."""
    run_folder = tmp_path / "out" / "20261123T000000.000-aaaaaa"
    shutil.copytree(loaded.run_folders[RecordFormat.JSONL], run_folder)
    whole = _summaries(run_folder)
    assert whole == _summaries(run_folder / "dead_letters")
    assert whole == _summaries(Path(run_folder.name), str(tmp_path / "out"))
    [table] = _summaries(run_folder / "dead_letters" / TABLES[0].source)
    assert table in whole
    [path, *_] = (run_folder / "dead_letters" / TABLES[0].source).iterdir()
    assert sum(summary.dead_letters for summary in _summaries(path)) < table.dead_letters

    assert not find_dead_letters(str(run_folder), "", LOCAL_AND_AWS).is_whole_run
    (run_folder / "report.json").touch()
    assert find_dead_letters(str(run_folder), "", LOCAL_AND_AWS).is_whole_run
    shutil.copytree(run_folder, tmp_path / "out" / "20261124T000000.000-bbbbbb")
    with pytest.raises(Refused, match=r"newest is .*20261124T000000.000-bbbbbb"):
        _summaries(tmp_path / "out")


def test_what_cannot_be_read_is_refused_by_name(loaded: LoadedExport, tmp_path: Path) -> None:
    """A file that was cut, one that is another thing, notices in place of dead letters, nothing at all."""
    for record_format in RecordFormat:
        folder = tmp_path / record_format
        shutil.copytree(loaded.run_folders[record_format] / "dead_letters" / TABLES[0].source, folder)
        victim = max(folder.iterdir())
        victim.write_bytes(victim.read_bytes()[:-20])
        with pytest.raises(Refused, match=victim.name):
            _summaries(folder)
        victim.write_bytes(b"something else")
        with pytest.raises(Refused, match=victim.name):
            _summaries(folder)
        with pytest.raises(Refused, match="are no dead letters"):
            _summaries(loaded.run_folders[record_format] / "notices" / TABLES[0].source)
    with pytest.raises(Refused, match="there is no such folder"):
        _summaries(tmp_path / "nothing")


def _shown(record: dict[str, Any], *, show_values: bool = False) -> list[ShownLine]:
    return item_lines(record, Names(frozenset({"soapData", "soapData.plan"}), show_values))


def test_the_attributes_at_fault_are_marked(loaded: LoadedExport) -> None:
    """Every error that names an attribute has a line with its code, in every dead letter; missing ones, too."""
    files = find_dead_letters(str(loaded.run_folders[RecordFormat.PARQUET]), "", LOCAL_AND_AWS)
    records = list(read_dead_letters(files.uris, LOCAL_AND_AWS))
    assert len(records) > 1_000
    for record in records:
        named = [error["code"] for error in record["errors"] if error["attribute"] is not None]
        for show_values in (True, False):
            marked = [code for line in _shown(record, show_values=show_values) for code in line.faults]
            assert Counter(marked) == Counter(named) or not named


def test_filters_are_of_one_error(loaded: LoadedExport) -> None:
    """A code and an attribute that are given together are those of one error; an attribute finds what is inside it."""
    files = find_dead_letters(str(loaded.run_folders[RecordFormat.JSONL]), "", LOCAL_AND_AWS)
    everything = list(read_dead_letters(files.uris, LOCAL_AND_AWS))

    def pairs(record: dict[str, Any]) -> set[tuple[str, str | None]]:
        return {(error["code"], error["attribute"]) for error in record["errors"]}

    both = list(filter(Filter(code="wrong_type", attribute="status").takes, everything))
    assert both == [record for record in everything if ("wrong_type", "status") in pairs(record)] != []
    inside = list(filter(Filter(table="medzen-meeting-audit", attribute="eventData").takes, everything))
    assert {record["source_table"] for record in inside} == {"medzen-meeting-audit"}
    assert any(attribute and "eventData." in attribute for record in inside for _, attribute in pairs(record))
    assert not list(filter(Filter(attribute="event").takes, everything))


def test_memory_does_not_grow_with_the_number_of_dead_letters(loaded: LoadedExport, tmp_path: Path) -> None:
    """Ten times as many, each with attributes of a name of its own, take as much."""
    [record, *_] = read_dead_letters(find_dead_letters(str(loaded.run_folders[RecordFormat.JSONL]), "", LOCAL_AND_AWS).uris, LOCAL_AND_AWS)

    def write(folder: Path, count: int) -> None:
        files = RecordFiles(OutputFolder(str(folder)))
        for first in range(0, count, 1_000):
            batch = []
            for number in range(first, first + 1_000):
                name = f"attribute{'abcdefghij'[number % 10]}{number:04x}"
                error = {"code": "unmapped_attribute", "attribute": name, "column": None, "message": "", "sqlstate": None}
                item = json.dumps({"Item": {name: {"S": "x" * (number % 3_000)}}})
                changed = {**record, "stage": "transform", "item_number": number, "errors": [error], "item": item, "item_encoding": "utf-8"}
                batch.append(json.dumps(changed).encode() + b"\n")
            files.write(RecordBatch("a", tuple(batch), is_last=first + 1_000 >= count))

    peaks = []
    for count in (2_000, 20_000):
        write(tmp_path / str(count), count)
        tracemalloc.start()
        started = time.monotonic()
        [table] = _summaries(tmp_path / str(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert table.dead_letters == count
        assert len(table.errors) <= 1_001
        assert sum(error.items for error in table.errors) == count
        print(f"{count:,} dead letters: {peaks[-1]:,} bytes, {time.monotonic() - started:.1f} s")
    assert peaks[1] < 1.3 * peaks[0]


def test_the_commands(loaded: LoadedExport, run: CommandLine) -> None:
    """Wired through: what a person reads and what programs do, masked and not; exit codes."""
    folder = loaded.run_folders[RecordFormat.PARQUET]
    summary = run("dead-letters", "summary", folder, "--json")
    assert summary.exit_code == 0, summary.output
    assert [table["source_table"] for table in json.loads(summary.stdout)["dead_letters"]] == sorted(table.source for table in TABLES)
    masked = run("dead-letters", "show", folder, "--code=invalid_uuid", "--attribute=id", "--limit=2")
    assert masked.exit_code == 0, masked.output
    assert masked.stdout.count("<- invalid_uuid") == 2
    values = run("dead-letters", "show", folder, "--code=invalid_uuid", "--attribute=id", "--limit=3", "--json", "--show_values")
    records = [json.loads(line) for line in values.stdout.splitlines()]
    assert len(records) == 3
    identities = [json.loads(record["item"])["Item"]["id"]["S"] for record in records]
    assert not any(identity and identity in masked.stdout for identity in identities)
    assert run("dead-letters", "summary", "nowhere").exit_code == 2


def test_the_dead_letter_of_a_change_shows_the_image_that_was_refused() -> None:
    """As that of an item; of a delete the image that was there."""
    [table] = [table for table in TABLES if table.source == "medzen-video-sessions"]
    images = {"OldImage": {"id": {"S": "x"}}, "NewImage": {"id": {"S": "x"}, "status": {"S": "CANCELLED"}}}
    errors = [{"code": "invalid_enum", "attribute": "status", "column": "status", "message": "m", "sqlstate": None}]

    def shown(*names: str) -> list[ShownLine]:
        line = {"Metadata": {}, "Keys": {"id": {"S": "x"}}, **{name: images[name] for name in names}}
        record = {"item": json.dumps(line), "item_encoding": "utf-8", "errors": errors}
        return item_lines(record, Names(frozenset(table.paths), show_values=True))

    assert [(each.name, each.faults) for each in shown("OldImage", "NewImage")] == [("id", ()), ("status", ("invalid_enum",))]
    assert [each.name for each in shown("OldImage")][:1] == ["id"]


def test_a_line_that_several_tables_refuse_is_named_once_in_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Each target has its own dead letters of a source that they share."""
    error = {"code": "invalid_json", "attribute": None, "message": "", "sqlstate": None}
    of_line = {"source_table": "App", "data_file": "a.json.gz", "item_number": 7, "stage": "read", "item": "{", "item_encoding": "utf-8"}
    records = [{**of_line, "target_table": f"public.{target}", "errors": [error]} for target in ("orders", "customers", "payments")]
    found = summarise(records, {})
    assert [(one.target_table, one.dead_letters, len(one.errors[0].first_places)) for one in found] == [
        ("public.orders", 1, 1),
        ("public.customers", 1, 1),
        ("public.payments", 1, 1),
    ]
    print_summary(Console(width=80), found)
    assert "App -> public.customers: 1 dead letter\n" in capsys.readouterr().out
