"""`transforms/sources.py`: where a value comes from, each source both ways, against what a person reads from the definition."""

import base64
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import example, given
from hypothesis import strategies as st
from made_tables import outcome, outcome_of_line, table_of
from sound_items import MIGRATION_TIME, NULL, T1, T2
from strategies import BRIEF, MODERATE, structures, texts, to_typed_json

from transforms.columns import compile_column
from transforms.compile import compile_table
from transforms.rules import Boolean, Jsonb, OneOf, Text, Timestamp, Uuid
from transforms.sources import (
    ELEMENT,
    EMPTY_AS_NULL,
    ITEM,
    LOWER,
    MEMBER,
    POSITION,
    REPLACE_NUL,
    REST,
    TRIM,
    UPPER,
    Computed,
    Joined,
    LaterOf,
    Parent,
    Part,
    compile_part,
    names_of,
    path_of,
    plain_path,
)
from transforms.table import EMPTY_OBJECT, Column, Missing, Otherwise, Unmapped
from transforms.values import MAX_NESTING

UNMAPPED = "unmapped_attribute"

# -- paths ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("lines[0].sku", ("lines", 0, "sku")),
        ("a[10][2]", ("a", 10, 2)),
        ("Event#Subject ID", ("Event#Subject ID",)),
        (r"a\[0\]", ("a[0]",)),
        (r"a\.b\\", ("a.b\\",)),
        (r"a\x", ("a\\x",)),
        ("0", ("0",)),
    ],
)
def test_a_path_and_its_names(path: str, names: tuple[str | int, ...]) -> None:
    assert names_of(path) == names
    assert names_of(path_of(names)) == names


@pytest.mark.parametrize("path", ["a[", "a]", "a[x]", "a[-1]", "a[01]", "a[0]b", "[0]", "a[0", "a[]", "a[0]]", "[", "a.]"])
def test_what_is_no_path(path: str) -> None:
    """A bracket that is no index could be meant as either, so it is refused where the definition is compiled."""
    with pytest.raises(ValueError, match="index of an element"):
        names_of(path)
    with pytest.raises(ValueError, match="index of an element"):
        compile_table(table_of(Column(path, "a", Text())), migration_time=0)


@MODERATE
@given(st.lists(texts | st.sampled_from(["[0]", ".", "\\", "a[1]", "]", ""]) | st.integers(0, 1_000), min_size=1, max_size=5))
def test_every_way_can_be_said(names: list[str | int]) -> None:
    """Whatever an attribute is called. An item is no list, so the first is a name."""
    way = ("x", *names)
    assert names_of(path_of(way)) == way


def test_errors_name_a_path_as_it_is() -> None:
    assert plain_path(r"a\.b[3].c\[0\]") == "a.b[3].c[0]"


LINES = {"lines": {"L": [{"M": {"sku": {"S": "A"}, "n": {"N": "1"}}}, {"M": {"sku": {"S": "B"}}}]}}


def test_elements_of_lists() -> None:
    """By their index; one that is not there, and a list that is not there, are missing."""
    columns = [Column("lines[0].sku", "a", Text()), Column("lines[1].sku", "b", Text()), Column("lines[2].sku", "c", Text())]
    assert outcome(columns, LINES) == (["A", "B", None], [(UNMAPPED, "lines[0].n")])
    assert outcome(columns, {}) == outcome(columns, {"lines": NULL}) == outcome(columns, {"lines": {"L": []}}) == ([None] * 3, [])
    assert outcome(columns, {"lines": {"L": [NULL, {"M": {"sku": NULL}}]}}) == ([None] * 3, [])
    assert outcome(columns, {"lines": {"M": {}}}) == [("wrong_type", "lines")]
    assert outcome(columns, {"lines": {"SS": ["A"]}}) == [("wrong_type", "lines")]
    assert outcome(columns, {"lines": {"L": [{"S": "x"}]}}) == [("wrong_type", "lines[0]")]
    assert outcome(columns, {"lines": {"L": [1]}}) == [("not_an_item", "lines[0]")]
    assert outcome(columns, {"lines": {"L": [{"M": {"sku": {"N": "1"}}}]}}) == [("wrong_type", "lines[0].sku")]


