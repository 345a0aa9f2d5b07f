"""The compiled way to a row. That both ways make the same of a line is asserted wherever `both_ways` is used; here is the rest."""

import contextlib
import gzip
import hashlib
import random
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from both_ways import compile_both_ways, compile_in_python
from sound_items import ABSENT, NULL, SESSION, SOUND, T1, T2, changed, line_of, note, row_of

from sample_export import write_sample_exports
from transforms import types as wire
from transforms.columns import compile_column, maps_of
from transforms.compile import compile_table, compile_whole_table
from transforms.native import plan as native
from transforms.native import sound_rows
from transforms.native.plan import Step, compile_sound_rows
from transforms.native.sound_rows import SoundRows
from transforms.rejects import ItemRefused, Notice, NoticeCode
from transforms.rules import Interval, Text, Timestamp
from transforms.rules.base import Encoder
from transforms.sources import LaterOf
from transforms.table import Column, Missing, Otherwise, Table, Unmapped
from transforms.tables.medzen import EVENT_TYPE, SOAP_NOTES, TABLES, VIDEO_SESSIONS

BY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)


def quick(columns: Sequence[Column]) -> Callable[[Any, list[Notice]], tuple[bytes, list[tuple[int, str]] | None] | None]:
    """The compiled way alone, of an item."""
    encode = compile_sound_rows([compile_column(column, 0) for column in columns], maps_of(columns)).encode
    return lambda item, notices: encode(line_of(item), notices)


def table_of(*columns: Column) -> Table:
    """A definition that a person could write."""
    return Table("source", "target", ("id",), columns)


def test_it_is_built() -> None:
    """Else every other test of it would compare the way in Python with itself: install ddb2pg where there is a C compiler."""
    assert native.IS_BUILT


@BY_TABLE
def test_sound_items_take_the_quick_way(table: Table) -> None:
    """And have nothing that no column takes."""
    notices: list[Notice] = []
    made = quick(table.columns)(SOUND[table.source], notices)
    assert made == (compile_in_python(table, migration_time=0)(line_of(SOUND[table.source]))[0], None)
    assert not notices


def test_nearly_all_items_of_an_export_do(tmp_path: Path) -> None:
    """Odd ones among them; the faulty ones do not, and of the odd ones those do not whose timestamps are spelled in rare ways."""
    write_sample_exports(tmp_path, items=3_000, seed=11, faulty=0, odd=0.02, items_per_file=3_000, processes=1)
    for table in TABLES:
        encode = compile_sound_rows([compile_column(column, 0) for column in table.columns], maps_of(table.columns)).encode
        files = tmp_path.glob(f"{table.source}/AWSDynamoDB/*/data/*.gz")
        lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
        sure = sum(encode(line, []) is not None for line in lines)
        assert sure >= len(lines) * 0.98, table.source


def test_every_character_of_a_text_and_of_a_document_is_kept() -> None:
    """All of Unicode but U+0000 and the surrogates, in texts long and short."""
    everything = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)]))
    for text in (everything, *everything[:600]):
        row = row_of(SOAP_NOTES, note(chiefComplaint={"S": text}, plan={"M": {text: {"S": text}}}))
        assert row.values["chief_complaint"] == text
    item = note(chiefComplaint={"S": everything}, plan={"M": {everything: {"S": everything}}})
    assert quick(SOAP_NOTES.columns)(item, []) is not None


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 4_000, 70_000, 3_000_000])
@pytest.mark.parametrize("last", ["x", '"', "\n", "\x1f", "\x7f", "é", "\U0001f600"])
def test_the_row_grows_with_its_texts(size: int, last: str) -> None:
    """Whatever stands at the end of a text, and wherever that is in the sixteen bytes that are looked at together."""
    text = "a" * size + last
    row_of(SOAP_NOTES, note(chiefComplaint={"S": text}, plan={"L": [{"S": text}, {"S": text[::-1]}]}))


