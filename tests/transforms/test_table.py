"""`transforms/table.py`: definitions that our three tables do not need, but that a person could write."""

import pytest
from binary_row import decode_row
from both_ways import compile_both_ways
from sound_items import NULL, line_of

from transforms.rejects import ItemRefused
from transforms.rules import Boolean, Jsonb, Text, Timestamp, Uuid
from transforms.sources import LaterOf, names_of, path_of
from transforms.table import EMPTY_OBJECT, Column, Missing, Otherwise, Table, Unmapped
from transforms.tables.medzen import MEETING_AUDIT

NOW = 1_764_000_123_456_789


def run(columns, item, unmapped=Unmapped.NOTICE):
    """The values and notices of an item in a table of these columns, or its errors."""
    to_row = compile_both_ways(Table("source", "target", ("id",), tuple(columns)), migration_time=NOW, unmapped=unmapped)
    try:
        encoded, notices = to_row(line_of(item))
    except ItemRefused as refused:
        return sorted((str(error.code), error.attribute) for error in refused.errors)
    values = decode_row(encoded, [column.pg_type.name for column in columns])
    return values, sorted((str(notice.code), notice.attribute) for notice in notices)


def test_the_row_is_in_the_order_of_the_columns():
    """The encoded row is the fields in the definition's order, whatever the item's."""
    columns = [Column("b", "x", Text()), Column("a", "y", Boolean()), Column("c", "z", Jsonb())]
    assert run(columns, {"a": {"BOOL": True}, "c": {"N": "1"}, "b": {"S": "t"}}) == (["t", True, "1"], [])
    assert Table("s", "t", ("id",), tuple(columns)).column_names == ("x", "y", "z")


def test_each_rule_for_a_missing_attribute():
    """Refused, NULL, migration time with its notice, or another content without one, for absent and NULL alike."""
    columns = [
        Column("a", "a", Text()),
        Column("b", "b", Timestamp(), Missing.MIGRATION_TIME),
        Column("c", "c", Text(), Otherwise("none")),
        Column("d", "d", Boolean(), Otherwise(True)),
        Column("e", "e", Jsonb(), EMPTY_OBJECT),
        Column("f", "f", Jsonb(), Otherwise({"L": [{"N": "1.50"}]})),
    ]
    expected = ([None, NOW, "none", True, "{}", "[1.50]"], [("timestamp_defaulted", "b")])
    assert run(columns, {}) == run(columns, dict.fromkeys("abcdef", NULL)) == expected
    assert run([*columns, Column("g", "g", Text(), Missing.REFUSED)], {}) == [("missing_required", "g")]


def test_what_can_be_null():
    """`is_nullable` tells whether an item can make the column NULL: the pre-check of the target counts on it."""
    assert Column("a", "a", Text()).is_nullable
    assert Column("a", "a", Uuid(empty_as_null=True), Missing.REFUSED).is_nullable
    assert not Column("a", "a", Uuid(), Missing.REFUSED).is_nullable
    assert not Column("a", "a", Timestamp(), Missing.MIGRATION_TIME).is_nullable
    assert not Column("a", "a", Boolean(), Otherwise(False)).is_nullable


def test_a_constant_column():
    """A column that no attribute feeds has its content in every row."""
    assert run([Column(None, "kind", Text(), Otherwise("SOAP"))], {"kind": {"S": "x"}}) == (["SOAP"], [("unmapped_attribute", "kind")])


def test_a_column_that_no_attribute_feeds_keeps_its_missing_rule():
    """Rule: "The load's one `migration_time`".

    A column without an attribute, such as `migrated_at`, gets it, or the definition is refused.
    """
    try:
        found = run([Column(None, "migrated_at", Timestamp(), Missing.MIGRATION_TIME)], {})
    except ValueError:  # when it is compiled
        return
    assert found[0] == [NOW]


BOTH = {"a": {"N": "1700000000000"}, "b": {"N": "1700000000001"}}


def test_the_later_of_two_in_other_definitions():
    """Rule: "A table definition can say otherwise per column": the later of two may be nullable."""
    column = Column(LaterOf("a", "b"), "x", Timestamp())
    assert run([column], BOTH) == ([1_700_000_000_001_000], [])
    assert run([column], {"a": NULL}) == ([None], [])
    assert run([column], {"a": {"S": "x"}, "b": {"N": "x"}}) == [("invalid_number", "b"), ("wrong_type", "a")]


def test_the_later_of_two_missing_ones_can_be_migration_time():
    """Rule: "`migration_time` is one instant per load": it is never 1970, where both are missing and the definition asks for it."""
    column = Column(LaterOf("a", "b"), "x", Timestamp(), Missing.MIGRATION_TIME)
    assert run([column], BOTH) == ([1_700_000_000_001_000], [])
    values, notices = run([column], {})
    assert values == [NOW]
    assert notices == [("timestamp_defaulted", "a")]


def test_the_later_of_two_inside_a_map():
    """An attribute is a path: two timestamps inside a map are found, or the definition is refused; they are not lost in silence."""
    column = Column(LaterOf("meta.a", "meta.b"), "x", Timestamp())
    try:
        found = run([column], {"meta": {"M": BOTH}})
    except ValueError:  # when it is compiled
        return
    assert found == ([1_700_000_000_001_000], [])