def test_lists_in_lists() -> None:
    item = {"a": {"L": [{"L": [{"S": "x"}, {"S": "y"}]}, {"L": [{"S": "z"}]}]}}
    columns = [Column("a[0][1]", "a", Text(), Missing.REFUSED), Column("a[1]", "b", Jsonb())]
    assert outcome(columns, item) == (["y", '["z"]'], [(UNMAPPED, "a[0]")])
    assert outcome(columns, {"a": {"L": [{"L": []}]}}) == [("missing_required", "a[0][1]")]


def test_a_list_of_which_parts_are_taken_is_told_once() -> None:
    """Whatever number of its elements no column takes."""
    item = {"a": {"L": [{"S": str(number)} for number in range(1_000)]}}
    columns = [Column("a[0]", "a", Text()), Column("a[999]", "b", Text())]
    assert outcome(columns, item) == (["0", "999"], [(UNMAPPED, "a")])
    assert outcome(columns, item, Unmapped.REJECT) == [(UNMAPPED, "a")]
    assert outcome(columns, {"a": {"L": [{"S": "0"}, NULL, NULL]}}) == (["0", None], [])
    assert outcome(columns, {"a": {"L": [{"S": "0"}, {"S": 1}]}}) == [("not_an_item", "a[1]")]
    assert outcome([*columns, Column("a", "c", Jsonb())], {"a": {"L": [{"S": "0"}, {"S": "1"}]}}) == (["0", None, '["0","1"]'], [])


def test_a_map_and_a_list_at_one_place_cannot_be() -> None:
    with pytest.raises(ValueError, match="a cannot be a map and a list"):
        compile_table(table_of(Column("a.b", "a", Text()), Column("a[0]", "b", Text())), migration_time=0)


def test_a_name_that_looks_like_an_index_is_none() -> None:
    """In a map; and an element is no member of that name."""
    assert outcome([Column("a.0", "a", Text())], {"a": {"M": {"0": {"S": "x"}}}}) == (["x"], [])
    assert outcome([Column("a.0", "a", Text())], {"a": {"L": [{"S": "x"}]}}) == [("wrong_type", "a")]
    assert outcome([Column("a[0]", "a", Text())], {"a": {"M": {"0": {"S": "x"}}}}) == [("wrong_type", "a")]
    assert outcome([Column(r"a\[0\]", "a", Text())], {"a[0]": {"S": "x"}}) == (["x"], [])


@BRIEF
@given(st.data(), structures)
def test_any_part_of_any_structure_is_found(data: st.DataObject, structure: Any) -> None:
    """By a path that a walk over the Python structure draws; boto3 made the item, and its deserialiser says what is there."""
    item = {"a": to_typed_json(structure)}
    names: list[str | int] = ["a"]
    value: Any = item["a"]
    while ("M" in value or "L" in value) and data.draw(st.booleans()):
        content = value.get("M", value.get("L"))
        choices = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not choices:
            break
        names.append(data.draw(st.sampled_from(choices)))
        value = content[names[-1]]
    found = outcome([Column(path_of(names), "x", Jsonb())], item)
    expected = None if value == NULL else plain(value)
    assert (found[0][0] and parsed(found[0][0])) == expected


# -- plain JSON, in the test's own way -----------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Plain JSON of an attribute value, by boto3's deserialiser; numbers as exact decimals."""
    return _plain(TypeDeserializer().deserialize(_with_bytes(value)))


def _with_bytes(value: Any) -> Any:
    ((tag, content),) = value.items()
    match tag:
        case "M":
            return {"M": {name: _with_bytes(member) for name, member in content.items()}}
        case "L":
            return {"L": [_with_bytes(member) for member in content]}
        case "B":
            return {"B": base64.b64decode(content)}
        case "SS" | "NS" | "BS":
            # A list keeps the export's order.
            return {"L": [_with_bytes({tag[0]: member}) for member in content]}
    return value


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case list():
            return [_plain(member) for member in value]
        case bool() | str() | Decimal() | None:
            return value
    return base64.b64encode(bytes(value)).decode()