def test_the_row_grows_wherever_it_is_full() -> None:
    """Each text by an encoder that has no room yet; the sanitizers see what is written beyond it."""
    columns = [Column("a", "a", Text()), Column("a", "b", Text())]
    for size in range(1_300):
        field = wire.text_field(b"x" * size)
        assert quick(columns)({"a": {"S": "x" * size}}, []) == (field + field, None)


@pytest.mark.parametrize("depth", [1, 31, 32, 63, 64, 65, 66, 200, 254])
def test_nesting_that_is_deep(depth: int) -> None:
    """What is too deep for it goes the way in Python, up to what that takes."""
    value: dict[str, Any] = {"N": "1"}
    for level in range(depth):
        value = {"L": [value]} if level % 2 else {"M": {"k": value}}
    row_of(SOAP_NOTES, note(plan=value))
    assert (quick(SOAP_NOTES.columns)(note(plan=value), []) is None) == (depth > 64)


@pytest.mark.parametrize(
    ("text", "is_quick"),
    [
        ("1E-3", True),
        ("-1.5e+99", True),
        ("1E99", True),
        ("1E100", False),
        ("1.00000000000000000000000E1", False),
        ("0", True),
        ("-0", True),
    ],
)
def test_numbers_with_an_exponent(text: str, is_quick: bool) -> None:
    """Those that cannot leave DynamoDB's range are kept as they are."""
    assert row_of(SOAP_NOTES, note(plan={"NS": [text]})).values["plan"] == f"[{text}]"
    assert (quick(SOAP_NOTES.columns)(note(plan={"NS": [text]}), []) is not None) == is_quick


TIMES = {
    "946684800000": None,
    "0946684800000": None,
    "1000000000000": True,
    "1717230000000.5": True,
    "1717230000000.050": True,
    "1717230000000.123": True,
    "1717230000000.1230": False,
    "1717230000000.": None,
    "17172300000.00": None,
    "171723000000.000": None,
    "1717230000000E0": False,
    "4102444800000": True,
    "4102444800000.000": True,
    "4102444800000.001": None,
    "4102444800001": None,
    "9999999999999": None,
    "17172300000000": None,
    "1717230000O00": None,
}


@pytest.mark.parametrize(("text", "is_quick"), TIMES.items())
def test_spellings_of_times(text: str, is_quick: bool | None) -> None:
    """The usual ones are quick; both ways make the same of all. None: refused, or the earliest that counts."""
    item = changed(SESSION, startTime={"N": text})
    made = quick(VIDEO_SESSIONS.columns)(item, [])
    assert (made is not None) == bool(is_quick)
    to_row = compile_both_ways(VIDEO_SESSIONS, migration_time=0)
    if is_quick is None and text != "946684800000":
        with pytest.raises(ItemRefused):
            to_row(line_of(item))
    else:
        to_row(line_of(item))


class Shouted(Text):
    """A conversion of somebody's own, derived from one that is known."""

    def encoder(self, attribute: str) -> Encoder:
        encode = super().encoder(attribute)

        def shout(text: str, notices: list[Notice]) -> bytes:
            if text == "empty":
                notices.append(Notice(NoticeCode.EMPTY_UUID_AS_NULL, attribute))
            return encode(text.upper(), notices)

        return shout


@pytest.mark.parametrize(
    ("text", "parts", "is_quick"),
    [
        ("P1Y-14M", (-2, 0, 0), True),
        ("P2147483646D", (0, 2147483646, 0), False),
        ("P214748364D", (0, 214748364, 0), True),
        ("P2147483647D", None, False),
        ("P178956970Y6M", (2147483646, 0, 0), True),
        ("P178956970Y7M", None, False),
        ("P-306783378W-1D", None, False),
        ("P-306783378W", (0, -2147483646, 0), True),
        ("PT2562047788H", (0, 0, 2562047788 * 3_600_000_000), False),
        ("PT2562047789H", None, False),
        ("PT999999999H999999999M999999999.999999S", (0, 0, 999_999_999 * 3_661_000_000 + 999_999), True),
        ("PT-0.5S", (0, 0, -500_000), True),
        ("PT-1M0.000001S", (0, 0, -59_999_999), True),
        ("PT1.1200000S", (0, 0, 1_120_000), False),
        ("PT1.1200001S", None, False),
        ("P9999999999D", None, False),
    ],
)
def test_spans_to_the_limits_of_postgresql(text: str, parts: tuple[int, int, int] | None, is_quick: bool) -> None:
    """Both ways; months, days and microseconds as an interval has them."""
    column = Column("v", "v", Interval(unit="iso"))
    to_row = compile_both_ways(table_of(column), migration_time=0)
    line = line_of({"v": {"S": text}})
    if parts is None:
        with pytest.raises(ItemRefused):
            to_row(line)
    else:
        months, days, microseconds = parts
        assert to_row(line)[0] == struct.pack(">iqii", 16, microseconds, days, months)
    assert (quick([column])({"v": {"S": text}}, []) is not None) == is_quick


