"""A line of an incremental export: what it does to the rows of one table, both ways, and what of it is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fuzzed_lines import PIECES, mutated_item
from hypothesis import given
from hypothesis import strategies as st
from sound_items import MIGRATION_TIME, SOUND, line_of
from strategies import MODERATE, mutated_items, scalars, structures, texts, to_typed_json

from transforms.changes import CompiledChanges, RowChange, compile_changes
from transforms.children import compile_rows
from transforms.lines import View
from transforms.native import plan as native
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.rules import Integer, Jsonb, Text
from transforms.sources import ELEMENT, ITEM, POSITION, Joined, Parent, Part
from transforms.table import Child, Column, Missing, Table, Unmapped
from transforms.tables.medzen import MEETING_AUDIT, TABLES
from transforms.types import row_to_texts
from transforms.where import AllOf, Equals, Not

MICROS = 1_768_386_096_366_933
BOTH, NEW = View.NEW_AND_OLD_IMAGES, View.NEW_IMAGE
BY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)

# The target's key is DynamoDB's; that of the second is an attribute that may change.
BY_KEYS = Table("source", "target", ("id",), (Column("n", "n", Integer()), Column("id", "id", Text(), Missing.REFUSED)))
BY_OLD = Table("source", "target", ("id",), (Column("n", "n", Integer(), Missing.REFUSED), Column("id", "id", Text(), Missing.REFUSED)))
SOME = Table("source", "target", ("id",), BY_KEYS.columns, where=Equals("kind", "a"))
SOME_BY_OLD = Table("source", "target", ("id",), BY_OLD.columns, where=Equals("kind", "a"))


def record(keys: Any, **images: Any) -> bytes:
    """As DynamoDB writes it."""
    document = {"Metadata": {"WriteTimestampMicros": {"N": str(MICROS)}}, "Keys": keys, **images}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def keys_of(table: Table, item: Any) -> Any:
    return {name: item[name] for name in table.key}


_COMPILED: dict[tuple[Any, ...], Any] = {}
"""What was compiled, each once, beside its table, whose id would be given again otherwise."""


def compiled_both_ways(table: Table, key: tuple[str, ...], view: View, **settings: Any) -> CompiledChanges:
    """`compile_changes`, whose functions assert of each line that the way in Python alone makes the same of it."""

    def compiled() -> CompiledChanges:
        of_what = id(table), key, view, native.IS_BUILT, *settings.values()
        if of_what not in _COMPILED:
            _COMPILED[of_what] = table, compile_changes(table, key=key, view=view, migration_time=MIGRATION_TIME, **settings)
        changes: CompiledChanges = _COMPILED[of_what][1]
        return changes

    def in_python(function: Callable[[CompiledChanges, bytes], Any], line: bytes) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "IS_BUILT", False)
            return function(compiled(), line)

    quick = compiled()

    def to_change(line: bytes) -> RowChange:
        found = outcome(quick, line)
        assert comparable(found) == comparable(in_python(outcome, line)), line
        if isinstance(found, ItemRefused):
            raise found
        return found

    def key_of(line: bytes) -> bytes | None:
        assert quick.key_of(line) == in_python(lambda compiled, line: compiled.key_of(line), line)
        return quick.key_of(line)

    return CompiledChanges(to_change, key_of, quick.key_of_row)


def outcome(compiled: CompiledChanges, line: bytes) -> Any:
    try:
        return compiled.to_change(line)
    except ItemRefused as refused:
        return refused


def comparable(found: Any) -> Any:
    return (found.stage, found.errors) if isinstance(found, ItemRefused) else found._replace(notices=list(found.notices))


def of_full_export(table: Table, item_line: bytes, **settings: Any) -> Any:
    """What a full export's line of the item becomes: the row, children and notices, a reason, or a refusal."""
    of_what = id(table), *settings.values()
    if of_what not in _COMPILED:
        _COMPILED[of_what] = table, compile_rows(table, migration_time=MIGRATION_TIME, **settings)
    try:
        row, notices, *children = _COMPILED[of_what][1](item_line)
    except ItemFiltered as filtered:
        return filtered.reason
    except ItemRefused as refused:
        return refused.stage, refused.errors
    return row, list(notices), children[0] if children else ()


