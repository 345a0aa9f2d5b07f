"""`transforms/where.py`: which items a table takes, both ways, against an evaluation that is written here, slow and plain."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tables import outcome, outcome_of_line, table_of
from sound_items import NULL
from strategies import MODERATE

from transforms.compile import compile_table
from transforms.rejects import ItemFiltered, ItemRefused, TransformRefused
from transforms.rules import Jsonb, Text
from transforms.sources import REST
from transforms.table import Column, Missing, Unmapped
from transforms.where import (
    AllOf,
    AnyOf,
    BeginsWith,
    Check,
    Condition,
    Equals,
    Exists,
    Ignore,
    In,
    Not,
    compile_condition,
    compile_known,
    in_words,
)

ID = Column("id", "id", Text())
TAKEN = ([None], [])

# -- one condition -------------------------------------------------------------------------------------------------------------------------

CASES: list[tuple[Any, Condition, bool]] = [
    ({"S": "ORDER"}, Equals("a", "ORDER"), True),
    ({"S": "order"}, Equals("a", "ORDER"), False),
    ({"S": "ORDER "}, Equals("a", "ORDER"), False),
    ({"S": ""}, Equals("a", ""), True),
    ({"S": 'q"\\\n日'}, Equals("a", 'q"\\\n日'), True),
    ({"S": "a\0"}, Equals("a", "a\0"), True),
    (NULL, Equals("a", ""), False),
    ({"N": "1"}, Equals("a", "1"), False),
    ({"S": "1"}, Equals("a", 1), False),
    ({"SS": ["x"]}, Equals("a", "x"), False),
    ({"M": {}}, Equals("a", "x"), False),
    ({"N": "1"}, Equals("a", 1), True),
    ({"N": "1.0"}, Equals("a", 1), True),
    ({"N": "10"}, Equals("a", 1), False),
    ({"N": "1E1"}, Equals("a", 10), True),
    ({"N": "-0"}, Equals("a", 0), True),
    ({"N": "1.5"}, Equals("a", Decimal("1.50")), True),
    ({"N": "1.500"}, Equals("a", Decimal("1.50")), True),
    ({"N": "15"}, Equals("a", Decimal("1.5")), False),
    ({"N": "100"}, Equals("a", Decimal("1E2")), True),
    ({"N": "1"}, Equals("a", True), False),
    ({"N": "01"}, Equals("a", 1), False),
    ({"N": "x"}, Equals("a", 1), False),
    ({"N": "12345678901234567890123456789012345678"}, Equals("a", 12345678901234567890123456789012345678), True),
    ({"N": "12345678901234567890123456789012345679"}, Equals("a", 12345678901234567890123456789012345678), False),
    ({"BOOL": True}, Equals("a", True), True),
    ({"BOOL": False}, Equals("a", True), False),
    ({"BOOL": True}, Equals("a", 1), False),
    ({"S": "x"}, In("a", ("x", 1, True)), True),
    ({"N": "1.0"}, In("a", ("x", 1, True)), True),
    ({"BOOL": True}, In("a", ("x", 1, True)), True),
    ({"S": "y"}, In("a", ("x", 1, True)), False),
    ({"S": "ORDER#1"}, BeginsWith("a", "ORDER#"), True),
    ({"S": "ORDER#"}, BeginsWith("a", "ORDER#"), True),
    ({"S": "ORDER"}, BeginsWith("a", "ORDER#"), False),
    ({"S": "日本"}, BeginsWith("a", "日"), True),
    ({"B": "ORDER#"}, BeginsWith("a", "ORDER#"), False),
    ({"S": ""}, Exists("a"), True),
    ({"L": []}, Exists("a"), True),
    (NULL, Exists("a"), False),
]


@pytest.mark.parametrize(("value", "condition", "holds"), CASES)
def test_a_condition_of_one_attribute(value: Any, condition: Any, holds: bool) -> None:
    """At the top of the item, in a map, in a list, and turned round; an attribute that is absent meets none."""
    item = {"a": value, "m": {"M": {"a": value}}, "l": {"L": [{"S": "a"}, value]}}
    for path in ("a", "m.a", "l[1]"):
        at = type(condition)(path, *([] if isinstance(condition, Exists) else [getattr(condition, _field(condition))]))
        words = in_words(at)
        # An attribute that equals a value needs no column.
        left = {name: value for name, value in item.items() if name != path or not isinstance(at, Equals)}
        assert outcome([], item, where=at) == (_all_told(left) if holds else words)
        assert outcome([], item, where=Not(at)) == (f"not {words}" if holds else _all_told(item))
        for absent in ({}, {"m": {"M": {}}}, {"m": NULL}, {"l": {"L": []}}, {"m": {"S": "x"}, "l": {"S": "x"}}):
            assert outcome([], absent, where=at) == words


def _field(condition: Any) -> str:
    return {Equals: "value", In: "values", BeginsWith: "text"}[type(condition)]


def _all_told(item: Any) -> Any:
    return [], [("unmapped_attribute", name) for name, value in item.items() if value != NULL]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Equals("entity", "ORDER"), 'entity is "ORDER"'),
        (Equals("m.n[0]", Decimal("1.50")), "m.n[0] is 1.50"),
        (Equals(r"a\.b", True), "a.b is true"),
        (In("a", ("x", 2)), 'a is one of "x", 2'),
        (In("a", tuple(range(9))), "a is one of 0, 1, 2, 3, 4 or 4 more"),
        (BeginsWith("PK", 'C"#é'), 'PK begins with "C\\"#é"'),
        (Exists("ttl"), "ttl exists"),
        (Not(Exists("ttl")), "not ttl exists"),
        (
            AllOf(Exists("a"), AnyOf(Exists("b"), Not(AllOf(Exists("c"), Exists("d"))))),
            "a exists and (b exists or not (c exists and d exists))",
        ),
    ],
)
def test_conditions_in_words(condition: Condition, words: str) -> None:
    assert in_words(condition) == words


def test_the_reason_is_the_part_that_does_not_hold() -> None:
    """Of several that must all hold the first that does not; of others as it stands."""
    where = AllOf(Equals("entity", "ORDER"), AllOf(Exists("a"), AnyOf(Exists("b"), Exists("c"))), Not(Exists("d")))
    sound = {"entity": {"S": "ORDER"}, "a": {"S": ""}, "b": {"S": ""}}

    def reason(**changes: Any) -> Any:
        return outcome([], sound | changes, where=where)

    assert reason() == _all_told({name: sound[name] for name in "ab"})
    assert reason(entity={"S": "x"}, a=NULL) == 'entity is "ORDER"'
    assert reason(a=NULL, b=NULL) == "a exists"
    assert reason(b=NULL) == "b exists or c exists"
    assert reason(d={"S": ""}) == "not d exists"


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (Equals("entity", "ORDER"), ["m", "at"]),
        (AllOf(Equals("entity", "ORDER"), AllOf(Exists("at"), Equals("m.kind", "x"))), ["m.other", "at"]),
        (AnyOf(Equals("entity", "ORDER"), Equals("at", 2)), ["entity", "m", "at"]),
        (Not(Equals("entity", "OTHER")), ["entity", "m", "at"]),
        (In("entity", ("ORDER", "OTHER")), ["entity", "m", "at"]),
        (BeginsWith("entity", "ORDER"), ["entity", "m", "at"]),
    ],
)
def test_what_equals_a_value_needs_no_column(where: Condition, left: list[str]) -> None:
    """For every row's item has that value; of another condition the value would be lost without a word. A map stays one that is told."""
    item = {"entity": {"S": "ORDER"}, "m": {"M": {"kind": {"S": "x"}, "other": {"S": ""}, "n": {"S": "1"}}}, "at": {"N": "1"}}
    columns = [Column("m.n", "n", Text())] if "m.other" in left else []

    _, notices = outcome(columns, item, where=where)

    assert sorted(notices) == sorted(("unmapped_attribute", name) for name in left)