def parsed(text: str) -> Any:
    """JSON with exact numbers."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


# -- ITEM and REST -------------------------------------------------------------------------------------------------------------------------

ITEM_OF_ALL = {
    "id": {"S": "1"},
    "n": {"N": "1.50"},
    "none": NULL,
    "m": {"M": {"a": {"S": "x"}, "b": {"M": {"c": {"BOOL": True}, "d": {"S": "y"}}}}},
    "l": {"L": [{"S": "p"}, {"S": "q"}]},
}
WHOLE = '{"id":"1","n":1.50,"none":null,"m":{"a":"x","b":{"c":true,"d":"y"}},"l":["p","q"]}'


def test_the_whole_item() -> None:
    """In the order of the line; then nothing is unmapped, whatever other columns take."""
    assert outcome([Column(ITEM, "a", Jsonb())], ITEM_OF_ALL) == ([WHOLE], [])
    columns = [Column("id", "id", Text()), Column("m.a", "a", Text()), Column(ITEM, "b", Jsonb())]
    assert outcome(columns, ITEM_OF_ALL, Unmapped.REJECT) == (["1", "x", WHOLE], [])
    assert outcome([Column(ITEM, "a", Jsonb())], {}) == (["{}"], [])


def test_the_rest_of_the_item() -> None:
    """Without what others take, at any depth of maps; what is left of a map is under its name, in the order of the line."""
    rest = Column(REST, "rest", Jsonb())

    def of(*paths: str) -> Any:
        values, notices = outcome([*(Column(path, "x", Jsonb()) for path in paths), rest], ITEM_OF_ALL)
        assert notices == []
        return values[-1]

    assert of() == WHOLE
    assert of("id", "n", "none", "m", "l") == "{}"
    assert of("id", "l") == '{"n":1.50,"none":null,"m":{"a":"x","b":{"c":true,"d":"y"}}}'
    assert of("id", "n", "l", "m.b.c") == '{"none":null,"m":{"a":"x","b":{"d":"y"}}}'
    assert of("id", "n", "l", "m.b.c", "m.b.d") == '{"none":null,"m":{"a":"x"}}'
    assert of("id", "n", "l", "m.b.c", "m.b.d", "m.a", "none") == "{}"
    assert of("id", "n", "l", "m.a", "m.b", "none") == "{}"
    # A list of which elements are taken stays whole, so that the others keep their places.
    assert of("id", "n", "m", "none", "l[0]") == '{"l":["p","q"]}'
    # One that is absent takes nothing away.
    assert of("id", "n", "l", "m.x.y", "none", "other") == '{"m":{"a":"x","b":{"c":true,"d":"y"}}}'


def test_the_rest_of_maps_that_are_empty_or_none() -> None:
    """What is there stays; what is no map is refused where a column goes through it."""
    columns = [Column("m.a.b", "x", Text()), Column(REST, "rest", Jsonb())]
    assert outcome(columns, {"m": {"M": {}}})[0] == [None, '{"m":{}}']
    assert outcome(columns, {"m": {"M": {"a": {"M": {}}}}})[0] == [None, '{"m":{"a":{}}}']
    assert outcome(columns, {"m": {"M": {"a": {"M": {"b": {"S": "x"}}}}}})[0] == ["x", "{}"]
    assert outcome(columns, {"m": NULL})[0] == [None, '{"m":null}']
    assert outcome(columns, {"m": {"M": {"a": NULL}}})[0] == [None, '{"m":{"a":null}}']
    assert outcome(columns, {"m": {"S": "x"}}) == [("wrong_type", "m")]
    assert outcome(columns, {})[0] == [None, "{}"]


def test_what_sources_of_all_kinds_take_is_not_in_the_rest() -> None:
    columns = [
        Column(LaterOf("t", "u"), "a", Timestamp()),
        Column(Part("pk", "C#{c}", "c"), "b", Text()),
        Column(Joined(("x", "m.y")), "c", Text()),
        Column(Computed(lambda reads: reads["f"], ("f", "m.g")), "d", Text()),
        Column(REST, "rest", Jsonb(), clean=()),
    ]
    item = {
        "t": {"N": T1},
        "pk": {"S": "C#1"},
        "x": {"S": "1"},
        "m": {"M": {"y": {"N": "2"}, "g": {"S": ""}, "h": {"S": "!"}}},
        "f": {"S": "z"},
    }
    assert outcome(columns, item | {"o": {"BOOL": False}}) == ([int(T1) * 1_000, "1", "1#2", "z", '{"m":{"h":"!"},"o":false}'], [])


def test_faults_in_the_rest_and_in_the_item_are_named() -> None:
    """By the path in the item, as of a column of the attribute itself."""
    for source in (REST, ITEM):
        columns = [Column("id", "id", Text()), Column(source, "a", Jsonb())]
        assert outcome(columns, {"b": {"L": [{"N": "x"}]}}) == [("invalid_number", "b[0]")]
        assert outcome(columns, {"b": {"M": {"c.d": {"S": "\0"}}}, "e": {"N": "x"}}) == [("nul_character", "b.c.d")]
        assert outcome(columns, {"b": {"S": 1}}) == outcome(columns, {"id": {"N": "1"}, "b": {"S": 1}}) == [("not_an_item", "b")]
        assert outcome(columns, {"b": {"M": {"c": {"S": 1}}}}) == [("not_an_item", "b.c")]
        assert outcome_of_line(columns, b'{"Item":{"b":{"M":{"c":{"S":"x"},"c":{"S":"y"}}}}}') == [("not_an_item", "b")]
        assert outcome_of_line(columns, b'{"Item":{"b":{"S":"x"},"b":{"S":"y"}}}') == [("not_an_item", None)]
        assert outcome(columns, {"": {"N": "x"}}) == [("invalid_number", None)]
    deep: Any = {"S": "x"}
    for _ in range(MAX_NESTING + 1):
        deep = {"L": [deep]}
    assert outcome([Column(REST, "a", Jsonb())], {"b": deep}) == [("invalid_json", None)]


def test_documents_with_type_tags() -> None:
    """Rule: `typed=True` is DynamoDB's typed JSON as it is."""
    columns = [Column("id", "id", Text()), Column(REST, "rest", Jsonb(typed=True))]
    typed = '{"M":{"n":{"N":"1.50"},"m":{"M":{"a":{"NULL":true}}}}}'
    assert outcome(columns, {"id": {"S": "1"}, "n": {"N": "1.50"}, "m": {"M": {"a": NULL}}}) == (["1", typed], [])
    assert outcome_of_line(columns, b'{"Item":{"b":{"S":"x"},"b":{"S":"y"}}}') == [("not_an_item", None)]
    assert outcome_of_line(columns, b'{"Item":{"b":{"S":1}}}') == [("not_an_item", "b")]