# -- what becomes of rows ------------------------------------------------------------------------------------------------------------------


def item(n: int | str = 1, kind: str = "a", ident: str = "x") -> dict[str, Any]:
    return {"id": {"S": ident}, "n": {"N": str(n)}, "kind": {"S": kind}}


def done(table: Table, key: str, view: View, old: Any, new: Any) -> Any:
    """(row, deleted keys, whether it is filtered, old row, key), as texts; or the codes of a refusal."""
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    if view is NEW:
        images.pop("OldImage", None)
    compiled = compiled_both_ways(table, (key,), view)
    line = record({"id": (new or old)["id"]}, **images)
    try:
        change = compiled.to_change(line)
    except ItemRefused as refused:
        return [error.code.value for error in refused.errors], as_key(table, key, compiled.key_of(line))
    assert change.write_micros == MICROS
    row, old_row = (as_row(table, encoded) for encoded in (change.row, change.old_row))
    deleted = [as_key(table, key, encoded) for encoded in change.deleted_keys]
    return row, deleted, change.filter_reason is not None, old_row, as_key(table, key, change.key)


def as_row(table: Table, encoded: bytes | None) -> Any:
    return None if encoded is None else tuple(row_to_texts(encoded, [column.pg_type for column in table.columns]))


def as_key(table: Table, key: str, encoded: bytes | None) -> Any:
    return None if encoded is None else row_to_texts(encoded, [table.only((key,)).columns[0].pg_type])[0]


BAD = {**item(), "n": {"S": "one"}}
OTHER = item(kind="b")
X = ("1", "x")


@pytest.mark.parametrize(
    ("table", "key", "view", "old", "new", "expected"),
    [
        # By keys, in a view without old images.
        (BY_KEYS, "id", NEW, None, item(), (X, [], False, None, "x")),
        (BY_KEYS, "id", NEW, item(), None, (None, ["x"], False, None, "x")),
        (BY_KEYS, "id", NEW, item(), BAD, (["wrong_type"], "x")),
        # What leaves goes; what never was here is told to go, for nobody knows.
        (SOME, "id", NEW, None, OTHER, (None, ["x"], True, None, "x")),
        (SOME, "id", NEW, OTHER, None, (None, ["x"], False, None, "x")),
        # By keys, with old images.
        (BY_KEYS, "id", BOTH, None, item(), (X, [], False, None, "x")),
        (BY_KEYS, "id", BOTH, item(7), item(), (X, [], False, ("7", "x"), "x")),
        (BY_KEYS, "id", BOTH, item(), item(), (X, [], False, X, "x")),
        (BY_KEYS, "id", BOTH, item(), None, (None, ["x"], False, X, "x")),
        (BY_KEYS, "id", BOTH, BAD, None, (None, ["x"], False, None, "x")),
        (BY_KEYS, "id", BOTH, BAD, item(), (X, [], False, None, "x")),
        (BY_KEYS, "id", BOTH, item(), BAD, (["wrong_type"], "x")),
        (BY_KEYS, "id", BOTH, None, BAD, (["wrong_type"], "x")),
        (SOME, "id", BOTH, None, OTHER, (None, [], True, None, "x")),
        (SOME, "id", BOTH, OTHER, None, (None, [], True, None, "x")),
        (SOME, "id", BOTH, OTHER, OTHER, (None, [], True, None, "x")),
        (SOME, "id", BOTH, OTHER, item(), (X, [], False, None, "x")),
        (SOME, "id", BOTH, item(), OTHER, (None, ["x"], True, X, "x")),
        # It was a dead letter, of which an older row may be there.
        (SOME, "id", BOTH, BAD, OTHER, (None, ["x"], True, None, "x")),
        # By old images: the key is another one, or there was none.
        (BY_OLD, "n", BOTH, None, item(), (X, [], False, None, "1")),
        (BY_OLD, "n", BOTH, item(), item(), (X, [], False, X, "1")),
        (BY_OLD, "n", BOTH, item(7), item(), (X, ["7"], False, ("7", "x"), "1")),
        (BY_OLD, "n", BOTH, item(7), None, (None, ["7"], False, ("7", "x"), "7")),
        (BY_OLD, "n", BOTH, BAD, None, (None, [], False, None, None)),
        (BY_OLD, "n", BOTH, BAD, item(), (X, [], False, None, "1")),
        (BY_OLD, "n", BOTH, item(7), BAD, (["wrong_type"], "7")),
        (BY_OLD, "n", BOTH, None, BAD, (["wrong_type"], None)),
        (SOME_BY_OLD, "n", BOTH, item(7), item(8, "b"), (None, ["7"], True, ("7", "x"), "7")),
        (SOME_BY_OLD, "n", BOTH, item(7, "b"), item(8), (("8", "x"), [], False, None, "8")),
        (SOME_BY_OLD, "n", BOTH, item(7, "b"), None, (None, [], True, None, None)),
    ],
)
def test_what_a_change_does_to_rows(table: Table, key: str, view: View, old: Any, new: Any, expected: Any) -> None:
    """Inserts, updates and deletes; items that belong here no more, or since now; that turn bad, and good again."""
    assert done(table, key, view, old, new) == expected


