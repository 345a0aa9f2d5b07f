"""What of sources and conditions stays in the compiled way. That it makes the same as Python is asserted wherever they are tested."""

import contextlib
import gzip
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from both_ways import compile_both_ways
from made_tables import table_of
from sound_items import NULL, SESSION, T1, T2, changed, line_of

from sample_export import write_sample_exports
from transforms.columns import compile_column, maps_of
from transforms.native.plan import Attribute, ConditionPlan, Step, StepSource, compile_sound_rows
from transforms.native.sound_rows import SoundRows
from transforms.rejects import ItemRefused
from transforms.rules import Jsonb, OneOf, Text, Timestamp, Uuid
from transforms.sources import EMPTY_AS_NULL, ITEM, LOWER, REPLACE_NUL, REST, TRIM, UPPER, Computed, Joined, LaterOf, Part
from transforms.table import Column, Otherwise
from transforms.tables.medzen import VIDEO_SESSIONS
from transforms.where import AllOf, AnyOf, BeginsWith, Check, Condition, Equals, Exists, In, Not

UUID = "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f"
ITEM_OF_ALL: dict[str, Any] = {
    "PK": {"S": f"USER#{UUID}#日"},
    "entity": {"S": "ORDER"},
    "version": {"N": "12"},
    "open": {"BOOL": True},
    "m": {"M": {"a": {"S": "x"}, "b": {"N": "1.5"}, "t": {"N": T1}, "c": {"L": [{"S": "é\n"}]}}},
    "lines": {"L": [{"M": {"sku": {"S": "A"}, "t": {"N": T2}}}, {"S": "y"}, NULL]},
    "größe": {"N": "3"},
}


def quick(columns: Sequence[Column], item: Any, conditions: Sequence[Condition] = ()) -> Any:
    """What the compiled way makes of an item; None where it is not sure."""
    encode = compile_sound_rows([compile_column(column, 0) for column in columns], maps_of(columns), conditions).encode
    return encode(line_of(item), [])


@pytest.mark.parametrize(
    "column",
    [
        Column("lines[0].sku", "x", Text()),
        Column("lines[1]", "x", Text()),
        Column("lines[7].sku", "x", Text(), Otherwise("none")),
        Column("größe", "x", Jsonb()),
        Column(ITEM, "x", Jsonb()),
        Column(REST, "x", Jsonb()),
        Column(Part("PK", "USER#{id}#{rest}", "id"), "x", Uuid()),
        Column(Part("PK", "USER#{id}#{rest}", "rest"), "x", OneOf(("日",))),
        Column(Part("none", "USER#{id}", "id"), "x", Text()),
        Column(Joined(("PK", "version", "m.b", "m.a"), '"\\\n'), "x", Text()),
        Column(Joined(("PK", "none")), "x", Text()),
        Column(LaterOf("m.t", "lines[0].t"), "x", Timestamp()),
        Column("entity", "x", Text(), clean=(TRIM, UPPER, EMPTY_AS_NULL, REPLACE_NUL)),
        Column("größe", "x", Text(tags=("S", "N")), clean=(TRIM,)),
        Column(Part("PK", "USER#{id}#{rest}", "rest"), "x", Text(), clean=(TRIM,)),
        Column(Computed(lambda reads: reads["PK"], "PK"), "x", Text()),
        Column(Computed(lambda reads: str(sorted(reads)), ("m.a", "lines", "none")), "x", Text()),
        Column(Computed(lambda _reads: "always"), "x", Text()),
    ],
)
def test_these_stay_quick(column: Column) -> None:
    """Beside each other, too, with attributes that no column takes."""
    columns = [column, Column("m.a", "a", Text()), Column(REST, "rest", Jsonb())]
    assert quick([column], ITEM_OF_ALL) is not None
    assert quick(columns, ITEM_OF_ALL) is not None
    compile_both_ways(table_of(column), migration_time=0)(line_of(ITEM_OF_ALL))
    compile_both_ways(table_of(*columns), migration_time=0)(line_of(ITEM_OF_ALL))


