"""Nothing of an item's values is in what is shown without values, in any form of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.records.mask import (
    Patterns,
    ValueShape,
    masked_item,
    named_paths,
    shape_in_words,
    shape_of_value,
    shown_place,
    steps_to,
    value_at,
)
from pipeline.records.summary import Names, print_dead_letter, print_summary, record_to_json, summarise
from tests.strategies import BRIEF, odd_values, structures, to_typed_json
from transforms.compile import compile_table
from transforms.rejects import ItemRefused
from transforms.table import Unmapped
from transforms.tables.medzen import TABLES

NAMED = {table.source: named_paths(table) for table in TABLES}
SOAP = NAMED["medzen-soap-notes"]
MARK = "Zq7"


def _marked(value: Any) -> Any:
    """With a mark before every text and name, so that none can be one of our own words."""
    match value:
        case str():
            return MARK + value
        case dict():
            return {name if name in TAGS else MARK + name: _marked(inner) for name, inner in value.items()}
        case list():
            return [_marked(inner) for inner in value]
    return value


TAGS = {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}


def _record(line: bytes, source: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "run_id": "run",
        "source_table": source,
        "target_table": "public.target",
        "export_id": "export",
        "data_file": "file.json.gz",
        "item_number": 1,
        "stage": "transform",
        "errors": errors,
        "item": line.decode(),
        "item_encoding": "utf-8",
        "rejected_at": "2026-11-23T02:00:00+00:00",
    }


def _shown(record: dict[str, Any]) -> str:
    """All that can be seen of a dead letter without values."""
    named = NAMED[record["source_table"]]
    output = io.StringIO()
    console = Console(file=output, soft_wrap=True)
    print_dead_letter(console, record, Names(named, show_values=False))
    tables = summarise([record], NAMED)
    print_summary(console, tables)
    masked = record_to_json(record, Names(named, show_values=False))
    return output.getvalue() + orjson.dumps([masked, tables]).decode()


@pytest.mark.parametrize("table", TABLES, ids=[table.source for table in TABLES])
@BRIEF
@given(data=st.data())
def test_masked_output_holds_no_value(table: Any, data: st.DataObject) -> None:
    """Values of every kind, sound and not, in attributes with a column and in others, nested or not; names of members too."""
    to_row = compile_table(table, migration_time=0, unmapped=Unmapped.REJECT)
    names = sorted({path.split(".")[0] for path in named_paths(table)} | {"unknownAttribute"})
    values = (structures.map(to_typed_json) | odd_values).map(_marked)
    item = data.draw(st.dictionaries(st.sampled_from(names), values, min_size=1))
    if "soapData" in item and data.draw(st.booleans()):
        item["soapData"] = {"M": data.draw(st.dictionaries(st.sampled_from(["plan", "subjective"]), values))}
    line = json.dumps({"Item": item}).encode()
    try:
        to_row(line)
    except ItemRefused as refused:
        errors = orjson.loads(orjson.dumps(refused.errors))
    else:
        errors = []

    assert MARK not in _shown(_record(line, table.source, errors))


def test_a_line_that_is_no_item_is_not_shown() -> None:
    """Only how long it is."""
    for line in (f"{MARK} is no JSON".encode(), json.dumps({"Item": {}, MARK: 1}).encode()):
        shown = _shown(_record(line, "medzen-soap-notes", [_error("invalid_json", None)]))
        assert MARK not in shown
        assert f"line({len(line)}) bytes" in shown


def _error(code: str, attribute: str | None) -> dict[str, Any]:
    return {"code": code, "attribute": attribute, "column": None, "message": "must be right", "sqlstate": None}


ITEM: dict[str, Any] = {
    "id": {"S": "abc"},
    "a.b": {"M": {"c[0]": {"S": "x"}, "c": {"L": [{"N": "1"}, {"M": {"d.e": {"BOOL": True}}}]}}},
    "soapData": {"M": {"plan": {"M": {"Jane Doe": {"S": "x"}}}, "extra": {"S": "y"}}},
    "12345-67890": {"S": "x"},
}


@pytest.mark.parametrize(
    ("attribute", "steps", "shown"),
    [
        ("id", ("id",), "id"),
        ("a.b.c[0]", ("a.b", "c[0]"), "a.b (inside)"),
        ("a.b.c[1].d.e", ("a.b", "c", 1, "d.e"), "a.b (inside)"),
        ("soapData.plan", ("soapData", "plan"), "soapData.plan"),
        ("soapData.plan.Jane Doe", ("soapData", "plan", "Jane Doe"), "soapData.plan (inside)"),
        ("soapData.extra", ("soapData", "extra"), "soapData (inside)"),
        ("soapData.objective", None, "soapData.objective"),
        ("12345-67890", ("12345-67890",), "(a name that looks like data)"),
        ("sessionId", None, "sessionId"),
        ("unheard.of[3]", None, "unheard (inside)"),
        ("a.b.c[7]", None, "a (inside)"),
    ],
)
def test_an_errors_path_is_found_and_shown_as_far_as_the_definition_names_it(
    attribute: str, steps: tuple[str | int, ...] | None, shown: str
) -> None:
    """Names hold dots and brackets themselves; below what a definition names, they may be data."""
    assert steps_to(ITEM, attribute) == steps
    assert shown_place(ITEM, attribute, SOAP) == shown
    if attribute == "a.b.c[1].d.e":
        assert value_at(ITEM, steps or ()) == {"BOOL": True}


def test_a_masked_item_keeps_its_structure() -> None:
    assert masked_item(ITEM, SOAP) == {
        "id": "S(3) word",
        "a.b": {"#1": "S(1) word", "#2": ["N(1) digits", {"#1": "BOOL"}]},
        "soapData": {"plan": {"#1": "S(1) word"}, "#2": "S(1) word"},
        "(a name that looks like data)": "S(1) word",
    }


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": MARK}
    for _ in range(levels):
        value = {"M": {"a": value}}
    return value


def test_an_item_that_is_nested_too_deep_can_be_shown() -> None:
    record = _record(
        json.dumps({"Item": {"eventData": _nested(250)}}).encode(), "medzen-meeting-audit", [_error("invalid_json", "eventData")]
    )
    assert MARK not in _shown(record)


def test_what_would_draw_on_a_terminal_does_not() -> None:
    """Neither from names nor from values, which may be shown."""
    item = {"na\x1b[2Jme": {"S": "va\x1b]0;lue\u202e"}, "[red]bold[/]": {"S": "[link=x]y"}}
    record = _record(json.dumps({"Item": item}, ensure_ascii=False).encode(), "medzen-soap-notes", [_error("wrong_type", "na\x1b[2Jme")])
    for show_values in (True, False):
        output = io.StringIO()
        print_dead_letter(Console(file=output, force_terminal=True, color_system=None), record, Names(SOAP, show_values))
        assert "\x1b[2J" not in output.getvalue()
        assert "\x1b]0" not in output.getvalue()
        assert "\u202e" not in output.getvalue()
        assert "[red]bold[/]" in output.getvalue()


def _patterns(*values: Any) -> Iterator[str]:
    patterns = Patterns()
    for value in values:
        patterns.add(shape_of_value(value))
    return (f"{pattern.count} x {pattern.shape}" for pattern in patterns.most_common())


@BRIEF
@given(values=st.lists(structures.map(to_typed_json) | odd_values, max_size=5))
def test_words_made_before_are_those_of_the_shape(values: list[Any]) -> None:
    """Whatever came before, and again."""
    expected = [str(shape_of_value(value)) for value in values]
    assert [shape_in_words(value) for value in [*values, *values]] == expected * 2


def test_words_tell_tags_lengths_and_kinds_apart() -> None:
    values = {"S": "1234"}, {"N": "1234"}, {"S": "12345"}, {"S": "word"}, {"S": ""}, {"B": "1234"}, {"S": "1", "N": "1"}
    assert [shape_in_words(value) for value in values] == [
        "S(4) digits",
        "N(4) digits",
        "S(5) digits",
        "S(4) word",
        "S(0) empty",
        "B(4)",
        "not an attribute value (an object)",
    ]


def test_an_item_counts_once_for_a_code_and_a_place() -> None:
    """However many values inside of one attribute have the fault; their shapes are all counted."""
    item = {"eventData": {"M": {"a": {"N": "x"}, "b": {"N": "yy"}}}}
    errors = [_error("invalid_number", f"eventData.{name}") for name in "ab"]
    [table] = summarise([_record(json.dumps({"Item": item}).encode(), "medzen-meeting-audit", errors)], NAMED)
    [error] = table.errors
    assert (error.attribute, error.items, error.share, len(error.first_places)) == ("eventData (inside)", 1, 1.0, 1)
    assert sum(pattern.count for pattern in error.patterns) == 2


def test_patterns_keep_little_of_many_lengths() -> None:
    patterns = Patterns()
    for size in range(10_000):
        patterns.add(ValueShape("S", size, "text"))
    [sizes] = patterns._sizes.values()
    assert len(sizes) <= 64
    assert [(pattern.shape, pattern.count) for pattern in patterns.most_common()] == [("S(0 to 9999) text", 10_000)]


def test_patterns_are_few_and_add_up() -> None:
    """Few sizes are told one by one, many as a range, and one that nearly all have beside the range of the others."""
    assert list(_patterns(*[{"S": ""}] * 412, *[{"S": "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3"}] * 3)) == [
        "412 x empty string",
        "3 x S(35) word",
    ]
    assert list(_patterns(*[{"S": "a " * size} for size in range(1, 501)])) == ["500 x S(2 to 1000) text"]
    most = [{"N": "1" * 10}] * 190
    assert list(_patterns(*most, *[{"N": "1" * size} for size in range(1, 9)])) == ["190 x N(10) digits", "8 x N(1 to 8) digits"]
    assert list(_patterns({"BOOL": True}, {"NULL": True}, {"X": 1}, 5)) == [
        "1 x BOOL",
        "1 x NULL",
        "1 x not an attribute value (a number)",
        "1 x not an attribute value (an object)",
    ]
