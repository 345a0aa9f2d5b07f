"""No value of an item is told, neither in JSON nor on the terminal."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.pipeline.inspection.inspected import line_of, printed, statistics_of, told
from tests.strategies import BRIEF

MARK = "MARIA-SECRET"
NUMBER = "4815162342"
MARKS = (MARK, MARK.lower(), MARK[:6], NUMBER, NUMBER[:5], base64.b64encode(MARK.encode()).decode())


def _all_that_is_told(lines: list[bytes]) -> str:
    statistics = statistics_of(lines)
    return json.dumps(told(statistics), ensure_ascii=False) + printed(statistics) + printed(statistics, width=None)


def _assert_no_mark(lines: list[bytes]) -> None:
    everything = _all_that_is_told(lines)
    assert any(MARK.encode() in line or NUMBER.encode() in line for line in lines), "the mark must be somewhere"
    assert not [mark for mark in MARKS if mark in everything]


def _item(number: int) -> dict[str, Any]:
    """A mark in every type of value, and in member names that few maps have."""
    return {
        "id": {"S": f"{MARK}-{number}"},
        "text": {"S": f"{MARK} was here"},
        "email": {"S": f"{MARK}@x.example"},
        "url": {"S": f"https://{MARK}.example/"},
        "json": {"S": f'{{"{MARK}": 1}}'},
        "number": {"N": NUMBER},
        "fraction": {"N": f"-0.{NUMBER}"},
        "invalid": {"N": MARK},
        "binary": {"B": base64.b64encode(MARK.encode()).decode()},
        "set": {"SS": [MARK]},
        "numbers": {"NS": [NUMBER]},
        "list": {"L": [{"S": MARK}, {"N": NUMBER}, {"M": {f"{MARK}-{number}": {"S": MARK}}}]},
        "map": {"M": {"open": {"S": MARK}, f"{MARK}-{number}": {"M": {"open": {"N": NUMBER}}}, f"{NUMBER}": {"N": "1"}}},
    }


def test_neither_values_nor_rare_names_of_members_are_told() -> None:
    """Of one item, of nine, of very many."""
    for items in (1, 9, 500):
        _assert_no_mark([line_of(_item(number)) for number in range(items)])


def test_a_name_in_a_map_is_not_told_when_fewer_than_ten_have_it() -> None:
    _assert_no_mark([line_of({"map": {"M": {MARK: {"S": ""}}}})] * 9)


def test_a_name_in_a_map_is_not_told_when_fewer_than_a_tenth_have_it() -> None:
    _assert_no_mark([line_of({"map": {"M": {MARK: {"S": ""}}}})] * 50 + [line_of({"map": {"M": {}}})] * 451)


def test_a_patients_number_is_not_told_as_a_members_name_however_often() -> None:
    _assert_no_mark([line_of({"map": {"M": {NUMBER: {"S": ""}, f"{MARK}@x.example": {"S": ""}}}})] * 100)


def test_nothing_below_a_name_that_is_not_told_is_told() -> None:
    """Even if it is in all the maps there."""
    line = line_of({"map": {"M": {NUMBER: {"M": {MARK: {"S": ""}}}}}})
    _assert_no_mark([line] * 100)


def test_an_attributes_name_that_looks_like_data_is_not_told() -> None:
    _assert_no_mark([line_of({"id": {"S": "1"}, f"{MARK}#1": {"S": ""}, NUMBER: {"S": ""}})] * 9)


def test_of_very_many_attribute_names_rare_ones_are_not_told() -> None:
    lines = [line_of({"id": {"S": "1"}, f"{MARK} {word}": {"S": ""}}) for word in map(_word, range(1000))]

    _assert_no_mark(lines)
    assert [attribute["name"] for attribute in told(statistics_of(lines))["attributes"]] == ["id"]


def _word(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def test_no_line_that_is_unreadable_is_told() -> None:
    sound = line_of(_item(1))
    records = [b'{"Metadata":{},"Keys":{"id":{"S":"%s"}}}' % MARK.encode(), b'{"Item":{},"%s":1}' % MARK.encode()]
    _assert_no_mark([sound[:-1], b"\xff" + sound, sound.replace(b'"B"', b'"X"'), MARK.encode(), *records])


@BRIEF
@given(strategies.mutated_lines(_item(1)))
def test_no_damage_makes_a_mark_be_told(line: bytes) -> None:
    """Except that of a broken line, some part may now be an attribute's name."""
    statistics = statistics_of([line])

    names = " ".join(statistics.attributes)
    assert not [mark for mark in MARKS if mark in printed(statistics) and mark not in names]


@BRIEF
@given(st.lists(st.text(st.characters(min_codepoint=0x10000, max_codepoint=0x10FFFF, categories=["Lo"]), min_size=1), min_size=1))
def test_no_character_of_a_string_is_told(texts: list[str]) -> None:
    everything = _all_that_is_told(
        [line_of({"a": {"L": [{"S": text}]}, "b": {"S": text}, "c": {"M": {text: {"S": text}}}}) for text in texts]
    )

    assert not set(everything) & set("".join(texts))