@pytest.mark.parametrize(
    ("column", "item"),
    [
        (Column("a", "x", Text(), clean=(TRIM,)), {"a": {"S": " x"}}),
        (Column("a", "x", Text(), clean=(TRIM,)), {"a": {"S": "x\u3000"}}),
        (Column("a", "x", Text(), clean=(LOWER,)), {"a": {"S": "xÄ"}}),
        (Column("a", "x", Text(), clean=(UPPER,)), {"a": {"S": "Xa"}}),
        (Column("a", "x", Text(), clean=(EMPTY_AS_NULL,)), {"a": {"S": ""}}),
        (Column(Part("a", "#{b}", "b"), "x", Text()), {"a": {"S": "b"}}),
        (Column(Part("a", "#{b}", "b"), "x", Text()), {"a": {"N": "1"}}),
        (Column(Joined(("a", "b")), "x", Text()), {"a": {"BOOL": True}}),
        (Column(Joined(("a", "b")), "x", Text()), {"a": {"N": "01"}}),
        (Column("a[0]", "x", Text()), {"a": {"M": {"0": {"S": "x"}}}}),
        (Column(ITEM, "x", Jsonb()), {"a": {"L": [{"N": "x"}]}}),
        (Column(REST, "x", Jsonb()), {"a": {"L": [{"S": 1}]}}),
        (Column(Computed(lambda reads: reads["a"] / 0, "a"), "x", Text()), {"a": {"N": "1"}}),
    ],
)
def test_these_are_for_python(column: Column, item: Any) -> None:
    """What is cleaned, and what is refused."""
    assert quick([column], item) is None


@pytest.mark.parametrize(
    ("condition", "is_taken"),
    [
        (Equals("entity", "ORDER"), True),
        (Equals("entity", "CUSTOMER"), False),
        (In("version", (11, 12)), True),
        (Equals("version", 13), False),
        (Equals("open", True), True),
        (Equals("open", False), False),
        (BeginsWith("PK", "USER#"), True),
        (BeginsWith("PK", "ORDER#"), False),
        (Exists("m.c[0]"), True),
        (Exists("lines[2]"), False),
        (Exists("größe"), True),
        (AllOf(Exists("m"), AnyOf(Exists("none"), Not(Equals("lines[0].sku", "A")))), False),
        (AllOf(Exists("m"), AnyOf(Exists("none"), Not(Equals("lines[0].sku", "B")))), True),
    ],
)
def test_conditions_are_evaluated_there(condition: Condition, is_taken: bool) -> None:
    """An item that is not taken is told by the number of the reason."""
    found = quick([Column(REST, "x", Jsonb())], ITEM_OF_ALL, [condition])
    assert isinstance(found, tuple if is_taken else int)
    others = quick([Column(REST, "x", Jsonb())], ITEM_OF_ALL, [condition, Exists("entity")])
    assert isinstance(others, tuple if is_taken else int)
    no_table = quick([Column(REST, "x", Jsonb())], ITEM_OF_ALL, [condition, Exists("none")])
    assert isinstance(no_table, tuple) if is_taken else no_table is None


def test_a_number_in_a_rare_spelling_is_for_python() -> None:
    assert quick([], {"a": {"N": "12.0"}}, [Equals("a", 12)]) is None