def test_a_bad_old_image_still_says_its_key() -> None:
    """What is wrong with it is elsewhere: an older row of that key may be there."""
    columns = (Column("n", "n", Integer(), Missing.REFUSED), Column("m", "m", Integer()))
    table = Table("source", "target", ("id",), columns)
    bad = {**item(7), "m": {"S": "one"}}

    assert done(table, "n", BOTH, bad, None) == (None, ["7"], False, None, "7")
    assert done(table, "n", BOTH, bad, {**item(8), "m": {"N": "1"}}) == (("8", "1"), ["7"], False, None, "8")
    assert done(table, "n", BOTH, bad, bad) == (["wrong_type"], "7")


def test_a_key_of_several_columns_is_in_the_targets_order() -> None:
    """However the columns stand in the definition, and wherever their parts come from."""
    pattern = "C#{customer}#O#{order}"
    table = Table(
        *("source", "target", ("PK", "SK")),
        columns=(
            Column("x", "x", Text()),
            Column("SK", "sk", Text()),
            Column(Part("PK", pattern, "order"), "order", Text()),
            Column(Part("PK", pattern, "customer"), "customer", Text()),
        ),
    )
    key = ("customer", "order", "sk")
    compiled = compiled_both_ways(table, key, NEW)
    keys = {"PK": {"S": "C#7#O#8"}, "SK": {"S": "é"}}
    types = [column.pg_type for column in table.only(key).columns]

    for line in (record(keys), record(keys, NewImage={"x": {"NULL": True}, **keys})):
        change = compiled.to_change(line)
        assert change.key is not None
        assert row_to_texts(change.key, types) == ["7", "8", "é"]
        assert compiled.key_of(line) == change.key
    assert compiled.to_change(record({"PK": {"S": "X"}, "SK": {"S": "é"}}))[:8] == (None, (), (), (), None, MICROS, None, None)


PROFILE = AllOf(Equals("SK", "PROFILE"), Not(Equals("deleted", True)))
CUSTOMER = Table(
    *("source", "target", ("PK", "SK"), (Column("PK", "id", Text(), Missing.REFUSED), Column("n", "n", Integer()))),
    where=PROFILE,
)


@pytest.mark.parametrize("others", [(), (Equals("kind", "order"),)])
@pytest.mark.parametrize("view", View)
def test_a_change_of_another_item_of_the_same_customer_touches_no_row_of_it(view: View, others: Any) -> None:
    """An order's keys hold the customer's key; that its sort key is another says that it never was the customer."""
    compiled = compiled_both_ways(replace(CUSTOMER, others=others), ("id",), view)
    keys = {"PK": {"S": "x"}, "SK": {"S": "ORDER#1"}}
    order, stray = {**keys, "kind": {"S": "order"}}, {**keys, "kind": {"S": "none"}}
    for old, new in ((order, order), (order, stray), (stray, order), (stray, None), (order, None), (None, order), (None, stray)):
        images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image and (view is BOTH or name == "NewImage")}
        line = record(keys, **images)
        assert compiled.key_of(line) is None
        found = outcome(compiled, line)
        if isinstance(found, ItemRefused):
            assert [error.code.value for error in found.errors] == ["no_table"]
        else:
            assert (found.deleted_keys, found.key, found.filter_reason is None) == ((), None, False)


