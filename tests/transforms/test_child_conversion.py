"""What a child makes of an item: rows, notices and errors of its elements, each by its place."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from both_ways import compile_rows_both_ways

from transforms.children import _CompiledChild, compile_rows
from transforms.native import plan as native
from transforms.rejects import ItemRefused, ReadRefused
from transforms.rules import Integer, Jsonb, Text, Timestamp, Uuid
from transforms.sources import ELEMENT, ITEM, MEMBER, POSITION, REST, Computed, Joined, LaterOf, Parent, Part
from transforms.table import Child, Column, Missing, Source, Table, Unmapped
from transforms.types import row_to_texts

ID = str(UUID(int=7))


def table(*columns: Column, path: str = "lines") -> Table:
    return Table(
        "orders", "orders", ("id",), (Column("id", "id", Uuid(), Missing.REFUSED),), children=(Child(path, "order_line", columns),)
    )


def text(source: Source, name: str = "v", missing: Missing = Missing.NULL) -> Column:
    return Column(source, name, Text(), missing)


def made(of: Table, item: dict[str, Any], **settings: Unmapped) -> tuple[list[list[str | None]], list[tuple[str, str]]]:
    """The child's rows as texts, and the notices."""
    line = json.dumps({"Item": {"id": {"S": ID}, **item}}).encode()
    _, notices, (rows,) = compile_rows_both_ways(of, migration_time=0, **settings)(line)  # type: ignore[misc, arg-type]
    types = [column.pg_type for column in of.children[0].columns]
    return [row_to_texts(row, types) for row in rows], [(notice.code.value, notice.attribute) for notice in notices]


def errors(of: Table, item: dict[str, Any], **settings: Unmapped) -> list[tuple[str, str | None]]:
    with pytest.raises(ItemRefused) as caught:
        made(of, item, **settings)
    return [(error.code.value, error.attribute) for error in caught.value.errors]


SKU = {"M": {"sku": {"S": "a"}, "more": {"M": {"deep": {"L": [{"S": "x"}, {"S": "y"}]}}}}}


@pytest.mark.parametrize(
    ("column", "container", "values"),
    [
        (text("sku"), {"L": [SKU, SKU]}, ["a", "a"]),
        (text("more.deep[1]"), {"L": [SKU]}, ["y"]),
        (text(ELEMENT), {"L": [{"S": "a"}, {"NULL": True}]}, ["a", None]),
        (text(ELEMENT), {"SS": ["a", "b"]}, ["a", "b"]),
        (Column(ELEMENT, "v", Integer()), {"NS": ["1", "2"]}, ["1", "2"]),
        (Column(POSITION, "v", Integer()), {"L": [SKU, SKU]}, ["0", "1"]),
        (text(MEMBER), {"M": {"one": SKU, "two": SKU}}, ["one", "two"]),
        (Column(POSITION, "v", Integer()), {"M": {"one": SKU}}, [None]),
        (text(MEMBER), {"L": [SKU]}, [None]),
        (text(Parent("id")), {"L": [SKU, SKU]}, [ID, ID]),
        (text(Part("sku", "{one}", "one")), {"L": [SKU]}, ["a"]),
        (text(Joined(("sku", "sku"))), {"L": [SKU]}, ["a#a"]),
        (text(Computed(lambda item: item["sku"] * 2, ("sku",))), {"L": [SKU]}, ["aa"]),
        (Column(ELEMENT, "v", Jsonb()), {"L": [{"M": {"n": {"N": "1.50"}}}]}, ['{"n":1.50}']),
        (Column(ITEM, "v", Jsonb()), {"L": [{"S": "a"}]}, [f'{{"id":"{ID}","lines":["a"]}}']),
        (text("sku"), {"L": []}, []),
        (text("sku"), {"NULL": True}, []),
    ],
)
def test_sources_of_a_child(column: Column, container: dict[str, Any], values: list[str | None]) -> None:
    rows, _ = made(table(column), {"lines": container})

    assert [row[0] for row in rows] == values


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (text(Parent(Part("PK", "CUSTOMER#{id}#{n}", "id"))), "c 1"),
        (Column(Parent(Part("PK", "CUSTOMER#{id}#{n}", "n")), "v", Integer(zero_padded=True, tags=("S",))), "7"),
        (text(Parent(Joined(("in.a", "PK"), "/"))), "x/CUSTOMER#c 1#007"),
        (Column(Parent(LaterOf("made", "changed")), "v", Timestamp()), "2024-05-01T00:00:00+00:00"),
        (text(Parent(Computed(lambda item: item["PK"].lower(), ("PK",)))), "customer#c 1#007"),
    ],
)
def test_what_is_made_of_the_item(column: Column, value: str) -> None:
    item = {
        "PK": {"S": "CUSTOMER#c 1#007"},
        "in": {"M": {"a": {"S": "x"}}},
        "made": {"N": "1704067200000"},
        "changed": {"N": "1714521600000"},
        "lines": {"L": [SKU, SKU]},
    }

    assert made(table(column), item)[0] == [[value], [value]]


def test_a_fault_of_the_item_names_its_attribute() -> None:
    of_part = table(text(Parent(Part("PK", "CUSTOMER#{id}", "id"))))

    assert errors(of_part, {"PK": {"S": "ORDER#1"}, "lines": {"L": [SKU, SKU]}}) == [("pattern_mismatch", "PK")]