def test_the_rest_has_what_a_condition_tells() -> None:
    """No column takes it."""
    rest = [Column(REST, "rest", Jsonb())]

    fields, notices = outcome(rest, {"entity": {"S": "ORDER"}, "a": {"N": "1"}}, where=Equals("entity", "ORDER"))

    assert fields[0].endswith('{"entity":"ORDER","a":1}')
    assert notices == []


def test_an_item_that_is_not_taken_is_not_converted() -> None:
    """Nor is it looked at otherwise: what would be faults of a row are none; but a line that is no item is a dead letter."""
    where = Equals("entity", "ORDER")
    columns = [Column("id", "id", Text(), Missing.REFUSED)]
    assert outcome(columns, {"entity": {"S": "x"}, "other": {"N": "x"}}, Unmapped.REJECT, where=where) == 'entity is "ORDER"'
    assert outcome(columns, {"entity": {"S": "ORDER"}, "other": {"S": ""}}, Unmapped.REJECT, where=where) == [
        ("missing_required", "id"),
        ("unmapped_attribute", "other"),
    ]
    assert outcome(columns, {"entity": {"S": "x"}, "other": 1}, where=where) == 'entity is "ORDER"'
    assert outcome(columns, {"entity": {"S": 1}}, where=where) == [("not_an_item", "entity")]
    assert outcome(columns, {"entity": {}}, where=where) == [("not_an_item", "entity")]
    assert outcome(columns, {"m": {"M": {"n": 1}}}, where=Exists("m.n")) == [("not_an_item", "m.n")]
    assert outcome(columns, {"m": 1}, where=Exists("m.n")) == [("not_an_item", "m")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"},"a":{"S":"\xff"}}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"},"a":{"S":"\\ud800"}}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"},"a":{"S":"x",}}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"},"a":{"N" 1}}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"},"a":tru}}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"}}}{}', "invalid_json"),
        (b'{"Item":{"entity":{"S":"x"}},"Other":1}', "not_an_item"),
        (b'{"Other":{"entity":{"S":"x"}}}', "not_an_item"),
        (b'{"Item":{"entity":{"S":"x"},"entity":{"S":"y"}}}', "not_an_item"),
        (b'{"Item":{"entity":{"S":"x"},"a":{"S":"x"},"a":{"S":"y"}}}', "not_an_item"),
        (b'{"Item":{"entity":{"S":"x"},"ent\\u0069ty":{"S":"ORDER"}}}', "not_an_item"),
        (b'{"Item":{"entity":{"S":"x","S":"ORDER"}}}', "not_an_item"),
        (b'{"Item":[]}', "not_an_item"),
    ],
)
def test_a_line_that_is_no_item_is_a_dead_letter_before_any_condition(line: bytes, code: str) -> None:
    """Rule: it is in no table, so it must be seen in each."""
    found = outcome_of_line([ID], line, where=Equals("entity", "ORDER"))
    assert isinstance(found, list)
    assert [error for error, _ in found] == [code]