def test_a_conversion_of_one_s_own_is_called() -> None:
    """In the same place of the row, with what it notes, and for missing attributes and maps, too."""
    columns = [Column("a", "a", Text()), Column("in.b", "b", Shouted(), Otherwise("none")), Column("c", "c", Text())]
    encode = quick(columns)
    to_row = compile_both_ways(table_of(*columns), migration_time=0)

    def fields(*texts: str) -> bytes:
        return b"".join(wire.text_field(text.encode()) for text in texts)

    item = {"a": {"S": "x"}, "in": {"M": {"b": {"S": "quiet"}}}, "c": {"S": "y"}}
    assert encode(item, []) == (fields("x", "QUIET", "y"), None)
    assert to_row(line_of(item))[0] == fields("x", "QUIET", "y")
    assert to_row(line_of(changed(item, **{"in": {"NULL": True}})))[0] == fields("x", "NONE", "y")
    loud = changed(item, **{"in": {"M": {"b": {"S": "empty"}, "other": {"S": ""}}}})
    assert [notice.code for notice in to_row(line_of(loud))[1]] == [NoticeCode.EMPTY_UUID_AS_NULL, NoticeCode.UNMAPPED_ATTRIBUTE]


def test_a_conversion_may_convert_others_while_it_is_called() -> None:
    """Of the same definition: the row that is being made is nobody else's."""
    nested: list[bytes] = []

    class Nested(Text):
        def encoder(self, attribute: str) -> Encoder:
            encode = super().encoder(attribute)

            def convert(text: str, notices: list[Notice]) -> bytes:
                if text != "end":
                    nested.append(to_row(line_of({"a": {"S": text * 5_000}, "b": {"S": "end"}}))[0])
                return encode(text, notices)

            return convert

    to_row = compile_table(table_of(Column("a", "a", Text()), Column("b", "b", Nested())), migration_time=0)
    made, _ = to_row(line_of({"a": {"S": "first"}, "b": {"S": "x"}}))
    assert made == wire.text_field(b"first") + wire.text_field(b"x")
    assert nested == [wire.text_field(b"x" * 5_000) + wire.text_field(b"end")]


def test_an_attribute_may_feed_two_columns_and_be_a_map_besides() -> None:
    """It is looked up once, and known once."""
    columns = (Column("m", "whole", SOAP_NOTES.columns[6].rule), Column("m.a", "a", Text()), Column("m.a", "again", Text()))
    to_row = compile_both_ways(table_of(*columns), migration_time=0)
    document = wire.jsonb_field(b'{"a":"x"}')
    assert to_row(line_of({"m": {"M": {"a": {"S": "x"}}}})) == (document + wire.text_field(b"x") * 2, [])
    assert quick(columns)({"m": {"M": {"a": {"S": "x"}}}}, []) == (document + wire.text_field(b"x") * 2, None)