@pytest.mark.parametrize("view", View)
def test_a_customer_that_is_deleted_softly_goes(view: View) -> None:
    """What of the condition is not on the key does not say that there was none."""
    compiled = compiled_both_ways(CUSTOMER, ("id",), view)
    keys = {"PK": {"S": "x"}, "SK": {"S": "PROFILE"}}
    sound, gone, bad = keys, {**keys, "deleted": {"BOOL": True}}, {**keys, "n": {"S": "x"}}
    expected = compiled.to_change(record(keys, NewImage=sound)).key
    assert expected is not None
    for old, new in ((sound, gone), (sound, None), (bad, None), (bad, gone)):
        images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image and (view is BOTH or name == "NewImage")}
        assert compiled.to_change(record(keys, **images)).deleted_keys == (expected,)
    assert compiled.key_of(record(keys, NewImage=bad)) == expected


def test_a_key_of_an_item_of_another_table_is_not_told_by_its_images() -> None:
    """Where rows are found by old images: neither of what is filtered, nor of what no table takes."""
    for others, refused in (((), None), ((Equals("kind", "b"),), "no_table")):
        compiled = compiled_both_ways(replace(SOME_BY_OLD, others=others), ("n",), BOTH)
        keys = {"id": {"S": "x"}}
        line = record(keys, OldImage=item(kind="b"), NewImage=item(kind="c"))
        assert compiled.key_of(line) is None
        found = outcome(compiled, line)
        assert [error.code.value for error in found.errors] == [refused] if refused else found.deleted_keys == ()
        # What it was before it was of no table is the row that is outdated.
        assert compiled.key_of(record(keys, OldImage=item(7), NewImage=item(kind="c"))) is not None


def test_child_rows_are_those_of_the_new_image() -> None:
    table = Table(
        *("source", "target", ("id",), BY_KEYS.columns),
        children=(Child("lines", "line", (Column(Parent("id"), "target_id", Text(), Missing.REFUSED), Column(ELEMENT, "v", Text()))),),
    )
    new, old = ({**item(), "lines": {"L": [{"S": text} for text in words]}} for words in ("ab", "c"))
    change = compiled_both_ways(table, ("id",), BOTH).to_change(record({"id": {"S": "x"}}, OldImage=old, NewImage=new))

    assert [as_row(table.child_tables[0], row) for row in change.children[0]] == [("x", "a"), ("x", "b")]
    assert compiled_both_ways(table, ("id",), BOTH).to_change(record({"id": {"S": "x"}}, OldImage=old)).children == ()


# -- the same as in a full export ----------------------------------------------------------------------------------------------------------


def assert_as_full(table: Table, key: tuple[str, ...], new: Any, old: Any, **settings: Any) -> None:
    """The new image becomes what a full export's line of it does, and the old image what it would have been."""
    compiled = compiled_both_ways(table, key, BOTH, **settings)
    line = record(keys_of(table, new), OldImage=old, NewImage=new)
    expected, before = (of_full_export(table, line_of(image), **settings) for image in (new, old))
    found = outcome(compiled, line)
    if isinstance(found, ItemRefused):
        assert (found.stage, found.errors) == expected
        return
    if found.row is None:
        assert found.filter_reason == expected
    else:
        assert (found.row, list(found.notices), found.children) == expected
    assert found.old_row == (before[0] if isinstance(before[0], bytes) else None)


@BY_TABLE
@MODERATE
@given(data=st.data())
def test_a_mutated_item_is_refused_as_in_a_full_export(table: Table, data: st.DataObject) -> None:
    """With the same errors, whatever is wrong with it."""
    sound = SOUND[table.source]
    new, old = (data.draw(mutated_items(sound)) | keys_of(table, sound) for _ in range(2))
    assert_as_full(table, ("id",), new, old, unmapped=data.draw(st.sampled_from(Unmapped)))