def test_names_with_escapes_are_found() -> None:
    line = b'{"Item":{"ent\\u0069ty":{"S":"OR\\u0044ER"}, "x":{"S":1} , "Stra\xc3\x9fe":{"S":"1"}}}'
    assert outcome_of_line([], line, where=Equals("entity", "x")) == 'entity is "x"'
    assert outcome_of_line([], line, where=AllOf(Equals("entity", "ORDER"), Equals("Straße", "2"))) == 'Straße is "2"'


# -- several definitions of one source -----------------------------------------------------------------------------------------------------


def test_an_item_that_no_definition_takes_is_a_dead_letter_of_the_first() -> None:
    """Rule: `no_table`; what another takes, or is to be ignored, is filtered here."""
    order, others = Equals("entity", "ORDER"), (Equals("entity", "CUSTOMER"), BeginsWith("entity", "LOG#"))
    for entity, expected in [
        ("ORDER", TAKEN),
        ("CUSTOMER", 'entity is "ORDER"'),
        ("LOG#1", 'entity is "ORDER"'),
    ]:
        assert outcome([ID], {"entity": {"S": entity}}, where=order, others=others) == expected
    assert outcome([ID], {"entity": {"S": "x"}}, where=order, others=others) == [("no_table", None)]
    assert outcome([ID], {}, where=order, others=others) == [("no_table", None)]
    assert outcome([ID], {"a": {"S": 1}}, where=order, others=others) == [("no_table", None)]
    assert outcome([ID], {}, where=order) == 'entity is "ORDER"'


# -- a function of one's own ---------------------------------------------------------------------------------------------------------------


def is_large(reads: Any) -> bool:
    return (reads["n"] is not None and reads["n"] > 10) or bool(reads["tags"] and "large" in reads["tags"])


