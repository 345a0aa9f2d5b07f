"""The schema of each kind of records is said once: what is written, what is documented and what is demanded follow it."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.records.kinds import KINDS, OF_A_LOAD, SCHEMAS, Field, RecordKind, demanded_fields
from pipeline.records.lines import Origin, Rejection, dead_letter_record, is_dead_letter, mismatch_batch, notice_records, row_record
from pipeline.source.chunks import Chunk, ItemAddress, Split
from pipeline.source.manifest import DataFile
from pipeline.target.compare import Mismatch, MismatchKind
from pipeline.target.rows import RefusedRow
from transforms.rejects import ErrorCode, ItemError, Notice, NoticeCode, Stage

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "dead-letters.md").read_text(encoding="utf-8")
ORIGIN = Origin("run", "things", "public.thing", "export")
ADDRESS = ItemAddress("a.json.gz", 3)
LINE = b'{"Item": {"id": {"S": "abc"}, "n": {"N": "1"}}}'
ERROR = ItemError(ErrorCode.INVALID_UUID, "id", "id", "must be a UUID")


def _dead_letter(line: bytes = LINE) -> dict[str, Any]:
    rejection = Rejection("2026-11-23T02:00:00+00:00", 1, "run")
    record: dict[str, Any] = orjson.loads(dead_letter_record(ORIGIN, ADDRESS, line, Stage.TRANSFORM, [ERROR], rejection))
    return record


def _mismatches() -> list[dict[str, Any]]:
    refused = RefusedRow(3, ErrorCode.CHECK_VIOLATION, "23514", "a_check")
    found = [Mismatch(3, MismatchKind.DIFFERENT, ("n",)), Mismatch(3, MismatchKind.MISSING, refused=refused)]
    data_file = DataFile("a.json.gz", "/x/a.json.gz", 4, None)
    chunk = Chunk(Split(data_file, 0, 0, 4), 3, [LINE], is_last=True)
    records = list(mismatch_batch(ORIGIN, chunk, ["id"], found, {(3, "n"): {"export": "1", "target": "2"}}).records)
    records += [row_record(ORIGIN, address, MismatchKind.ROW_WITHOUT_ITEM, {"id": "abc"}) for address in (None, ADDRESS)]
    return [orjson.loads(record) for record in records]


def _notice() -> dict[str, Any]:
    [line] = notice_records(ORIGIN, ADDRESS, LINE, ["id"], [Notice(NoticeCode.UNMAPPED_ATTRIBUTE, "n")])
    record: dict[str, Any] = orjson.loads(line)
    return record


@pytest.mark.parametrize(
    ("kind", "records"),
    [(RecordKind.DEAD_LETTERS, [_dead_letter()]), (RecordKind.NOTICES, [_notice()]), (RecordKind.MISMATCHES, _mismatches())],
)
def test_lines_have_the_fields_of_their_schema_in_its_order(kind: RecordKind, records: list[dict[str, Any]]) -> None:
    names = [field.name for field in SCHEMAS[kind]]
    for record in records:
        assert list(record) == [name for name in names if name in record]
        assert record.keys() >= demanded_fields(kind)
        assert record.keys() == set(names) or (kind is RecordKind.MISMATCHES and set(names) - record.keys() == {"values"})


def test_a_mismatch_has_keys_and_names_and_values_where_they_were_asked_for() -> None:
    different, missing, of_nobody, of_dead_letter = _mismatches()
    assert (different["key"], different["columns"], different["refused"]) == ({"id": {"S": "abc"}}, ["n"], None)
    assert different["values"] == {"n": {"export": "1", "target": "2"}}
    assert missing["refused"] == {"code": "check_violation", "sqlstate": "23514", "constraint": "a_check"}
    assert "values" not in missing
    assert (of_nobody["data_file"], of_nobody["item_number"], of_nobody["primary_key"]) == (None, None, {"id": "abc"})
    assert (of_dead_letter["data_file"], of_dead_letter["item_number"]) == ("a.json.gz", 3)


def test_the_documented_table_is_the_schema() -> None:
    """Fields in a row of the same meaning share one."""

    def alike(field: Field) -> tuple[str, str, str]:
        return field.type.in_json, field.type.in_parquet, field.meaning

    rows = [
        f"| {', '.join(f'`{field.name}`' for field in fields)} | {' | '.join(row)} |"
        for row, fields in groupby(SCHEMAS[RecordKind.DEAD_LETTERS], alike)
    ]
    assert "\n".join(["| field | JSON Lines | Parquet | |", "|---|---|---|---|", *rows, "\n"]) in PAGE


@pytest.mark.parametrize("kind", OF_A_LOAD)
def test_documented_columns_are_the_schema(kind: RecordKind) -> None:
    """Of DuckDB's view, and of Athena's table of dead letters."""
    [duckdb] = re.findall(rf"read_json\('RUN/{kind}/.*?columns = \{{(.*?)\}}\)", PAGE, flags=re.DOTALL)
    names = [field.name for field in SCHEMAS[kind]]
    assert re.findall(r'(\w+)"?: ', duckdb) == names
    if kind is RecordKind.DEAD_LETTERS:
        [athena] = re.findall(r"EXTERNAL TABLE dead_letters \((.*?)\)\nROW", PAGE, flags=re.DOTALL)
        assert re.findall(r"(\w+) (?:string|bigint|int|array)\b", athena) == names


def test_every_kind_of_mismatch_is_explained() -> None:
    """In words and in the documentation; what is in order again needs no advice."""
    assert KINDS.keys() == set(MismatchKind)
    pages = (DOCS / "validation.md").read_text(encoding="utf-8") + (DOCS / "rollback.md").read_text(encoding="utf-8")
    for kind, text in KINDS.items():
        assert f"`{kind}`" in pages
        assert all((text.words, text.sentence))
        assert bool(text.advice) == (kind is not MismatchKind.REPAIRED)


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": None},
        {"item": {}},
        {"item_number": -1},
        {"item_number": True},
        {"item_number": 1 << 62},
        {"attempt": "1"},
        {"errors": []},
        {"errors": {}},
        {"errors": ["invalid_uuid"]},
        {"errors": [{"code": "made_up"}]},
        {"errors": [{"code": ["invalid_uuid"]}]},
    ],
)
def test_what_a_replay_cannot_use_is_no_dead_letter(changed: dict[str, Any]) -> None:
    of_bytes = _dead_letter(b"\xff")
    demanded = {name: of_bytes[name] for name in demanded_fields(RecordKind.DEAD_LETTERS)}
    assert is_dead_letter(_dead_letter())
    assert is_dead_letter(demanded)
    assert not any(is_dead_letter({name: demanded[name] for name in demanded.keys() - {left_out}}) for left_out in demanded)
    assert not is_dead_letter({**_dead_letter(), **changed})