def test_what_it_reads_is_given_back() -> None:
    """Neither kept nor let go once too often: of an item, of what is noted, and of what a column's own function gives."""
    whole = (*VIDEO_SESSIONS.columns, Column("own.a", "a", Shouted()), Column("event", "b", EVENT_TYPE))
    encode = quick(whole)
    long = "x" * 5_000
    sound = changed(SESSION, joinUrl={"S": long}, own={"M": {"a": {"S": "empty"}}}, event={"S": "call_joined"})
    items = [sound, changed(sound, event={"S": "other"}, own=ABSENT, endTime=ABSENT), changed(sound, endTime={"S": long}, other={"S": ""})]
    assert [made is not None for made in (encode(item, []) for item in items)] == [True, True, False]
    objects = [long, *items, sound["own"]["M"], sound["joinUrl"], sound["id"]["S"]]
    notices: list[Notice] = []

    def repeat(times: int) -> None:
        for _ in range(times):
            for item in items:
                encode(item, notices)
                notices.clear()

    repeat(10)
    references, blocks = [sys.getrefcount(one) for one in objects], sys.getallocatedblocks()
    repeat(2_000)
    assert [sys.getrefcount(one) for one in objects] == references
    assert sys.getallocatedblocks() - blocks < 500


@pytest.mark.parametrize(
    "step",
    [
        Step("TEXT", attribute=1),
        Step("TEXT", attribute=-1),
        Step("TEXT", attribute=0, other=0),
        Step("LATER_OF", attribute=0, other=1),
        Step("LATER_OF", attribute=0),
        Step("CALL", attribute=1),
        Step("CONSTANT"),
        Step("CONSTANT", attribute=0, if_missing=b""),
        Step("ONE_OF", attribute=0, texts=["a"]),  # type: ignore[arg-type]
        Step("UPPER_CASED", attribute=0, texts=("a",)),  # type: ignore[arg-type]
        Step("TEXT", attribute=0, if_missing="x"),  # type: ignore[arg-type]
        Step("TIMESTAMP", attribute=0, latest=10**13),
        Step("TIMESTAMP", attribute=0, earliest=-1),
        Step("CALL", attribute=0, other=1),
        Step("CALL", attribute=0, other=-2),
        Step("NUMERIC", attribute=0),
        Step("", attribute=0),
        Step("INTEGER", attribute=0, options=(3, 0, 1, 0)),
        Step("INTEGER", attribute=0, options=(4, 0, 1)),
        Step("NUMERIC", attribute=0, options=(5, 6, 0, 0, 0, 0)),
        Step("NUMERIC", attribute=0, options=(1001, 0, 0, 0, 0, 0)),
        Step("EPOCH", attribute=0, options=(7, 0, 1)),
        Step("DAY", attribute=0, options=(-1,)),
        Step("SPELLED", attribute=0, texts=(b"a",), options=(2,)),
        Step("SPELLED", attribute=0, options=(0,), texts=("a",)),  # type: ignore[arg-type]
        Step("ARRAY", attribute=0, options=(25,)),
        Step("ARRAY", attribute=0, options=(25,), element=Step("ARRAY", options=(25,), element=Step("TEXT"))),
        Step("ARRAY", attribute=0, options=(25,), element=Step("CALL")),
        Step("ARRAY", attribute=0, options=(25,), element=Step("ONE_OF", texts=("a",))),  # type: ignore[arg-type]
        Step("ARRAY", attribute=0, options=(25,), element=("TEXT",)[0]),  # type: ignore[arg-type]
        Step("TEXT", attribute=0, element=Step("TEXT")),
        Step("LATER_OF", attribute=0, other=0, element=Step("DATE")),
        Step("UUID_V5", attribute=0, texts=(b"x",)),
    ],
)
def test_steps_that_cannot_be_are_refused(step: Step) -> None:
    """When they are given, not when a row is made."""
    with pytest.raises(ValueError, match="no such step"):
        SoundRows(1, ((0, "a", -1),), (step,))


@pytest.mark.parametrize("attribute", [(1, "a", -1), (-1, "a", -1), (0, "a", 1), (0, "a", -2)])
def test_attributes_that_cannot_be_are_refused(attribute: tuple[int, str, int]) -> None:
    """As well."""
    with pytest.raises(ValueError, match="no such map"):
        SoundRows(1, (attribute,), ())