def test_a_check_is_a_function_of_what_it_reads() -> None:
    where = Check(is_large, ("n", "tags"))
    columns = [Column("n", "n", Jsonb()), Column(REST, "rest", Jsonb())]
    assert outcome(columns, {"n": {"N": "11"}}, where=where) == (["11", "{}"], [])
    assert outcome(columns, {"tags": {"SS": ["large"]}}, where=where) == ([None, '{"tags":["large"]}'], [])
    line = is_large.__code__.co_firstlineno
    assert outcome(columns, {"n": {"N": "1"}}, where=where) == f"is_large (test_where.py, line {line}) is true"
    assert outcome(columns, {"n": NULL}, where=AllOf(Exists("n"), where)) == "n exists"
    assert outcome(columns, {"n": {"S": "a secret"}}, where=where) == [("function_failed", "n")]
    assert outcome(columns, {"n": {"N": "x"}, "tags": {"B": "?"}}, where=where) == [("invalid_number", "n"), ("invalid_base64", "tags")]
    assert outcome(columns, {"n": {"L": [{"S": 1}]}}, where=where) == [("not_an_item", "n[0]")]


def test_a_check_that_fails_says_how_and_shows_nothing() -> None:
    def gives(reads: Any) -> Any:
        return reads["n"] or int("a secret")

    to_row = compile_table(table_of(ID, where=Check(gives, "n")), migration_time=0)
    for item, words in [({"n": {"N": "7"}}, "gave Decimal: it must give bool"), ({}, "raised ValueError")]:
        with pytest.raises(TransformRefused) as caught:
            to_row(json.dumps({"Item": item}).encode())
        assert words in caught.value.errors[0].message
        assert "gives (test_where.py, line " in caught.value.errors[0].message
        assert "secret" not in caught.value.errors[0].message


# -- any condition of any item -------------------------------------------------------------------------------------------------------------

PATHS = st.sampled_from(["a", "b", "m.a", "m.m.a", "l[0]", "l[1].a"])
SCALARS = st.sampled_from(["", "x", "xy", "1", 0, 1, 10, Decimal("1.0"), Decimal("0.5"), True, False])
LEAVES = (
    st.builds(Equals, PATHS, SCALARS)
    | st.builds(In, PATHS, st.lists(SCALARS, min_size=1, max_size=3).map(tuple))
    | st.builds(BeginsWith, PATHS, st.sampled_from(["x", "xy"]))
    | st.builds(Exists, PATHS)
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda of: AllOf(*of))
        | st.lists(inner, min_size=1, max_size=3).map(lambda of: AnyOf(*of))
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.sampled_from(
        [
            {"S": ""},
            {"S": "x"},
            {"S": "xyz"},
            {"S": "1"},
            {"N": "1"},
            {"N": "1.00"},
            {"N": "5E-1"},
            {"N": "10"},
            {"BOOL": True},
            {"BOOL": False},
            NULL,
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda of: {"L": of})
        | st.dictionaries(st.sampled_from(["a", "m", "z"]), inner, max_size=3).map(lambda of: {"M": of})
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.sampled_from(["a", "b", "m", "l", "z"]), VALUES, max_size=5)


def value_at(item: Any, path: str) -> Any:
    """A Python value, or None; a path of this test has no escapes."""
    value: Any = {"M": item}
    for name in path.replace("[", ".[").split("."):
        if name.startswith("["):
            elements = value.get("L", [])
            index = int(name[1:-1])
            value = elements[index] if index < len(elements) else NULL
        else:
            value = value.get("M", {}).get(name, NULL)
    ((tag, content),) = value.items()
    return {"S": lambda: content, "N": lambda: Decimal(content), "BOOL": lambda: content, "NULL": lambda: None}.get(tag, lambda: content)()


def is_equal(found: Any, value: Any) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(value, str):
        return isinstance(found, str) and found == value
    return isinstance(found, Decimal) and found == value


def holds(condition: Any, item: Any) -> bool:  # noqa: PLR0911 - one return a condition
    """The page's own words."""
    match condition:
        case AllOf(conditions):
            return all(holds(inner, item) for inner in conditions)
        case AnyOf(conditions):
            return any(holds(inner, item) for inner in conditions)
        case Not(inner):
            return not holds(inner, item)
        case Equals(path, value):
            return is_equal(value_at(item, path), value)
        case In(path, values):
            return any(is_equal(value_at(item, path), value) for value in values)
        case BeginsWith(path, text):
            found = value_at(item, path)
            return isinstance(found, str) and found[: len(text)] == text
    return value_at(item, condition.path) is not None


