"""JSON Lines and Parquet: read back without our code, both hold what the truth says, and the same."""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Stopped
from pipeline.job.graph import WriteRecords
from pipeline.places.storage import OutputFolder
from pipeline.records.files import (
    JSON_LINES,
    JsonLines,
    Parquet,
    RecordBatch,
    RecordFiles,
    RecordForm,
    count_records,
    form_of,
    form_of_file,
)
from pipeline.records.kinds import OF_A_LOAD, RecordFormat, RecordKind
from pipeline.records.lines import Origin, Rejection, dead_letter_record
from pipeline.source.chunks import ItemAddress
from tests.pipeline.records.conftest import LoadedExport
from tests.truth import assert_equals_truth, records
from transforms.rejects import ErrorCode, ItemError, Stage
from transforms.tables.medzen import TABLES

FORMS = [JsonLines(), Parquet(RecordKind.DEAD_LETTERS)]


def _dead_letter(number: int, item: str = "{}") -> bytes:
    origin = Origin("run", "things", "public.thing", "export")
    rejection = Rejection("2026-11-23T02:00:00.000001+00:00", 1, "run")
    error = ItemError(ErrorCode.INVALID_UUID, "id", "id", "must be a UUID")
    return dead_letter_record(origin, ItemAddress("some.json.gz", number), item.encode(), Stage.TRANSFORM, [error], rejection)


@pytest.mark.parametrize("record_format", list(RecordFormat))
def test_what_is_in_the_files_is_what_the_truth_says(loaded: LoadedExport, record_format: RecordFormat) -> None:
    """Every dead letter with all its errors and its line, byte for byte, and every notice."""
    assert_equals_truth(loaded.root, loaded.database, loaded.run_folders[record_format])


def _json_form(row: dict[str, Any]) -> dict[str, Any]:
    """What a row of Parquet is as JSON: a time and the attributes of a key have types of their own there."""
    if "key" in row:
        return {**row, "key": json.loads(row["key"])}
    return {**row, "rejected_at": row["rejected_at"].isoformat()}


@pytest.mark.parametrize("kind", OF_A_LOAD)
def test_both_hold_the_same_in_the_same_order_of_columns(loaded: LoadedExport, kind: RecordKind) -> None:
    for table in TABLES:
        of_json, of_parquet = (list(records(loaded.run_folders[one] / kind / table.source)) for one in RecordFormat)
        assert len(of_json) > 50
        assert [list(record.items()) for record in of_json] == [list(_json_form(row).items()) for row in of_parquet]


@pytest.mark.parametrize("kind", OF_A_LOAD)
def test_our_own_reader_gives_what_json_lines_hold(loaded: LoadedExport, kind: RecordKind) -> None:
    for table in TABLES:
        expected = list(records(loaded.run_folders[RecordFormat.JSONL] / kind / table.source))
        for run_folder in loaded.run_folders.values():
            folder = run_folder / kind / table.source
            found = []
            for path in sorted(folder.iterdir()):
                form = form_of_file(path.name)
                assert form is not None
                with path.open("rb") as stream:
                    found += list(form.read(stream))
            assert found == expected
            assert count_records(OutputFolder(str(folder))) == len(expected)


@pytest.mark.parametrize("form", FORMS, ids=["jsonl", "parquet"])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, form: RecordForm) -> None:
    """Until its last batch is in it has another name, and what is abandoned leaves nothing; nobody else may read any of it."""
    folder = tmp_path / "out" / "things"
    files = RecordFiles(OutputFolder(str(folder)), form)
    files.write(RecordBatch("a", (_dead_letter(1),), is_last=False))
    files.write(RecordBatch("b", (_dead_letter(2),), is_last=False))
    files.write(RecordBatch("empty", (), is_last=True))
    assert {path.suffix for path in folder.iterdir()} == {".part"}
    assert count_records(OutputFolder(str(folder))) == 0
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "out", folder, *folder.iterdir())} == {0}

    files.write(RecordBatch("a", (_dead_letter(3),), is_last=True))
    files.abandon()

    assert [path.name for path in folder.iterdir()] == [f"a{form.ending}"]
    assert [record["item_number"] for record in records(folder)] == [1, 3]
    assert count_records(OutputFolder(str(folder))) == 2


def test_a_bundle_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Beam tears the step down without having ended its bundle."""
    step = WriteRecords([OutputFolder(str(tmp_path / "out"))], JSON_LINES)
    step.start_bundle()
    assert not list(step.process((0, RecordBatch("a", (_dead_letter(1),), is_last=False))))
    assert len(list((tmp_path / "out").iterdir())) == 1
    step.teardown()
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("form", FORMS, ids=["jsonl", "parquet"])
def test_a_disk_that_is_full_is_a_sentence_without_values(tmp_path: Path, form: RecordForm) -> None:
    """Nothing is left of the file, and no folder full of halves."""
    files = RecordFiles(OutputFolder(str(tmp_path / "out")), form)
    noise = random.Random(1).randbytes(4_000_000).hex()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(Stopped, match=r"cannot be written.*give another --output") as stopped:
            files.write(RecordBatch("a", (_dead_letter(1, noise),), is_last=True))
        files.abandon()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert noise[:8] not in str(stopped.value)
    assert not list((tmp_path / "out").iterdir())


def test_parquet_is_written_in_row_groups_and_read_in_order(tmp_path: Path) -> None:
    """Memory does not grow with a file: what was gathered is written every few megabytes."""
    files = RecordFiles(OutputFolder(str(tmp_path)), Parquet(RecordKind.DEAD_LETTERS))
    for number in range(0, 60, 3):
        batch = tuple(_dead_letter(number + one, "x" * 500_000) for one in range(3))
        files.write(RecordBatch("a", batch, is_last=number == 57))

    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert (metadata.num_rows, metadata.num_row_groups) == (60, 4)
    assert [record["item_number"] for record in records(tmp_path)] == list(range(60))


def test_parquet_has_types(loaded: LoadedExport) -> None:
    """A number is a number, a time a time, and the errors are a list of structs: nothing for the reader to parse but the item."""
    [path, *_] = (loaded.run_folders[RecordFormat.PARQUET] / "dead_letters").rglob("*.parquet")
    schema = pq.read_schema(path)
    assert schema.field("item_number").type == pa.int64()
    assert schema.field("rejected_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("errors").type.value_type == pa.struct(
        [(name, pa.string()) for name in ("code", "attribute", "column", "message", "sqlstate")]
    )


def test_any_text_survives() -> None:
    """U+0000, line breaks of Unicode, quotes, emoji; a time without a fraction, too."""
    text = '\0 \u2028 \r\n " \\ 😀 \ufeff'
    line = _dead_letter(1, text).replace(b"02:00:00.000001", b"02:00:00")
    for record_format in RecordFormat:
        form = form_of(RecordKind.DEAD_LETTERS, record_format)
        content = io.BytesIO()
        writer = form.writer(content)
        writer.write(line)
        writer.close()
        content.seek(0)
        assert list(form.read(content)) == [json.loads(line)]
        assert json.loads(line)["item"] == text


def test_the_same_records_make_the_same_json_lines(tmp_path: Path) -> None:
    """A split that is read twice makes the same file twice: no time in its header."""
    for name in ("one", "two"):
        RecordFiles(OutputFolder(str(tmp_path / name))).write(RecordBatch("a", (_dead_letter(1),), is_last=True))
    one, two = ((tmp_path / name / "a.jsonl.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert gzip.decompress(one) == _dead_letter(1)
    assert datetime.fromisoformat(json.loads(gzip.decompress(one))["rejected_at"]).tzinfo is not None