def test_paths_of_several_levels():
    """A path may go through several maps: each is opened, named and watched for attributes that no column takes."""
    columns = [Column("a.b.c", "c", Text(), Missing.REFUSED), Column("a.d", "d", Text())]
    item = {"a": {"M": {"b": {"M": {"c": {"S": "x"}, "e": {"S": ""}}}, "d": {"S": "y"}, "f": {"S": ""}}}, "g": {"S": ""}}
    names = ["a.b.e", "a.f", "g"]
    assert run(columns, item) == (["x", "y"], [("unmapped_attribute", name) for name in names])
    assert run(columns, item, Unmapped.REJECT) == [("unmapped_attribute", name) for name in names]
    assert run(columns, {"a": {"M": {}}}) == run(columns, {}) == run(columns, {"a": NULL}) == [("missing_required", "a.b.c")]
    assert run(columns, {"a": {"M": {"b": {"S": "x"}}}}) == [("wrong_type", "a.b")]
    assert run(columns, {"a": {"L": []}}) == [("wrong_type", "a")]
    assert run(columns, {"a": {"M": {"b": {"M": {"c": 1}}}}}) == [("not_an_item", "a.b.c")]
    assert run(columns, {"a": {"M": {"b": 1}}}) == [("not_an_item", "a.b")]


def test_an_item_attribute_named_like_a_path():
    """A top-level attribute whose name holds a dot is not the member of a map."""
    assert run([Column("a.b", "b", Text())], {"a.b": {"S": "x"}}) == ([None], [("unmapped_attribute", "a.b")])


def test_a_map_taken_whole_and_in_part():
    """A map may feed a JSONB column whole and another column by one member."""
    columns = [Column("a", "whole", Jsonb()), Column("a.b", "b", Text())]
    values, notices = run(columns, {"a": {"M": {"b": {"S": "x"}}}})
    assert (values, notices) == (['{"b":"x"}', "x"], [])


@pytest.mark.parametrize("unmapped", Unmapped)
def test_no_columns(unmapped):
    """A table without columns makes empty rows: nothing is taken."""
    assert run([], {}, unmapped) == ([], [])


def test_the_columns_of_a_key():
    """Those that DynamoDB's key feeds, in its order; and a table of some columns alone, in the order asked for."""
    assert MEETING_AUDIT.key_columns == ("id", "created_at")
    assert MEETING_AUDIT.only(["created_at", "id"]).column_names == ("created_at", "id")
    with pytest.raises(KeyError):
        MEETING_AUDIT.only(["absent"])


# -- names and what is below them ----------------------------------------------------------------------------------------------------------

ITEM = {"model.maker": {"S": "ACME"}, "model": {"M": {"maker": {"S": "inner"}, "a.b": {"S": "both"}}}, "back\\slash": {"S": "\\"}}


def test_a_name_with_a_dot_is_said_with_a_backslash():
    """It is another attribute than the one of that name inside a map; errors name it as it is."""
    columns = [
        Column(r"model\.maker", "a", Text()),
        Column("model.maker", "b", Text()),
        Column(r"model.a\.b", "c", Text()),
        Column("back\\slash", "d", Text()),
        Column(r"x\.y", "e", Timestamp(), Missing.MIGRATION_TIME),
    ]
    assert run(columns, ITEM) == (["ACME", "inner", "both", "\\", NOW], [("timestamp_defaulted", "x.y")])
    assert run([Column(r"model\.maker", "a", Boolean())], ITEM | {"model": NULL}) == [("wrong_type", "model.maker")]
    assert Table("s", "t", "model.maker", columns).key_columns == ("a",)


@pytest.mark.parametrize(
    "names", [("a",), ("a.b",), ("a", "b"), ("a\\", "b"), ("a\\.b",), ("\\\\.",), ("", "x"), ("Passenger ID", "[0]"), (".",)]
)
def test_any_name_can_be_said(names):
    assert names_of(path_of(names)) == names


@pytest.mark.parametrize("whole", ["f", "f.g"])
def test_what_is_below_a_column_that_takes_all_is_covered(whole):
    """Rule: nothing below is unmapped, whatever other columns take of it; what is beside it is."""
    columns = [Column(whole, "whole", Jsonb()), Column("f.g.h", "h", Text())]
    item = {"f": {"M": {"g": {"M": {"h": {"S": "1"}, "i": {"S": "2"}}}, "j": {"S": "3"}}}}
    _, notices = run(columns, item)
    assert notices == ([] if whole == "f" else [("unmapped_attribute", "f.j")])
    if whole == "f":
        run(columns, item, Unmapped.REJECT)
    # A column that takes a text covers nothing.
    assert run([Column("f.g.h", "h", Text())], item)[1] == [("unmapped_attribute", "f.g.i"), ("unmapped_attribute", "f.j")]


# -- what is no definition at all ----------------------------------------------------------------------------------------------------------

ID = Column("id", "id", Text(), Missing.REFUSED)


def test_a_key_that_is_a_string_is_one_name():
    """Not its letters; and lists are as good as tuples, to the fingerprint, too."""
    plain = Table("s", "t", ("id",), (ID,))
    assert Table("s", "t", "id", (ID,)) == Table("s", "t", ["id"], [ID]) == plain
    assert Table("s", "t", "id", [ID]).fingerprint == plain.fingerprint
    assert Table("s", "t", key="id", columns=[ID]).key_columns == ("id",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "t", "id", [ID]), "source must be a name"),
        (("s", None, "id", [ID]), "target must be a name"),
        (("s", "t", (), [ID]), "key must be the names"),
        (("s", "t", "", [ID]), "key must be the names"),
        (("s", "t", ("id", 1), [ID]), "key must be the names"),
        (("s", "t", None, [ID]), "key must be the names"),
        (("s", "t", "id", ID), "columns must be several"),
        (("s", "t", "id", [Text()]), "columns must be of Column"),
    ],
)
def test_what_is_no_definition_is_a_type_error(arguments, message):
    """Raised where it is written, so that a traceback leads there."""
    with pytest.raises(TypeError, match=message):
        Table(*arguments)