def test_what_is_no_line_is_refused() -> None:
    """The caller's own fault, so it is no matter of being unsure."""
    encode: Any = SoundRows(1, (), ()).encode
    for arguments in [(), (b"",), ("", []), (b"", ()), (b"", [], 1)]:
        with pytest.raises(TypeError):
            encode(*arguments)


def test_one_that_was_never_initialised_refuses() -> None:
    """Nor one whose plan was refused: there is nothing for it to encode."""
    bare = SoundRows.__new__(SoundRows)
    with pytest.raises(TypeError, match="never initialised"):
        bare.encode(b'{"Item":{}}', [])
    refused = SoundRows.__new__(SoundRows)
    with pytest.raises(ValueError, match="no such step"):
        refused.__init__(1, ((0, "a", -1),), (Step("TEXT", attribute=1),))  # type: ignore[misc]
    with pytest.raises(TypeError, match="never initialised"):
        refused.encode(b'{"Item":{"a":{"S":"x"}}}', [])
    with pytest.raises(TypeError, match="made once"):
        refused.__init__(1, (), ())  # type: ignore[misc]


# -- attributes that no column takes -------------------------------------------------------------------------------------------------------

UNMAPPED: list[tuple[dict[str, Any], list[tuple[int, str]] | None]] = [
    ({"a": {"S": "x"}}, None),
    ({"b": {"S": "y"}, "a": {"S": "x"}, "c": {"M": {"d": {"L": [{"N": "1"}]}}}}, [(0, "b"), (0, "c")]),
    ({"in": {"M": {"z": {"BOOL": True}, "a": {"S": "x"}}}, "z": {"N": "1"}}, [(1, "z"), (0, "z")]),
    ({"b": {"NULL": True}}, []),
    ({f"b{number}": {"S": ""} for number in range(64)}, [(0, f"b{number}") for number in range(64)]),
]
NOT_SURE: list[bytes] = [
    b'{"Item":{"b":{"S":"x"},"b":{"S":"x"}}}',
    b'{"Item":{"b":{"S":1}}}',
    b'{"Item":{"b":{"N":"x"}}}',
    b'{"Item":{"b":{"S":"x","S":"x"}}}',
    b'{"Item":{"b":{"S":"\\u0000"}}}',
    b'{"Item":{"b":{"S":"\\ud800"}}}',
    b'{"Item":{"b":{"S":"\xff"}}}',
    b'{"Item":{"b":{"L":[{"S":"x"},]}}}',
    b'{"Item":{"b":1}}',
    b'{"Item":{"b\\u0062":{"S":""}}}',
    line_of({f"b{number}": {"S": ""} for number in range(65)}),
]
OF_TWO_MAPS = [Column("a", "a", Text()), Column("in.a", "b", Text())]


@pytest.mark.parametrize(("item", "names"), UNMAPPED)
def test_attributes_that_no_column_takes_are_named(item: dict[str, Any], names: list[tuple[int, str]] | None) -> None:
    """With the map that they are in; one that is NULL is not there."""
    made = quick(OF_TWO_MAPS)(item, [])
    assert made is not None
    assert made[1] == names
    for unmapped in Unmapped:
        with contextlib.suppress(ItemRefused):
            compile_both_ways(table_of(*OF_TWO_MAPS), migration_time=0, unmapped=unmapped)(line_of(item))


@pytest.mark.parametrize("line", NOT_SURE)
def test_what_no_column_takes_is_read_strictly(line: bytes) -> None:
    """The line may be no item, or a name may come twice, so Python decides."""
    encode = compile_sound_rows([compile_column(column, 0) for column in OF_TWO_MAPS], maps_of(OF_TWO_MAPS)).encode
    assert encode(line, []) is None
    for unmapped in Unmapped:
        with contextlib.suppress(ItemRefused):
            compile_both_ways(table_of(*OF_TWO_MAPS), migration_time=0, unmapped=unmapped)(line)


# -- columns of two attributes that only Python knows --------------------------------------------------------------------------------------


class Later(Timestamp):
    """A conversion of somebody's own of a type that `LaterOf` takes."""

    def encoder(self, attribute: str) -> Encoder:
        encode = super().encoder(attribute)
        return lambda text, notices: encode(text.removesuffix("0") + "1", notices)