ORDER = Table(
    *("source", "target", ("id",), BY_KEYS.columns),
    children=(
        Child(
            "lines",
            "line",
            (
                Column(Parent("id"), "target_id", Text(), Missing.REFUSED),
                Column(POSITION, "position", Integer(), Missing.REFUSED),
                Column("sku", "sku", Text(), Missing.REFUSED),
                Column("count", "count", Integer()),
            ),
        ),
    ),
)
_SKUS = {"L": [{"M": {"sku": {"S": "a"}, "count": {"N": "1"}}}, {"M": {"sku": {"S": "b"}}}]}


@MODERATE
@given(data=st.data())
def test_child_rows_are_made_and_refused_as_in_a_full_export(data: st.DataObject) -> None:
    """Lists that are others, elements that are none of theirs, and attributes that no column takes."""
    sound = {**item(), "lines": _SKUS}
    elements = st.lists(
        st.builds(lambda member: {"M": member}, mutated_items(_SKUS["L"][0]["M"])) | st.sampled_from(_SKUS["L"]), max_size=3
    )
    images = []
    for _ in range(2):
        image = data.draw(st.just(sound) | mutated_items(sound)) | {"id": {"S": "x"}}
        images.append(image | {"lines": {"L": data.draw(elements)}} if data.draw(st.booleans()) else image)
    assert_as_full(ORDER, ("id",), *images, unmapped=data.draw(st.sampled_from(Unmapped)))


WHOLE = Table("source", "target", ("id", "n"), (Column(Joined(("id", "n")), "id", Text()), Column(ITEM, "item", Jsonb(typed=True))))
_keys = st.fixed_dictionaries({"id": texts.filter(bool), "n": st.integers(-(10**37), 10**37)})


@MODERATE
@given(key=_keys, new=st.dictionaries(texts, scalars | structures, max_size=5), old=st.dictionaries(texts, scalars, max_size=3))
def test_whatever_boto3_writes_is_a_change(key: Any, new: Any, old: Any) -> None:
    """Items as boto3 serialises them: the whole item is in the row, as it would be of a full export."""
    images = [to_typed_json(image | key)["M"] for image in (new, old)]
    assert_as_full(WHOLE, ("id",), *images)
    change = compiled_both_ways(WHOLE, ("id",), BOTH).to_change(record(keys_of(WHOLE, images[0]), NewImage=images[0]))
    text, document = as_row(WHOLE, change.row)
    assert text == f"{key['id']}#{key['n']}"
    assert json.loads(document) == {"M": images[0]}


@BY_TABLE
@pytest.mark.parametrize("seed", range(4))
def test_lines_by_chance_are_the_same_both_ways(table: Table, seed: int) -> None:
    """Values, names and bytes that a parser may stumble over, anywhere in a record; nothing but a refusal is raised."""
    chance = random.Random(f"{table.source} {seed}")
    sound = SOUND[table.source]
    key = ("id",)
    views = [BOTH] if table is MEETING_AUDIT else [BOTH, NEW]
    quick = {view: compile_changes(table, key=key, view=view, migration_time=0) for view in views}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "IS_BUILT", False)
        slow = {view: compile_changes(table, key=key, view=view, migration_time=0) for view in views}
        lines = [fuzzed(chance, table, sound) for _ in range(600)]
        expected = [(comparable(outcome(slow[view], line)), slow[view].key_of(line)) for line in lines for view in views]
    found = [(comparable(outcome(quick[view], line)), quick[view].key_of(line)) for line in lines for view in views]
    for line, one, other in zip([line for line in lines for _ in views], found, expected, strict=True):
        assert one == other, line
    assert len({str(one[0])[:20] for one in found}) > 3


def fuzzed(chance: random.Random, table: Table, sound: Any) -> bytes:
    images = {
        name: mutated_item(chance, sound) | (keys_of(table, sound) if chance.random() < 0.9 else {}) if chance.random() < 0.5 else sound
        for name in ("OldImage", "NewImage")
        if chance.random() < 0.8
    }
    line = record(keys_of(table, sound), **images)
    if chance.random() < 0.2:
        document = json.loads(line)
        names = chance.sample(sorted(document), len(document))
        line = json.dumps({name: document[name] for name in names}).encode()
    for _ in range(chance.choice([0, 0, 1, 2])):
        place = chance.randint(0, len(line))
        line = line[:place] + chance.choice(PIECES) + line[place + chance.choice([0, 0, 1, 2, 5]) :]
    return line