@pytest.mark.parametrize("source", [ITEM, REST, ELEMENT, Parent("id"), None])
def test_a_parent_takes_attributes(source: Any) -> None:
    with pytest.raises(ValueError, match="v: Parent takes a path, LaterOf, Part, Joined or Computed, not"):
        compile_rows(table(text(Parent(source))), migration_time=0)


def test_an_item_without_the_attribute_has_no_child_rows() -> None:
    assert made(table(text("sku")), {}) == ([], [])
    assert made(table(text("sku"), path="order.lines"), {}) == ([], [])


@pytest.mark.parametrize(
    ("of", "item", "told"),
    [
        (table(text("sku")), {"lines": {"S": "x"}}, [("wrong_type", "lines")]),
        (table(text("sku"), path="order.lines"), {"order": {"S": "x"}}, [("wrong_type", "order")]),
        (table(text("sku")), {"lines": {"L": [SKU, {"S": "x"}]}}, [("wrong_type", "lines[1]")]),
        (table(text("sku")), {"lines": {"M": {"one": {"M": {"sku": {"N": "1"}}}}}}, [("wrong_type", "lines.one.sku")]),
        (
            table(text("sku", missing=Missing.REFUSED)),
            {"lines": {"L": [{"M": {}}, SKU, {"M": {}}]}},
            [("missing_required", f"lines[{n}].sku") for n in (0, 2)],
        ),
        (table(text("sku")), {"lines": {"L": [{"M": {"sku": {"S": "x\0"}}}]}}, [("nul_character", "lines[0].sku")]),
        (table(Column(Parent("who"), "v", Uuid())), {"who": {"S": "x"}, "lines": {"L": [SKU]}}, [("invalid_uuid", "who")]),
    ],
)
def test_what_is_wrong_names_the_element(of: Table, item: dict[str, Any], told: list[tuple[str, str | None]]) -> None:
    assert errors(of, item) == told


def test_an_element_that_is_no_attribute_value_is_no_item() -> None:
    """A fault of reading: the one error that it has, whatever else is wrong."""
    with pytest.raises(ReadRefused) as caught:
        made(table(text("sku", missing=Missing.REFUSED)), {"id": {"S": "no"}, "lines": {"L": [{"M": {}}, {"M": {"sku": {"S": 1}}}]}})

    assert [(error.code.value, error.attribute) for error in caught.value.errors] == [("not_an_item", "lines[1].sku")]


def test_what_no_column_takes_of_an_element_is_told() -> None:
    """By its place; the list itself is taken."""
    item = {"lines": {"L": [{"M": {"sku": {"S": "a"}, "colour": {"S": "red"}}}]}, "other": {"S": "x"}}

    assert made(table(text("sku")), item)[1] == [("unmapped_attribute", "other"), ("unmapped_attribute", "lines[0].colour")]
    both = [("unmapped_attribute", "other"), ("unmapped_attribute", "lines[0].colour")]
    assert errors(table(text("sku")), item, unmapped=Unmapped.REJECT) == both
    del item["other"]
    assert errors(table(text("sku")), item, unmapped=Unmapped.REJECT) == both[1:]
    assert made(table(Column(POSITION, "v", Integer())), item)[1] == [("unmapped_attribute", "lines[0]")]


def test_the_rest_of_an_item_is_no_source_of_a_child() -> None:
    with pytest.raises(ValueError, match="REST is of the item, and no column of a Child takes it"):
        compile_rows_both_ways(table(Column(REST, "v", Jsonb())), migration_time=0)


@pytest.mark.skipif(not native.IS_BUILT, reason="there is no compiled conversion")
def test_the_compiled_conversion_makes_the_rows_of_sound_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python makes those that it is not sure of, one by one."""
    made_in_python = []
    in_python = _CompiledChild._row

    def noted(self: Any, element: Any, *more: Any) -> bytes:
        made_in_python.append(element.place)
        return in_python(self, element, *more)

    monkeypatch.setattr(_CompiledChild, "_row", noted)
    of_item = text(Parent("id"), "o"), text(Parent(Part("id", "{a}-{b}", "a")), "a"), text(Parent(Joined(("id", "id"))), "j")
    columns = (*of_item, Column(POSITION, "p", Integer()), text(MEMBER, "m"), text("sku"), Column(ELEMENT, "all", Jsonb()))
    to_rows = compile_rows(table(*columns), migration_time=0)
    elements = [SKU, {"M": {"sku": {"S": "b"}, "other": {"NULL": True}}}, {"M": {"sku": {"S": "nul\0"}}}]

    with pytest.raises(ItemRefused):
        to_rows(json.dumps({"Item": {"id": {"S": ID}, "lines": {"L": elements}}}).encode())
    assert made_in_python == ["lines[2]"]
    _, _, (rows,) = to_rows(json.dumps({"Item": {"id": {"S": ID}, "lines": {"M": {'é"': SKU}}}}).encode())  # type: ignore[misc]
    assert row_to_texts(rows[0], [column.pg_type for column in columns])[:6] == [ID, ID[:8], f"{ID}#{ID}", None, 'é"', "a"]
    assert made_in_python == ["lines[2]"]


def test_what_an_element_has_twice_is_seen() -> None:
    """JSON with a member twice says two things, wherever it stands."""
    line = f'{{"Item":{{"id":{{"S":"{ID}"}},"lines":{{"L":[{{"M":{{"sku":{{"S":"a"}},"sku":{{"S":"b"}}}}}}]}}}}}}'.encode()

    with pytest.raises(ReadRefused):
        compile_rows_both_ways(table(text("sku")), migration_time=0)(line)
