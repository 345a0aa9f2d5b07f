"""What the compiled way leaves to Python of an item that it is not sure of: the columns that this is because of, and no others."""

import random
from typing import Any

import pytest
from both_ways import compile_both_ways
from sound_items import ABSENT, NOTE, SESSION, SOUND, changed, line_of, note, only, refusal_of, refusal_of_line

from transforms.columns import compile_column, maps_of
from transforms.compile import compile_whole_table
from transforms.native.plan import Left, SoundFunctions, compile_sound_rows
from transforms.rejects import ItemRefused
from transforms.rules import Jsonb, Text
from transforms.sources import Whole
from transforms.table import Column, Missing, Table, Unmapped
from transforms.tables.medzen import SOAP_NOTES, TABLES, VIDEO_SESSIONS
from transforms.where import AllOf, Condition, Equals, Exists, Not

BAD: list[Any] = [
    {"N": "x"},
    {"S": "\0"},
    {"BOOL": 1},
    {"M": {"a": 1}},
    {"L": [{"N": "1"}, {"N": "01"}]},
    {"NULL": False},
    {},
    None,
    "text",
    [],
    7,
]


def functions_of(table: Table) -> SoundFunctions:
    return compile_sound_rows([compile_column(column, 0) for column in table.columns], maps_of(table.columns))


def left_of(table: Table, item: Any) -> Left | None:
    functions = functions_of(table)
    assert functions.encode(line_of(item), []) is None
    return functions.find_left(line_of(item))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_a_bad_attribute_leaves_the_columns_that_take_it(table: Table) -> None:
    """And no others, each with the values that it takes; the attributes that no item had before are told."""
    for name in SOUND[table.source].keys() - {"soapData"}:
        item = changed(SOUND[table.source], **{name: {"L": [{"N": "+1"}]}})
        left = left_of(table, item)
        takers = [number for number, column in enumerate(table.columns) if name in column.paths]
        if not takers:
            continue
        assert left is not None
        assert [number for number, _ in left.columns] == takers
        of_paths = [line_of(item[path])[len(b'{"Item":') : -2] for path in table.columns[takers[0]].paths]
        assert list(left.columns[0][1]) == of_paths
        assert {seen for _, seen in left.seen} >= item.keys()


def test_what_is_missing_leaves_its_column() -> None:
    left = left_of(VIDEO_SESSIONS, changed(SESSION, id=ABSENT))
    assert left == Left([(VIDEO_SESSIONS.column_names.index("id"), (None,))], [], left.seen if left else ())


def test_members_of_a_map_are_left_one_by_one() -> None:
    """A map that is none is not for its columns to say."""
    left = left_of(SOAP_NOTES, note(plan={"N": "x"}, objective={"S": 7}))
    assert left is not None
    assert {SOAP_NOTES.column_names[number] for number, _ in left.columns} == {"plan", "objective"}
    assert left_of(SOAP_NOTES, changed(NOTE, soapData={"S": "x"})) is None


def test_what_is_of_the_whole_item_leaves_nothing_alone() -> None:
    """A column of the item is sure of all of it, or of nothing."""
    columns = (Column("a", "a", Text()), Column(Whole.ITEM, "item", Jsonb()))
    assert left_of(Table("s", "t", ("a",), columns), {"a": {"N": "1"}}) is None


@pytest.mark.parametrize("unmapped", Unmapped)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_any_bad_attributes_are_refused_the_same_both_ways(table: Table, unmapped: Unmapped) -> None:
    """One or several, beside attributes that no column takes; with all their errors in the same order. The seed is fixed."""
    chance = random.Random(table.source)
    to_row = compile_both_ways(table, migration_time=0, unmapped=unmapped)
    refused = 0
    for _ in range(400):
        item = dict(SOUND[table.source])
        for name in chance.sample(sorted(item), chance.choice([1, 1, 2, 3])):
            item[name] = chance.choice(BAD)
        if chance.random() < 0.3:
            item["other"] = chance.choice([*BAD, {"S": "x"}, {"S": "x"}])
        if "soapData" in item and chance.random() < 0.5:
            item["soapData"] = note(**{chance.choice(["plan", "chiefComplaint", "other"]): chance.choice(BAD)})["soapData"]
        try:
            to_row(line_of(dict(chance.sample(sorted(item.items()), len(item)))))
        except ItemRefused:
            refused += 1
    assert refused > 350


@pytest.mark.parametrize("depth", [100, 400, 1_015, *range(1_018, 1_030), 3_000])
def test_a_bad_value_that_is_too_deep_for_the_parser_in_its_line(depth: int) -> None:
    """The line is what the parser judges, not the value alone, which is less deep."""
    to_row = compile_both_ways(VIDEO_SESSIONS, migration_time=0)
    line = line_of(changed(SESSION, id={"S": "<here>"})).replace(b'"<here>"', b"[" * depth + b"]" * depth)
    with pytest.raises(ItemRefused) as caught:
        to_row(line)
    assert (caught.value.errors[0].code == "invalid_json") == (depth > 1_021)


def test_a_bad_value_that_is_no_json_makes_the_line_none() -> None:
    """Its attributes do not count as seen then, whatever is sound beside it."""
    table = compile_whole_table(VIDEO_SESSIONS, migration_time=0)
    for value in (b"{]", b'{"S":"\xff"}', b'{"S":"\\ud800"}', b'{"S":"a" "b"}', b'{"S":01}', b"nul", b'{"S":tru}'):
        line = line_of(changed(SESSION, id={"S": "<here>"})).replace(b'{"S":"<here>"}', value)
        assert refusal_of_line(VIDEO_SESSIONS, line) == only("invalid_json", None, "read")
        with pytest.raises(ItemRefused):
            table.to_row(line)
    assert table.take_absent() == list(VIDEO_SESSIONS.paths)


def test_a_name_that_comes_twice_beside_a_bad_value() -> None:
    """It is not known which of its values counts, so the item is none."""
    line = line_of(changed(SESSION, id={"N": "1"})).replace(b'"status":', b'"status":{"S":"ACTIVE"},"status":')
    assert refusal_of_line(VIDEO_SESSIONS, line).stage == "read"
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, id={"N": "1"})) == only("wrong_type", "id")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (Not(Exists("m")), b'{"NULL":true,"X":1}'),
        (Not(Exists("m.x")), b'{"NULL":true,"X":1}'),
        (Equals("m.x", "A"), b'{"M":{"x":{"S":"A"}},"X":1}'),
        (Equals("m.x", "A"), b'{"M":{"x":{"S":"A"},"y":{"S":"1"},"y":{"S":"1"}}}'),
        (AllOf(Exists("id"), Not(Exists("m.x"))), b'{"M":{"y":{"S":"1"},"y":{"S":"1"}}}'),
    ],
)
def test_what_a_condition_refuses_comes_before_what_columns_refuse(where: Condition, value: bytes) -> None:
    """Its attribute is told, though a column before has another that is none."""
    columns = (Column("id", "id", Text()), Column("b", "b", Text(), Missing.NULL), Column("m", "m", Jsonb(), Missing.NULL))
    to_row = compile_both_ways(Table("s", "t", ("id",), columns, where=where), migration_time=0)
    with pytest.raises(ItemRefused) as caught:
        to_row(b'{"Item":{"id":{"S":"1"},"b":{"S":1},"m":' + value + b"}}")
    assert [error.attribute for error in caught.value.errors] == ["m"]