def test_a_check_is_asked_first_and_the_rest_stays_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its own cost, and no more."""
    encoded: list[Any] = []
    from transforms import compile as compiled

    def spy(*arguments: Any) -> Any:
        functions = compile_sound_rows(*arguments)

        def counted(line: bytes, notices: list[Any]) -> Any:
            encoded.append(functions.encode(line, notices))
            return encoded[-1]

        return functions._replace(encode=counted)

    monkeypatch.setattr(compiled, "compile_sound_rows", spy)
    table = table_of(Column(REST, "x", Jsonb()), where=Check(lambda reads: reads["open"], "open"))
    compiled.compile_table(table, migration_time=0)(line_of(ITEM_OF_ALL))
    assert [type(one) for one in encoded] == [tuple]


def test_nearly_all_items_of_an_export_stay_quick(tmp_path: Path) -> None:
    """With the rest in a column, and a condition."""
    columns = [*VIDEO_SESSIONS.columns[:5], Column(REST, "rest", Jsonb())]
    write_sample_exports(tmp_path, items=2_000, seed=5, faulty=0, odd=0.02, items_per_file=2_000, processes=1)
    files = tmp_path.glob(f"{VIDEO_SESSIONS.source}/AWSDynamoDB/*/data/*.gz")
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    where = Equals("status", "COMPLETED")
    encode = compile_sound_rows([compile_column(column, 0) for column in columns], maps_of(columns), [where]).encode
    to_row = compile_both_ways(table_of(*columns), migration_time=0)
    kinds = [type(encode(line, [])) for line in lines]
    assert kinds.count(type(None)) <= len(lines) * 0.02
    assert kinds.count(int) > 100
    assert kinds.count(tuple) > 100
    for line in lines:
        # An odd one may hold U+0000 in what no column takes, which is in the rest.
        with contextlib.suppress(ItemRefused):
            to_row(line)


# -- what cannot be ------------------------------------------------------------------------------------------------------------------------

A = (Attribute(0, "a"),)
TEXT = Step("TEXT", attribute=0)


@pytest.mark.parametrize(
    "source",
    [
        StepSource("FROM_NOWHERE", (0,)),
        StepSource("FROM_VALUE", (1,)),
        StepSource("FROM_VALUE", (-1,)),
        StepSource("FROM_VALUE", ("a",)),  # type: ignore[arg-type]
        StepSource("FROM_VALUE", (0,), clean=16),
        StepSource("FROM_VALUE", (0,), clean=-1),
        StepSource("FROM_PART", (0,), (b"a",)),
        StepSource("FROM_PART", (0,), (b"a", b"b"), part=1),
        StepSource("FROM_PART", (0,), (b"a", b"b"), part=-1),
        StepSource("FROM_PART", (0, 0), (b"a", b"b")),
        StepSource("FROM_PART", (0,), ("a", "b")),  # type: ignore[arg-type]
        StepSource("FROM_JOINED", (0,)),
        StepSource("FROM_JOINED", (), (b"#",)),
        StepSource("FROM_LATER", (0,)),
    ],
)
def test_sources_that_cannot_be_are_refused(source: StepSource) -> None:
    """When they are given, not when a row is made."""
    with pytest.raises(ValueError, match="no such source"):
        SoundRows(1, A, (TEXT,), (source,))
    with pytest.raises(ValueError, match="each step has a source"):
        SoundRows(1, A, (TEXT,), (source, source))


@pytest.mark.parametrize(
    "plan",
    [
        ConditionPlan("IS", 0, (b"a",)),
        ConditionPlan("EXISTS", -1, (b"a",)),
        ConditionPlan("EXISTS", 0),
        ConditionPlan("EXISTS", 0, (0,)),
        ConditionPlan("EXISTS", 0, ("a",)),  # type: ignore[arg-type]
        ConditionPlan("EQUALS", 0, (b"a",), ("a",)),  # type: ignore[arg-type]
        ConditionPlan("BEGINS_WITH", 0, (b"a",)),
        ConditionPlan("NOT", 0),
        ConditionPlan("NOT", 0, inside=(ConditionPlan("EXISTS", 0, (b"a",)), ConditionPlan("EXISTS", 0, (b"b",)))),
        ConditionPlan("ALL_OF", 0, (b"a",)),
        ConditionPlan("ALL_OF", 0, inside=(ConditionPlan("EXISTS", 0, (b"a",)), ConditionPlan("IS", 0))),
    ],
)
def test_conditions_that_cannot_be_are_refused(plan: ConditionPlan) -> None:
    with pytest.raises(ValueError, match="no such condition"):
        SoundRows(1, A, (TEXT,), (), (plan,), (-1,))


@pytest.mark.parametrize("answers", [(), (-1, -1), ("a",)])
def test_each_condition_has_an_answer(answers: Any) -> None:
    with pytest.raises(ValueError, match="each condition has an answer"):
        SoundRows(1, A, (TEXT,), (), (ConditionPlan("EXISTS", 0, (b"a",)),), answers)


def test_what_it_reads_is_given_back() -> None:
    """Neither kept nor let go once too often."""
    columns = [
        Column(Part("PK", "USER#{id}#{rest}", "id"), "x", Uuid()),
        Column(Joined(("m.a", "m.b")), "y", Text()),
        Column(Computed(lambda reads: reads["version"], "version"), "z", Jsonb()),
        Column(Computed(lambda reads: reads["none"], "none"), "u", Text()),
        Column(REST, "rest", Jsonb()),
        Column(ITEM, "item", Jsonb()),
    ]
    encode = compile_sound_rows(
        [compile_column(column, 0) for column in columns], maps_of(columns), [Exists("entity"), Exists("other")]
    ).encode
    lines = [line_of(ITEM_OF_ALL), line_of(changed(ITEM_OF_ALL, entity=NULL, other={"S": ""})), line_of(ITEM_OF_ALL | {"x": {"N": "x"}})]
    lines.append(line_of(changed(ITEM_OF_ALL, entity=NULL)))
    assert [type(encode(line, [])) for line in lines] == [tuple, int, type(None), type(None)]

    def repeat(times: int) -> None:
        for _ in range(times):
            for line in lines:
                encode(line, [])

    repeat(10)
    references, blocks = [sys.getrefcount(line) for line in lines], sys.getallocatedblocks()
    repeat(2_000)
    assert [sys.getrefcount(line) for line in lines] == references
    assert sys.getallocatedblocks() - blocks < 500


def test_sessions_with_an_attribute_more_stay_quick() -> None:
    """It was seven times as slow once."""
    assert quick(VIDEO_SESSIONS.columns, SESSION | {"straße": {"M": {"a": {"L": []}}}}) is not None