@MODERATE
@given(CONDITIONS, ITEMS, st.lists(CONDITIONS, max_size=2), st.lists(CONDITIONS, max_size=2), st.booleans())
def test_any_condition_of_any_item(where: Condition, item: Any, others: list[Condition], ignored: list[Condition], is_turned: bool) -> None:
    """Taken, filtered, ignored or of no table, by a plain evaluation; both ways give the same reason."""
    of_others = [*others, *(Ignore("source", condition) for condition in ignored)]
    found = outcome([Column(REST, "rest", Jsonb())], item, where=where, others=tuple(of_others[:: -1 if is_turned else 1]))
    order = ignored[:: -1 if is_turned else 1]
    is_another_s = any(holds(other, item) for other in others)
    if holds(where, item):
        assert isinstance(found, tuple)
    elif not is_another_s and any(holds(one, item) for one in ignored):
        assert found == f"ignored: {in_words(next(one for one in order if holds(one, item)))}"
    elif of_others and not is_another_s:
        assert found == [("no_table", None)]
    else:
        assert isinstance(found, str)
        assert found in in_words(where)


# -- what is no condition ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Equals("a", 1.5), "str, int, Decimal or bool"),
        (Equals("a", None), "str, int, Decimal or bool"),
        (Equals("a", Decimal("NaN")), "str, int, Decimal or bool"),
        (In("a", ()), "str, int, Decimal or bool"),
        (In("a", ("x", b"y")), "str, int, Decimal or bool"),
        (BeginsWith("a", ""), "not empty"),
        (BeginsWith("a", 1), "not empty"),
        (AllOf(), "must have conditions"),
        (AnyOf(), "must have conditions"),
        (Not(AllOf()), "must have conditions"),
        (AllOf("a"), "is no condition"),
        (Exists, "is no condition"),
        (Exists("a[x]"), "index of an element"),
        (Check("x", "a"), "is no function"),
        (Check(len, (1,)), "reads must be paths"),
    ],
)
def test_what_is_no_condition(condition: Any, words: str) -> None:
    """Said when the table is compiled, of the others' conditions, too."""
    with pytest.raises(ValueError, match=words):
        compile_table(table_of(ID, where=condition), migration_time=0)
    with pytest.raises(ValueError, match=words):
        compile_table(table_of(ID, where=Exists("a"), others=(condition,)), migration_time=0)


def test_being_filtered_is_no_refusal() -> None:
    """Whoever catches refusals must not take it for one."""
    assert not issubclass(ItemFiltered, ItemRefused)


# -- of what only some attributes are known ------------------------------------------------------------------------------------------------


def _is_x(item: Any) -> bool:
    return item["a"] == "x"


def _fails(item: Any) -> bool:
    return item["a"] == "x" and item["none"]


_LEAVES = [
    *(Equals(name, value) for name in "ab" for value in ("x", 1)),
    *(Exists("a"), BeginsWith("b", "x"), In("a", ("x", "y")), Check(_is_x, ("a", "b")), Check(_is_x, ("a",))),
]


def _conditions(*leaves: Condition) -> st.SearchStrategy[Condition]:
    several = st.sampled_from([AllOf, AnyOf])
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: (
            st.builds(Not, inner) | st.builds(lambda kind, conditions: kind(*conditions), several, st.lists(inner, min_size=1, max_size=3))
        ),
        max_leaves=6,
    )


_VALUES = st.sampled_from([{"S": "x"}, {"S": "y"}, {"N": "1"}, None])


@given(condition=_conditions(*_LEAVES, Check(_fails, ("a",))), a=_VALUES)
def test_what_is_known_to_fail_fails_whatever_the_rest_is(condition: Condition, a: Any) -> None:
    """And what is not known to may hold with some other attributes, as far as functions do not fail."""
    known = {} if a is None else {"a": a}
    never = compile_known(condition, ("a",))(known)
    why_not = compile_condition(condition)
    found = []
    for b in ({"S": "x"}, {"S": "y"}, {"N": "1"}, None):
        with contextlib.suppress(TransformRefused):
            found.append(why_not(known if b is None else {**known, "b": b}))
    if never is not None:
        assert None not in found


@given(condition=_conditions(*_LEAVES), a=_VALUES, b=_VALUES)
def test_of_what_is_known_whole_all_is_known(condition: Condition, a: Any, b: Any) -> None:
    """In the same words."""
    item = {name: value for name, value in (("a", a), ("b", b)) if value is not None}
    assert compile_known(condition, ("a", "b"))(item) == compile_condition(condition)(item)
