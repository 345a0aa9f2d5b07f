"""The compiled module counts what Python counts, to the last figure; what it is not sure of it leaves to Python."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inspection.counting import LineStatistics, add_lines_to, statistics_of
from pipeline.inspection.evidence import KeepValues
from pipeline.inspection.names import Shape, shape_of
from pipeline.inspection.statistics import ItemStatistics
from tests.fuzzed_lines import NUMBERS, TEXTS, UUID_2, mutated_line
from tests.pipeline.inspection.inspected import known, line_of
from tests.strategies import BRIEF
from transforms.native import sound_rows
from transforms.native.plan import IS_BUILT, LOOKED_FOR_NOTHING, new_sound_statistics

ITEM: dict[str, Any] = {
    "id": {"S": UUID_2},
    "at": {"N": "1717230000000"},
    "seconds": {"N": "1717230000"},
    "amount": {"N": "-12.50"},
    "iso": {"S": "2026-10-21T23:53:33.5+02:00"},
    "plan": {
        "M": {"dose": {"N": "1"}, "list": {"L": [{"M": {"a": {"M": {"b": {"M": {"c": {"S": "x"}, "d": {"S": "x"}}}}}}}, {"S": "é\n"}]}}
    },
    "tags": {"SS": [UUID_2, "x"]},
    "numbers": {"NS": ["1", "2.5", "1E40"]},
    "bytes": {"BS": ["AA=="]},
    "raw": {"B": "AAE="},
    "yes": {"BOOL": True},
    "none": {"NULL": True},
    "text": {"S": 'say "ja"\t\U0001f600'},
}


def in_python(lines: Iterable[bytes], values: KeepValues | None = KeepValues.TEXTS) -> ItemStatistics:
    statistics = ItemStatistics(values)
    for line in lines:
        statistics.add_line(line)
    return statistics


def counter(values: KeepValues | None) -> sound_rows.SoundStatistics:
    sound = new_sound_statistics(None if values is None else LOOKED_FOR_NOTHING)
    assert sound is not None
    return sound


def compiled(lines: Iterable[bytes], values: KeepValues | None = KeepValues.TEXTS) -> tuple[ItemStatistics, int]:
    """Of the lines that it is sure of, with those that Python counted; and how many those are."""
    statistics = ItemStatistics(values)
    sound = counter(values)
    unsure = 0
    for some in _batched(list(lines), 20):
        for line in sound.add_lines(some):
            statistics.add_line(line)
            unsure += 1
        if sound.is_full:
            statistics.merge(taken(sound, values))
    statistics.merge(taken(sound, values))
    return statistics, unsure


def _batched(lines: list[bytes], size: int) -> Iterator[list[bytes]]:
    return (lines[first : first + size] for first in range(0, len(lines), size))


def taken(sound: sound_rows.SoundStatistics, values: KeepValues | None) -> ItemStatistics:
    lines, sizes, tables = sound.take_counted()
    part = ItemStatistics(values)
    add_lines_to(part, lines, sizes)
    for _, items, nodes, _ in tables:
        part.merge(statistics_of(nodes, items, values))
    return part


def assert_the_same(lines: list[bytes], *, most_unsure: float = 1) -> None:
    for values in (None, *KeepValues):
        found, unsure = compiled(lines, values)
        assert known(found) == known(in_python(lines, values))
        assert unsure <= most_unsure * len(lines)


def test_it_is_built() -> None:
    """Else the tests here would compare Python with itself."""
    assert IS_BUILT
    assert compiled([line_of(ITEM)])[1] == 0


@pytest.mark.parametrize("seed", range(6))
def test_lines_by_chance_are_counted_the_same(seed: int) -> None:
    """Hostile ones: broken JSON, wrong tags, names twice, odd numbers, U+0000, half surrogate pairs."""
    chance = random.Random(seed)
    lines = [mutated_line(chance, ITEM) for _ in range(400)]
    assert_the_same(lines, most_unsure=0.95)


_TEXT_PARTS = [
    *"azAZ059_-+.:/@#{}[]() \t\n\x1f\x7f\x85\x9f\xa0\u2003\u0663éßΩ文\U0001f600",
    "2024-02-29",
    "T",
    "10:11",
    "Z",
    "+02:00",
    "e5",
    "http://",
]
_TEXT_PARTS += [
    "x" * 63,
    "a b " * 130,
    "-12",
    "3.5",
    UUID_2,
    "2023-02-29",
    "9999-12-31T23:59:59-01:00",
    "0001-01-01T00:00+01",
    "0000-01-01",
]


@BRIEF
@given(st.lists(st.lists(st.sampled_from(_TEXT_PARTS) | st.sampled_from(TEXTS), max_size=6).map("".join), max_size=30))
def test_texts_look_the_same(texts: list[str]) -> None:
    assert_the_same([line_of({"a": {"S": text}, "set": {"SS": [text, text]}, text or "b": {"L": [{"S": text}]}}) for text in texts])


@pytest.mark.parametrize("size", [31, 32, 33, 62, 63, 64, 65, 510, 511, 512, 513, 4_094, 4_095, 4_096, 4_097])
@pytest.mark.parametrize("filling", ["x", "é", " ", "5", "a b"])
def test_texts_look_the_same_at_the_bounds(size: int, filling: str) -> None:
    """Where a text becomes a long one, where its prefix ends, and where brackets and schemes stand behind white space."""
    around = [("", ""), ("{", "}"), (" ", "\x01"), ("http://", ""), ("", "@b.de"), ("a@", ".de"), ("", " "), (" [", "] "), ("A", "")]
    texts = [f"{before}{(filling * size)[:size]}{behind}" for before, behind in around]
    texts += [f"{' ' * count}{{{'y' * size}}}{' ' * count}" for count in (62, 63, 64)]
    assert_the_same([line_of({"a": {"S": text}}) for text in texts])


@BRIEF
@given(
    st.lists(st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True) | st.sampled_from(NUMBERS), max_size=30)
)
def test_numbers_look_the_same(texts: list[str]) -> None:
    assert_the_same([line_of({"n": {"N": text}, "s": {"S": text}, "set": {"NS": [text]}, f"n{text[:1]}": {"N": text}}) for text in texts])


@pytest.mark.parametrize("second", [946_684_800, 4_102_444_800])
@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
def test_times_have_the_same_bounds(second: int, factor: int) -> None:
    texts = [f"{second * factor + off}{rest}" for off in (-1, 0, 1) for rest in ("", ".5", ".0", "E0", "0", "e1")]
    for text in texts:
        assert_the_same([line_of({"n": {"N": text}})])


def test_every_kind_of_text_is_one_that_python_has() -> None:
    """In its words, which are told."""
    kinds = {
        "": 1,
        UUID_2: 1,
        "12": 1,
        "-1.5": 1,
        "2024-01-31": 1,
        "2024-01-31T10:00Z": 1,
        "a" * 32: 1,
        "AB_C": 1,
        "aB": 1,
        "ab://y": 1,
        "a@b.c": 1,
        "  ": 1,
        "a\x01": 1,
        "{ }": 1,
        "so so": 1,
    }
    lines = [line_of({"a": {"S": text}}) for text in kinds]
    found, unsure = compiled(lines)
    assert (known(found), unsure) == (known(in_python(lines)), 0)
    assert set(found.attributes["a"].tallies["shapes"]) == {*Shape} - {Shape.NUL, Shape.SURROGATES}
    assert len({shape_of(text) for text in kinds}) == len(kinds)


@pytest.mark.parametrize("depth", [1, 3, 4, 63, 64, 65, 66, 254, 255, 300])
def test_nesting_is_counted_the_same(depth: int) -> None:
    value: dict[str, Any] = {"N": "1"}
    for level in range(depth):
        value = {"L": [value, value]} if level % 7 == 1 and level < 30 else {"M": {"k": value}}
    assert_the_same([line_of({"a": value}), line_of({"a": {"S": "x"}})])


@pytest.mark.parametrize("depth", range(6))
def test_a_name_that_comes_twice_is_found_at_any_depth(depth: int) -> None:
    opened, closed = '{"M":{"k":' * depth, "}}" * depth
    names = [f'"n{number}":{{"S":"x"}}' for number in range(100)]
    twice = [opened + '{"M":{' + ",".join([*names[:count], '"n0":{"S":"x"}']) + "}}" + closed for count in (1, 2, 50, 100)]
    lines = [f'{{"Item":{{"a":{value}}}}}'.encode() for value in twice]
    assert compiled(lines)[1] == len(lines)
    assert_the_same(lines)
    # The same name in two maps is none that comes twice.
    alike = [line_of({"a": {"L": [{"M": {"k": {"S": "x"}}}, {"M": {"k": {"M": {"k": {"NULL": True}}}}}]}})] * 2
    assert_the_same(alike, most_unsure=0)


@pytest.mark.parametrize("names", [150, 260, 700])
def test_more_names_than_there_is_room_for(names: int) -> None:
    """It is emptied then, and the figures are whole."""
    lines = [
        line_of({f"a{number % names}": {"M": {f"m{number}": {"L": [{"M": {f"x{number % 3}": {"S": ""}}}]}}}}) for number in range(3_000)
    ]
    assert_the_same(lines, most_unsure=0.1)
    lines = [line_of({"a": {"M": {f"m{number}": {"S": "x"} for number in range(first, first + 300)}}}) for first in range(0, 3_000, 300)]
    assert_the_same(lines)


def test_long_and_escaped_names_are_for_python() -> None:
    lines = [line_of({"a" * size: {"M": {"b" * size: {"S": "x"}}}}) for size in (63, 64, 65, 100)]
    assert_the_same([*lines, b'{"Item":{"\\u0061":{"S":"x"}}}', '{"Item":{"é":{"M":{"ü":{"S":"x"}}}}}'.encode()])


def test_few_texts_become_many() -> None:
    """At the 21st, whoever has counted the others."""
    for texts in (19, 20, 21, 22):
        lines = [line_of({"a": {"S": f"t{number % texts}"}}) for number in range(100)]
        lines[50] = lines[50].replace(b'{"Item"', b'{"\\u0049tem"')
        assert_the_same(lines)


def test_space_is_where_json_allows_it() -> None:
    line = b' { "Item" : { "a" : { "M" : { "b" : { "L" : [ { "S" : "x" } , { "NS" : [ "1" , "2" ] } ] } } } , "n" : { "N" : "5" } } } '
    assert_the_same([line], most_unsure=0)


def test_every_byte_that_is_cut_off_or_added_is_seen() -> None:
    """A cut line never ends beyond its own end."""
    line = line_of(ITEM)
    assert_the_same([line[:end] for end in range(len(line))])
    assert_the_same([line + bytes([byte]) for byte in range(256)])


@BRIEF
@given(st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), max_size=20))
def test_any_bytes_are_counted_as_unreadable(lines: list[bytes]) -> None:
    assert_the_same(lines)


def test_without_the_compiled_module_python_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line_of(ITEM), b"{", line_of({"a": {"S": "x"}})]
    found, alone = LineStatistics(), LineStatistics()
    found.add_lines(lines)
    found.finish()
    monkeypatch.setattr("pipeline.inspection.counting.new_sound_statistics", lambda _looked_for: None)
    alone.add_lines(lines)
    alone.finish()
    assert known(found.statistics) == known(alone.statistics) == known(in_python(lines, None))


def test_what_is_no_list_of_lines_is_refused() -> None:
    sound = counter(None)
    for wrong in (None, (b"",), b"{}"):
        with pytest.raises(TypeError):
            sound.add_lines(wrong)  # type: ignore[arg-type]
    odd: Any = [None, "x", bytearray(b"{}")]
    assert sound.add_lines(odd) == odd
    assert json.dumps(sound.take_counted()) == "[0, [], []]"