# -- lines that are no changes -------------------------------------------------------------------------------------------------------------

SOUND_LINE = record({"id": {"S": "x"}}, OldImage=item(7), NewImage=item())
META = b'"Metadata":{"WriteTimestampMicros":{"N":"1768386096366933"}}'
KEYS = b'"Keys":{"id":{"S":"x"}}'
IMAGE = b'{"id":{"S":"x"},"n":{"N":"1"}}'


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"null", "invalid_json"),
        (SOUND_LINE[:-1], "invalid_json"),
        (SOUND_LINE + b"}", "invalid_json"),
        (SOUND_LINE + SOUND_LINE, "invalid_json"),
        (SOUND_LINE.replace(b'"7"', b'"\xff"'), "invalid_json"),
        (SOUND_LINE.replace(b'"7"', b'"\\ud800"'), "invalid_json"),
        (SOUND_LINE.replace(b'"7"', b"7,"), "invalid_json"),
        (b"{}", "not_a_change"),
        (b'{"Item":%b}' % IMAGE, "not_a_change"),
        (b"{%b}" % META, "not_a_change"),
        (b"{%b}" % KEYS, "not_a_change"),
        (b"{%b,%b,%b}" % (META, KEYS, KEYS), "not_a_change"),
        (b'{%b,%b,"Other":{}}' % (META, KEYS), "not_a_change"),
        (b'{%b,"Keys":{}}' % META, "not_a_change"),
        (b'{%b,"Keys":[]}' % META, "not_a_change"),
        (b'{%b,"Keys":{"id":"x"}}' % META, "not_a_change"),
        (b'{%b,"Keys":{"id":{"S":7}}}' % META, "not_a_change"),
        (b'{%b,"Keys":{"id":{"BOOL":true}}}' % META, "not_a_change"),
        (b'{%b,"Keys":{"id":{"S":"x"},"id":{"S":"x"}}}' % META, "not_a_change"),
        (b'{%b,"Keys":{"id":{"S":"x"},"sk":{"S":"x"}}}' % META, "not_a_change"),
        (b'{%b,"Keys":{"ID":{"S":"x"}}}' % META, "not_a_change"),
        (b'{"Metadata":{},%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":7,%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":{"WriteTimestampMicros":"7"},%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":{"WriteTimestampMicros":{"S":"7"}},%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":{"WriteTimestampMicros":{"N":"-7"}},%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":{"WriteTimestampMicros":{"N":"7.5"}},%b,"NewImage":%b}' % (KEYS, IMAGE), "not_a_change"),
        (b'{"Metadata":{"WriteTimestampMicros":{"N":"%b"}},%b,"NewImage":%b}' % (b"7" * 19, KEYS, IMAGE), "not_a_change"),
        ('{"Metadata":{"WriteTimestampMicros":{"N":"٣"}},"Keys":{"id":{"S":"x"}}}'.encode(), "not_a_change"),
        (b'{%b,%b,"NewImage":{"id":{"S":"y"},"n":{"N":"1"}}}' % (META, KEYS), "not_a_change"),
        (b'{%b,%b,"NewImage":{"n":{"N":"1"}}}' % (META, KEYS), "not_a_change"),
        (b'{%b,%b,"NewImage":{"id":{"B":"x"}}}' % (META, KEYS), "not_a_change"),
        (b'{%b,%b,"OldImage":{"id":{"S":"y"}},"NewImage":%b}' % (META, KEYS, IMAGE), "not_a_change"),
        (b'{%b,%b,"NewImage":[]}' % (META, KEYS), "not_an_item"),
        (b'{%b,%b,"NewImage":null}' % (META, KEYS), "not_an_item"),
        (b'{%b,%b,"OldImage":7,"NewImage":%b}' % (META, KEYS, IMAGE), "not_an_item"),
        (b'{%b,%b,"NewImage":{"id":{"S":"x"},"n":{"N":"1"},"n":{"N":"1"}}}' % (META, KEYS), "not_an_item"),
        (b'{%b,%b,"NewImage":{"id":{"S":"x"},"n":{"N":"1","N":"1"}}}' % (META, KEYS), "not_an_item"),
        (b'{%b,%b,"NewImage":{"id":{"S":"x"},"id":{"S":"x"}}}' % (META, KEYS), "not_an_item"),
    ],
)
def test_a_line_that_is_no_change_is_refused(line: bytes, code: str) -> None:
    """In the stage `read`, with one error that holds nothing of the line."""
    for view in View:
        with pytest.raises(ItemRefused) as refused:
            compiled_both_ways(BY_KEYS, ("id",), view).to_change(line)
        [error] = refused.value.errors
        assert (refused.value.stage.value, error.code.value) == ("read", code)
        assert "1768386" not in error.message