@pytest.mark.parametrize("rule", [Text(), Timestamp(), OneOf(("a",)), Uuid(), Boolean()])
def test_a_map_needs_a_rule_that_takes_maps(rule: Any) -> None:
    with pytest.raises(ValueError, match="the source is of the type M"):
        compile_column(Column(REST, "a", rule), 0)
    with pytest.raises(ValueError, match="clean is for texts"):
        compile_column(Column(ITEM, "a", Jsonb(), clean=(TRIM,)), 0)


NAMES = st.sampled_from(["a", "b", "c", "d.e", "é", "[0]"])
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        st.sampled_from([{"S": "x"}, {"N": "1.50"}, {"BOOL": False}, {"SS": ["p", "q"]}, {"B": "AAE="}, NULL]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda of: {"L": of}) | st.dictionaries(NAMES, inner, max_size=4).map(lambda of: {"M": of})
        ),
        max_leaves=12,
    ),
    max_size=5,
)


@MODERATE
@given(st.data(), TREES, st.booleans())
def test_the_rest_and_what_is_taken_are_the_item(data: st.DataObject, item: dict[str, Any], is_nested: bool) -> None:
    """Nothing is lost and nothing comes twice: the rest, with each taken value put back at its place, is the item."""
    ways: set[tuple[str, ...]] = set()
    for _ in range(data.draw(st.integers(0, 5))):
        way: list[str] = []
        inside: Any = {"M": item}
        while "M" in inside and inside["M"] and (not way or (is_nested and data.draw(st.booleans()))):
            way.append(data.draw(st.sampled_from(sorted(inside["M"]))))
            inside = inside["M"][way[-1]]
        if way:
            ways.add(tuple(way))
    ordered = sorted(ways)
    columns = [*(Column(path_of(way), f"c{number}", Jsonb()) for number, way in enumerate(ordered)), Column(REST, "rest", Jsonb())]
    values, notices = outcome(columns, item)
    assert notices == []
    rest = parsed(values[-1])
    for way in ordered:
        assert not _is_there(rest, way)
    for way, text in zip(ordered, values, strict=False):
        holder = rest
        for name in way[:-1]:
            holder = holder.setdefault(name, {})
        holder[way[-1]] = None if text is None else parsed(text)
    assert rest == parsed(outcome([Column(ITEM, "all", Jsonb())], item)[0][0])