@pytest.mark.parametrize("missing", [Missing.NULL, Missing.REFUSED, Missing.MIGRATION_TIME])
@pytest.mark.parametrize(
    "times",
    [
        {"a": {"N": T1}, "b": {"N": T2}},
        {"a": {"N": T2}, "b": {"N": T1}},
        {"b": {"N": T1}},
        {"a": {"N": T1}, "b": NULL},
        {},
        {"a": {"N": "x"}},
    ],
)
def test_the_later_of_two_times_of_one_s_own(times: dict[str, Any], missing: Missing) -> None:
    """The rest of the row stays quick."""
    columns = [Column("c", "c", Text()), Column(LaterOf("a", "b"), "t", Later(), missing)]
    item = {"c": {"S": "x"}, **times}
    refused = times == {"a": {"N": "x"}} or (not times and missing is Missing.REFUSED)
    assert (quick(columns)(item, []) is None) == refused
    with pytest.raises(ItemRefused) if refused else contextlib.nullcontext():
        compile_both_ways(table_of(*columns), migration_time=0)(line_of(item))


# -- the sources that it was built of ------------------------------------------------------------------------------------------------------


def test_it_tells_the_files_it_was_built_of() -> None:
    """All that are there, so that a change of any is noticed."""
    files = {path.name for path in Path(native.__file__).parent.glob("*.[ch]")}
    assert {source.partition(":")[0] for source in sound_rows.SOURCES.split()} == files
    assert native._is_built_of_these(sound_rows.SOURCES)


def test_one_that_was_built_of_other_files_is_not_used() -> None:
    """An installed ddb2pg has none of the files beside it, and nothing to compare."""
    name = "row.h"
    digest = hashlib.sha256((Path(native.__file__).parent / name).read_bytes()).hexdigest()
    assert native._is_built_of_these(f"{name}:{digest}")
    assert not native._is_built_of_these(f"{name}:{digest[:-1]}x")
    assert native._is_built_of_these(f"absent.h:{digest}")
    assert native._is_built_of_these("")


# -- attributes that no item has -----------------------------------------------------------------------------------------------------------


@BY_TABLE
@pytest.mark.parametrize("is_built", [True, False], ids=["compiled", "in Python"])
def test_what_no_item_has_is_told_the_same_both_ways(table: Table, is_built: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any items, sound ones, refused ones and no items at all; then anew. The oracle looks for each path in the items."""
    monkeypatch.setattr(native, "IS_BUILT", is_built)
    compiled = compile_whole_table(table, migration_time=0)
    chance = random.Random(table.source)
    for _ in range(150):
        items = [_thinned(chance, SOUND[table.source]) for _ in range(chance.randint(0, 3))]
        for item in items:
            with contextlib.suppress(ItemRefused):
                compiled.to_row(line_of(item))
        with contextlib.suppress(ItemRefused):
            compiled.to_row(b'{"Item":{"startTime":')
        expected = [path for path in table.paths if not any(_has(item, path.split(".")) for item in items)]
        assert compiled.take_absent() == expected
    assert compiled.take_absent() == list(table.paths)


def _thinned(chance: random.Random, item: dict[str, Any]) -> dict[str, Any]:
    """Without some of its attributes, others NULL or of a wrong type; also inside its map."""
    thinned: dict[str, Any] = {}
    for name, value in item.items():
        fate = chance.random()
        if fate < 0.4:
            inside = value.get("M")
            thinned[name] = {"M": _thinned(chance, inside)} if inside is not None else value
        elif fate < 0.5:
            thinned[name] = chance.choice([NULL, {"SS": ["x"]}])
    return thinned


def _has(item: dict[str, Any], names: list[str]) -> bool:
    first, *rest = names
    return first in item and (not rest or _has(item[first].get("M", {}), rest))


def test_what_was_never_initialised_has_nothing_to_tell() -> None:
    with pytest.raises(TypeError, match="never initialised"):
        SoundRows.__new__(SoundRows).take_unseen()