def test_a_change_without_images_says_nothing_where_both_were_asked_for() -> None:
    """It is a delete in the other view."""
    line = b"{%b,%b}" % (META, KEYS)
    with pytest.raises(ItemRefused) as refused:
        compiled_both_ways(BY_KEYS, ("id",), BOTH).to_change(line)
    assert [error.code.value for error in refused.value.errors] == ["not_a_change"]
    assert compiled_both_ways(BY_KEYS, ("id",), NEW).to_change(line).deleted_keys != ()


def test_an_item_that_a_full_export_refuses_is_refused_in_the_same_words() -> None:
    """A member twice anywhere, of which neither value can be preferred; nested too deep; a value without a tag."""
    table = Table("source", "target", ("id",), (Column("id", "id", Text()), Column("doc", "doc", Jsonb())))
    deep = b'{"L":[' * 300 + b'{"S":"x"}' + b"]}" * 300
    for value in (b'{"M":{"a":{"S":"1"},"a":{"S":"2"}}}', deep, b'{"S":7}', b"7", b'{"N":"1_0"}', b'{"S":"\\u0000"}', b'{"M":{"a":7}}'):
        image = b'{"id":{"S":"x"},"doc":%b}' % value
        expected = of_full_export(table, b'{"Item":%b}' % image)
        for view in View:
            compiled = compiled_both_ways(table, ("id",), view)
            line = b'{%b,%b,"NewImage":%b}' % (META, KEYS, image)
            with pytest.raises(ItemRefused) as refused:
                compiled.to_change(line)
            assert (refused.value.stage, refused.value.errors) == expected
            assert compiled.key_of(line) is not None
            # In the old image it is nothing that matters.
            before = compiled.to_change(b'{%b,%b,"OldImage":%b,"NewImage":{"id":{"S":"x"}}}' % (META, KEYS, image))
            assert (before.row is None, before.old_row) == (False, None)


@pytest.mark.parametrize(
    ("keys", "image"),
    [
        ({"id": {"N": "1"}}, {"id": {"N": "1.0"}}),
        ({"id": {"N": "1E2"}}, {"id": {"N": "100"}}),
        ({"id": {"S": "é"}}, {"id": {"S": "\u00e9"}}),
    ],
)
def test_a_key_is_the_same_however_it_is_spelled(keys: Any, image: Any) -> None:
    table = Table("source", "target", ("id",), (Column("id", "id", Text(tags=("S", "N"))), Column("n", "n", Integer())))
    spaced = json.dumps({"NewImage": image, "Keys": keys, "Metadata": {"WriteTimestampMicros": {"N": "7"}, "More": 7}}, indent=1)
    for line in (record(keys, NewImage=image), spaced.encode(), spaced.replace("id", "i\\u0064").encode()):
        assert compiled_both_ways(table, ("id",), NEW).to_change(line).row is not None


def test_the_key_of_what_is_refused_is_known_where_it_can_be() -> None:
    """By keys of anything that has sound ones."""
    compiled = compiled_both_ways(BY_KEYS, ("id",), BOTH)
    sound = compiled.key_of(SOUND_LINE)
    assert sound is not None
    for line in (b'{%b,"Metadata":7}' % KEYS, b'{%b,%b,"NewImage":7}' % (META, KEYS), b'{%b,%b,"NewImage":{}}' % (META, KEYS)):
        assert compiled.key_of(line) == sound
    for line in (b"", b"{", b"[]", b"{}", b'{"Keys":7}', b'{"Keys":{"id":{"S":"x"}},"Keys":{}}', b'{"Keys":{"id":{"S":"\\u0000"}}}'):
        assert compiled.key_of(line) is None