def _is_there(value: Any, way: tuple[str, ...]) -> bool:
    for name in way:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


# -- a part of a composite string ----------------------------------------------------------------------------------------------------------

ORDER = "CUSTOMER#{customer}#ORDER#{order}"


@pytest.mark.parametrize(
    ("pattern", "name", "text", "part"),
    [
        (ORDER, "order", "CUSTOMER#123#ORDER#9", "9"),
        (ORDER, "customer", "CUSTOMER#123#ORDER#9", "123"),
        (ORDER, "customer", "CUSTOMER#1#2#ORDER#9", "1#2"),
        (ORDER, "order", "CUSTOMER#1#ORDER#2#ORDER#3", "2#ORDER#3"),
        (ORDER, "order", "CUSTOMER##ORDER#9", None),
        (ORDER, "order", "CUSTOMER#1#ORDER#", None),
        (ORDER, "order", "customer#1#ORDER#2", None),
        (ORDER, "order", "XCUSTOMER#1#ORDER#2", None),
        (ORDER, "order", "", None),
        ("{a}#{b}", "a", "#x#y", "#x"),
        ("{a}#{b}", "b", "#x#y", "y"),
        ("{a}#{b}", "a", "##y", "#"),
        ("{a}#{b}", "a", "#y", None),
        ("{a}!", "a", "x!", "x"),
        ("{a}!", "a", "x!y!", None),
        ("{a}!", "a", "!!", "!"),
        ("{a}!", "a", "!", None),
        ("{a}", "a", "x", "x"),
        ("{a}", "a", "", None),
        ("{a}#{b}!", "b", "p#q!", "q"),
        ("{a}#{b}!", "b", "p#q!r!", None),
        ("REV#{n}", "n", "REV#0001", "0001"),
        ("{{{a}}}", "a", "{x}", "x"),
        ("é{a}日{b}", "b", "éx日y\n", "y\n"),
        ("{a}##{b}", "b", "x###y", "#y"),
    ],
)
def test_parts(pattern: str, name: str, text: str, part: str | None) -> None:
    """Rule: literals are checked, and each placeholder goes up to where the next literal comes first, and has a character at least."""
    found = outcome([Column(Part("pk", pattern, name), "x", Text())], {"pk": {"S": text}})
    assert found == ([("pattern_mismatch", "pk")] if part is None else ([part], []))


LITERALS = st.text("#-é", min_size=1, max_size=3)


@MODERATE
@given(st.data(), LITERALS | st.just(""), st.lists(LITERALS, max_size=3), LITERALS | st.just(""))
def test_parts_agree_with_a_regular_expression(data: st.DataObject, first: str, between: list[str], last: str) -> None:
    """A character, then those at which the next literal does not begin: written as an expression, without code of ours."""
    names = "abcd"[: len(between) + 1]
    following = [*between, last]
    pattern = first + "".join(f"{{{name}}}{literal}" for name, literal in zip(names, following, strict=True))
    parts = [
        rf"(?P<{name}>.(?:(?!{re.escape(literal)}).)*){re.escape(literal)}" if literal else rf"(?P<{name}>.+)"
        for name, literal in zip(names, following, strict=True)
    ]
    expected = re.compile(re.escape(first) + "".join(parts), re.DOTALL)
    text = data.draw(
        st.text("#-éx\n", max_size=12) | st.builds(first.__add__, st.text("#-éx", max_size=12).map(lambda inner: inner + last))
    )
    match = expected.fullmatch(text)
    for name in names:
        assert compile_part(pattern, name)(text) == (match[name] if match else None)
        found = outcome([Column(Part("pk", pattern, name), "x", Text())], {"pk": {"S": text}})
        assert found == (([match[name]], []) if match else [("pattern_mismatch", "pk")])


