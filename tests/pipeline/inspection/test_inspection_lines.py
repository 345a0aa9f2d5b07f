"""Lines that are no sound item: each has a kind, none is an exception, none counts for anything else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.pipeline.inspection.inspected import attribute_of, inspected, line_of, printed, statistics_of, told
from tests.strategies import BRIEF

REAL = sorted(Path(__file__).parent.parent.glob("source/real-export-all-types/**/data/*.json.gz"))
SESSION: dict[str, Any] = {
    "id": {"S": "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"},
    "createdAt": {"N": "1735130694288"},
    "enabled": {"BOOL": True},
    "soapData": {"M": {"plan": {"L": [{"M": {"dose": {"N": "2.5"}}}, {"NULL": True}]}}},
    "tags": {"SS": ["a", "b"]},
}


def _nested(levels: int) -> bytes:
    return b'{"Item":{"deep":' + b'{"L":[' * levels + b'{"NULL":true}' + b"]}" * levels + b"}}"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("invalid_json", b""),
        ("invalid_json", b"\xff"),
        ("invalid_json", line_of(SESSION)[:-1]),
        ("invalid_json", b"\xef\xbb\xbf" + line_of(SESSION)),
        ("invalid_json", b'{"Item":{"a":{"S":"\\ud800"}}}'),
        ("invalid_json", b"[" * 1_000_000),
        ("invalid_json", _nested(100_000)),
        ("invalid_json", b'"Item"'),
        ("not_an_item", b"{}"),
        ("not_an_item", b'{"Item":[]}'),
        ("not_an_item", b'{"Item":{},"Keys":{}}'),
        ("not_an_item", b'{"Keys":{}}'),
        ("incremental_record", b'{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"id":{"S":"1"}}}'),
        ("incremental_record", b'{"Metadata":{},"Keys":{},"NewImage":{"id":{"S":"1"}},"OldImage":{}}'),
        ("malformed_attribute", b'{"Item":{"id":"1"}}'),
        ("malformed_attribute", b'{"Item":{"id":{}}}'),
        ("malformed_attribute", b'{"Item":{"id":{"S":"1","N":"1"}}}'),
        ("malformed_attribute", b'{"Item":{"id":{"N":1}}}'),
        ("malformed_attribute", b'{"Item":{"id":{"NULL":false}}}'),
        ("malformed_attribute", b'{"Item":{"id":{"NS":[1]}}}'),
        ("malformed_attribute", b'{"Item":{"id":{"M":{"x":{"L":[{"X":"1"}]}}}}}'),
        ("nested_too_deeply", _nested(255)),
        ("nested_too_deeply", _nested(510)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_that_is_no_sound_item_counts_as_its_kind_alone(kind: str, line: bytes) -> None:
    summary = told(statistics_of([line, line_of(SESSION)]))

    assert summary["unreadable"] == {kind: 1}
    assert (summary["lines"], summary["items"]) == (2, 1)
    alone = inspected(SESSION)["attributes"]
    assert [{**attribute, "malformed": 0} for attribute in summary["attributes"] if attribute["items"]] == alone


def test_as_deep_as_migrate_takes_it_is_read() -> None:
    summary = told(statistics_of([_nested(254)]))

    assert attribute_of(summary, "deep")["depth"] == 254


def test_the_attribute_at_fault_is_told() -> None:
    summary = inspected({"id": {"S": "1"}, "plan": {"M": {"dose": 5}}}, {"id": {"S": "1"}})

    assert attribute_of(summary, "plan")["malformed"] == 1
    assert attribute_of(summary, "plan")["items"] == 0
    assert attribute_of(summary, "id")["items"] == 1


@BRIEF
@given(st.binary(max_size=60) | strategies.mutated_lines(SESSION) | st.builds(line_of, strategies.mutated_items(SESSION)))
def test_no_bytes_are_an_exception(line: bytes) -> None:
    """Neither to take in, nor to tell, nor to print."""
    statistics = statistics_of([line, line_of(SESSION)])

    summary = told(statistics)
    assert summary["items"] + sum(summary["unreadable"].values()) == 2
    assert "1 line" in printed(statistics) or "2 lines" in printed(statistics)


@BRIEF
@given(strategies.json_documents)
def test_no_document_is_an_exception(document: Any) -> None:
    statistics = statistics_of([json.dumps(document).encode(), json.dumps({"Item": {"a": document, "Maria": document}}).encode()])

    assert told(statistics)["lines"] == 2
    assert printed(statistics, width=None)


def test_a_real_export_has_all_types() -> None:
    """Three items that AWS wrote; what is in them was read by eye."""
    assert REAL
    lines = [line for path in REAL for line in gzip.decompress(path.read_bytes()).splitlines()]

    summary = told(statistics_of(lines))

    types = {attribute["name"]: attribute["types"] for attribute in summary["attributes"]}
    single = {"baz": "N", "bar": "N", "a": "BOOL", "b": "NULL", "c": "SS", "d": "NS", "e": "L", "f": "M", "j": "B", "k": "BS"}
    assert types == {"id": {"S": 3}, **{name: {tag: 1} for name, tag in single.items()}}
    assert summary["unreadable"] == {}
    assert attribute_of(summary, "id")["texts"]["characters"] == {"least": 3, "greatest": 10}
    assert attribute_of(summary, "j")["binary_bytes"] == {"least": 5, "greatest": 5}
    assert attribute_of(summary, "f")["other_members"] == 3