def test_a_part_goes_on_to_its_rule() -> None:
    """As a text: it may be a UUID, one of several, or none of these; missing is missing, and another type is the wrong one."""
    uuid = "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f"
    of_uuid = Column(Part("pk", "U#{id}", "id"), "x", Uuid(), Missing.REFUSED)
    assert str(outcome([of_uuid], {"pk": {"S": f"U#{uuid}"}})[0][0]) == uuid
    assert outcome([of_uuid], {"pk": {"S": "U#x"}}) == [("invalid_uuid", "pk")]
    assert outcome([of_uuid], {}) == outcome([of_uuid], {"pk": NULL}) == [("missing_required", "pk")]
    assert outcome([of_uuid], {"pk": {"N": "1"}}) == [("wrong_type", "pk")]
    assert outcome([of_uuid], {"pk": {"S": 1}}) == [("not_an_item", "pk")]
    assert outcome([Column(Part("pk", "U#{id}", "id"), "x", Text())], {"pk": {"S": "U#a\0b"}}) == [("nul_character", "pk")]
    assert outcome([Column(Part("pk", "U#{id}", "id"), "x", Text(), Otherwise("none"))], {}) == (["none"], [])
    cleaned = Column(Part("pk", "U#{id}", "id"), "x", Text(), clean=(TRIM, LOWER))
    assert outcome([cleaned], {"pk": {"S": "U# A "}}) == (["a"], [("trimmed", "pk"), ("case_changed", "pk")])
    nested = Column(Part("keys[0].pk", "U#{id}", "id"), "x", Text())
    assert outcome([nested], {"keys": {"L": [{"M": {"pk": {"S": "U#7"}}}]}}) == (["7"], [])


@pytest.mark.parametrize(
    ("pattern", "name", "words"),
    [
        ("CUSTOMER#", "a", "must have placeholders"),
        ("", "a", "must have placeholders"),
        ("{a}{b}", "a", "something between"),
        ("{a}#{a}", "a", "another name"),
        ("{a", "a", "pattern"),
        ("a}", "a", "pattern"),
        ("{}", "", "placeholder"),
        ("{0}", "0", "placeholder"),
        ("{a:x}", "a", "placeholder"),
        ("{a!r}", "a", "placeholder"),
        ("{a.b}", "a", "placeholder"),
        ("U#{id}", "ID", "has no {ID}, but id"),
    ],
)
def test_what_is_no_pattern(pattern: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_column(Column(Part("pk", pattern, name), "x", Text()), 0)


# -- several attributes as one text --------------------------------------------------------------------------------------------------------


def test_attributes_that_are_joined() -> None:
    """Rule: the text of several S or N attributes; missing if one is missing."""
    columns = [Column(Joined(("pk", "m.n", "l[0]")), "x", Text(), Otherwise("none"))]
    item = {"pk": {"S": "a#b"}, "m": {"M": {"n": {"N": "1.50"}}}, "l": {"L": [{"S": ""}]}}
    assert outcome(columns, item) == (["a#b#1.50#"], [])
    assert outcome(columns, item | {"pk": NULL}) == outcome(columns, item | {"m": {"M": {}}}) == outcome(columns, {}) == (["none"], [])
    assert outcome(columns, item | {"pk": {"BOOL": True}}) == [("wrong_type", "pk")]
    assert outcome(columns, item | {"pk": {"BOOL": True}, "m": {"M": {"n": {"N": "x"}}}}) == [
        ("wrong_type", "pk"),
        ("invalid_number", "m.n"),
    ]
    assert outcome(columns, {"pk": {"S": 1}}) == [("not_an_item", "pk")]
    assert outcome(columns, item | {"pk": {"S": "\0"}}) == [("nul_character", "pk")]


def test_joined_texts_go_on_to_their_rule() -> None:
    assert outcome([Column(Joined("pk"), "x", OneOf(("1",)))], {"pk": {"N": "1"}}) == (["1"], [])
    assert outcome([Column(Joined(["a", "b"], ""), "x", OneOf(("xy",)))], {"a": {"S": "x"}, "b": {"S": "y"}}) == (["xy"], [])
    assert outcome([Column(Joined(["a", "b"]), "x", OneOf(("xy",)))], {"a": {"S": "x"}, "b": {"S": "y"}}) == [("invalid_enum", "a")]
    empty = Column(Joined(["a", "b"], ""), "x", Text(), Missing.REFUSED, clean=EMPTY_AS_NULL)
    assert outcome([empty], {"a": {"S": ""}, "b": {"S": ""}}) == [("missing_required", "a")]
    quoted = {"a": {"S": 'q"\\'}, "b": {"S": "\n\u2028é😀"}}
    assert outcome([Column(Joined(("a", "b"), '"'), "x", Text())], quoted) == (['q"\\"\n\u2028é😀'], [])
    with pytest.raises(ValueError, match="Joined takes paths"):
        compile_column(Column(Joined(()), "x", Text()), 0)


@MODERATE
@given(st.lists(texts | st.integers(-(10**38) + 1, 10**38 - 1), min_size=1, max_size=4), texts)
def test_joined_texts_agree_with_python(values: list[Any], separator: str) -> None:
    item = {f"a{number}": to_typed_json(value) for number, value in enumerate(values)}
    found = outcome([Column(Joined(tuple(item), separator), "x", Text())], item)
    assert found == ([separator.join(map(str, values))], [])


# -- the later of two times ----------------------------------------------------------------------------------------------------------------


def test_the_later_of_two_at_any_place() -> None:
    column = Column(LaterOf("m.a", "l[0]"), "x", Timestamp(), Missing.MIGRATION_TIME)
    later = int(T2) * 1_000
    assert outcome([column], {"m": {"M": {"a": {"N": T1}}}, "l": {"L": [{"N": T2}]}}) == ([later], [])
    assert outcome([column], {"l": {"L": [{"N": T2}]}}) == ([later], [])
    assert outcome([column], {"m": {"M": {}}}) == ([MIGRATION_TIME], [("timestamp_defaulted", "m.a")])
    assert outcome([column], {"m": {"M": {"a": {"S": ""}}}, "l": {"L": [{"N": "x"}]}}) == [
        ("wrong_type", "m.a"),
        ("invalid_number", "l[0]"),
    ]
    with pytest.raises(ValueError, match="two timestamps"):
        compile_column(Column(LaterOf("a", "b"), "x", Text()), 0)


# -- cleaning ------------------------------------------------------------------------------------------------------------------------------

CLEANED = [
    ((TRIM,), " a b\u00a0\u2003", "a b", ["trimmed"]),
    ((TRIM,), "a b", "a b", []),
    ((TRIM,), "\u3000", "", ["trimmed"]),
    ((TRIM,), "\x1fa\x85", "a", ["trimmed"]),
    ((TRIM,), "\u200ba", "\u200ba", []),
    ((LOWER,), "ÄB", "äb", ["case_changed"]),
    ((UPPER,), "straße", "STRASSE", ["case_changed"]),
    ((UPPER,), "A#1 日", "A#1 日", []),
    ((LOWER,), "ab", "ab", []),
    ((REPLACE_NUL,), "a\0b\0", "a\ufffdb\ufffd", ["nul_replaced"]),
    ((REPLACE_NUL,), "a\ufffd", "a\ufffd", []),
    ((EMPTY_AS_NULL,), "", None, ["empty_as_null"]),
    ((EMPTY_AS_NULL,), " ", " ", []),
    ((TRIM, EMPTY_AS_NULL), " ", None, ["trimmed", "empty_as_null"]),
    ((EMPTY_AS_NULL, UPPER, TRIM, REPLACE_NUL), " \0a ", "\ufffdA", ["nul_replaced", "trimmed", "case_changed"]),
    ((TRIM, REPLACE_NUL), "\0 ", "\ufffd", ["nul_replaced", "trimmed"]),
]


@pytest.mark.parametrize(("clean", "text", "expected", "codes"), CLEANED)
def test_cleaned_texts(clean: Any, text: str, expected: str | None, codes: list[str]) -> None:
    """In the order that the page says, whatever the order given; each that changes a value is a notice."""
    for order in (clean, clean[::-1]):
        found = outcome([Column("m.a", "x", Text(), clean=order)], {"m": {"M": {"a": {"S": text}}}})
        assert found == ([expected], [(code, "m.a") for code in codes])


def test_an_empty_text_that_is_missing_follows_the_column_s_rule() -> None:
    item = {"a": {"S": "  "}}
    for missing, expected in [
        (Missing.NULL, ([None], [("trimmed", "a"), ("empty_as_null", "a")])),
        (Missing.REFUSED, [("missing_required", "a")]),
        (Otherwise("none"), (["none"], [("trimmed", "a"), ("empty_as_null", "a")])),
    ]:
        assert outcome([Column("a", "x", Text(), missing, (TRIM, EMPTY_AS_NULL))], item) == expected


def test_what_is_no_text_is_not_cleaned() -> None:
    assert outcome([Column("a", "x", Jsonb(), clean=(TRIM, EMPTY_AS_NULL))], {"a": {"L": [{"S": " "}]}}) == (['[" "]'], [])
    assert outcome([Column("a", "x", Jsonb(), EMPTY_OBJECT, (TRIM, EMPTY_AS_NULL))], {"a": {"S": " "}})[0] == ["{}"]
    assert outcome([Column("a", "x", Text(), clean=TRIM)], {"a": {"N": "1"}}) == [("wrong_type", "a")]
    assert outcome([Column("a", "x", Text(), clean=TRIM)], {"a": {"S": 1}}) == [("not_an_item", "a")]
    assert outcome([Column("a", "x", Uuid(empty_as_null=True), clean=TRIM)], {"a": {"S": " "}})[1] == [
        ("trimmed", "a"),
        ("empty_uuid_as_null", "a"),
    ]


@MODERATE
@given(
    st.lists(st.sampled_from([TRIM, LOWER, REPLACE_NUL, EMPTY_AS_NULL]), unique=True),
    texts | st.text(' \t\n\x0b\x1c\x85\xa0\u1680\u2000\u2028\u202f\u205f\u3000Aaä"\\\0', max_size=6),
)
@example([TRIM], "\\u0020")
def test_cleaning_agrees_with_python(clean: list[Any], text: str) -> None:
    """The names on the page, one after the other."""
    expected: str | None = text
    codes = []
    for kind, code, change in [
        (REPLACE_NUL, "nul_replaced", lambda one: one.replace("\0", "\ufffd")),
        (TRIM, "trimmed", str.strip),
        (LOWER, "case_changed", str.lower),
        (EMPTY_AS_NULL, "empty_as_null", lambda one: one or None),
    ]:
        if kind in clean and change(expected) != expected:
            codes.append((code, "a"))
            expected = change(expected)
    found = outcome([Column("a", "x", Text(), clean=tuple(clean))], {"a": {"S": text}})
    assert found == ([("nul_character", "a")] if expected and "\0" in expected else ([expected], codes))


def test_what_cannot_be_cleaned() -> None:
    with pytest.raises(ValueError, match="both LOWER and UPPER"):
        compile_column(Column("a", "x", Text(), clean=(LOWER, UPPER)), 0)
    with pytest.raises(ValueError, match="clean takes"):
        compile_column(Column("a", "x", Text(), clean=("trim",)), 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to clean"):
        compile_column(Column(None, "x", Text(), Otherwise(" "), (TRIM,)), 0)


# -- sources that cannot be ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [ELEMENT, POSITION, MEMBER, Parent("a")])
def test_sources_of_children_alone(source: Any) -> None:
    with pytest.raises(ValueError, match="for the columns of a Child"):
        compile_table(table_of(Column(source, "x", Text())), migration_time=0)


@pytest.mark.parametrize("source", [1, object(), ("a", "b"), Text()])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(ValueError, match="no source"):
        compile_column(Column(source, "x", Text()), 0)


def test_a_text_needs_a_rule_that_takes_one() -> None:
    for source in (Part("a", "{b}", "b"), Joined("a")):
        with pytest.raises(ValueError, match="the source is of the type S"):
            compile_column(Column(source, "x", Boolean()), 0)
