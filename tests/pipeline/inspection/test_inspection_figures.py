"""The figures, held against counts that are taken from Python's own values before boto3 makes attribute values of them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.pipeline.inspection.inspected import attribute_of, inspected, line_of, statistics_of, told
from tests.strategies import BRIEF, to_typed_json

NAMES = ["id", "status", "Status", "données", "soap.data"]

items = st.dictionaries(st.sampled_from(NAMES), strategies.structures)
many_items = st.lists(items, max_size=12)


_TAGS = {type(None): "NULL", bool: "BOOL", str: "S", Decimal: "N", bytes: "B", dict: "M", list: "L"}


def _tag(value: Any) -> str:
    return f"{_tag(next(iter(value)))}S" if isinstance(value, set) else _TAGS[type(value)]


def _depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def _extent(sizes: list[int]) -> dict[str, int] | None:
    return {"least": min(sizes), "greatest": max(sizes)} if sizes else None


def _of(values: list[Any], *kinds: type) -> list[Any]:
    return [value for value in values if isinstance(value, kinds)]


@BRIEF
@given(many_items)
def test_an_attribute_has_the_types_and_sizes_of_its_values(plain: list[dict[str, Any]]) -> None:
    """Every attribute, every type."""
    summary = inspected(*({name: to_typed_json(value) for name, value in item.items()} for item in plain))

    assert (summary["lines"], summary["items"], summary["unreadable"]) == (len(plain), len(plain), {})
    assert {attribute["name"] for attribute in summary["attributes"]} == {name for item in plain for name in item}
    for attribute in summary["attributes"]:
        values = [item[attribute["name"]] for item in plain if attribute["name"] in item]
        assert attribute["items"] == len(values)
        assert attribute["types"] == Counter(map(_tag, values))
        texts = _of(values, str)
        assert (attribute["texts"] is None) == (not texts)
        if texts:
            assert attribute["texts"]["characters"] == _extent([len(text) for text in texts])
            assert attribute["texts"]["utf8_bytes"] == _extent([len(text.encode()) for text in texts])
            assert sum(attribute["texts"]["shapes"].values()) == len(texts)
            assert attribute["texts"]["shapes"].get("empty", 0) == texts.count("")
        assert attribute["binary_bytes"] == _extent([len(value) for value in _of(values, bytes)])
        assert attribute["set_members"] == _extent([len(value) for value in _of(values, set)])
        assert attribute["map_members"] == _extent([len(value) for value in _of(values, dict)])
        assert attribute["list_elements"] == _extent([len(value) for value in _of(values, list)])
        assert attribute["depth"] == max(map(_depth, values))


@BRIEF
@given(st.lists(strategies.decimals(), min_size=1, max_size=25))
def test_numbers_have_the_digits_and_signs_that_their_plain_writing_shows(numbers: list[Decimal]) -> None:
    """Written out without an exponent, zeros at either end taken away."""
    figures = attribute_of(inspected(*({"n": to_typed_json(number)} for number in numbers)), "n")["numbers"]

    written = [f"{number.copy_abs():f}".partition(".") for number in numbers]
    before = [whole.lstrip("0") for whole, _, _ in written]
    after = [fraction.rstrip("0") for _, _, fraction in written]
    assert figures["valid"] == len(numbers)
    assert figures["invalid"] == 0
    assert figures["digits_before_point"] == max(map(len, before))
    assert figures["digits_after_point"] == max(map(len, after))
    assert figures["significant_digits"] == max(map(_count_significant, before, after))
    assert figures["fractional"] == sum(map(bool, after))
    assert figures["negative"] == sum(number < 0 for number in numbers)
    assert figures["zeros"] == sum(number == 0 for number in numbers)
    if len(numbers) < 10 or all(len(digits) <= 1 for digits in before):
        assert figures["least"] is figures["greatest"] is None
    else:
        assert _is_rounded(figures["least"], min(numbers))
        assert _is_rounded(figures["greatest"], max(numbers))


def _count_significant(before: str, after: str) -> int:
    return len((before + after).lstrip("0")) if after else len(before.rstrip("0"))


def _is_rounded(text: str, number: Decimal) -> bool:
    """One digit, and within half of what the last one is worth."""
    rounded = Decimal(text)
    with localcontext(prec=400):
        return len(rounded.as_tuple().digits) == 1 and abs(rounded - number) * 2 <= Decimal((0, (1,), number.adjusted() if number else 0))


def test_extremes_are_rounded_to_one_digit() -> None:
    figures = attribute_of(inspected(*({"n": {"N": str(1_735_134_334_581 + step)}} for step in range(10))), "n")["numbers"]

    assert (figures["least"], figures["greatest"]) == ("2E+12", "2E+12")


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("+1", "invalid"),
        ("01", "invalid"),
        (".5", "invalid"),
        ("", "invalid"),
        ("١٢", "invalid"),
        ("NaN", "invalid"),
        ("1E126", "invalid"),
        ("9" * 400_000, "invalid"),
        ("1E" + "9" * 30, "invalid"),
        ("0E" + "9" * 30, "zeros"),
        ("0E" + "9" * 30, "non_canonical"),
        ("1.50", "non_canonical"),
        ("1E-3", "non_canonical"),
        ("-0", "non_canonical"),
        ("0", "zeros"),
        ("-7", "negative"),
        ("0.5", "fractional"),
    ],
)
def test_an_odd_number_is_counted_as_what_it_is(text: str, figure: str) -> None:
    figures = attribute_of(inspected({"n": {"N": text}}, {"n": {"N": "12"}}), "n")["numbers"]

    assert figures[figure] == 1
    assert figures["valid"] == (1 if figure == "invalid" else 2)


@pytest.mark.parametrize("text", ["0", "7", "10", "-1200", "0.05", "-12.0003", "9" * 38, "0." + "0" * 129 + "1"])
def test_what_dynamodb_writes_is_canonical(text: str) -> None:
    figures = attribute_of(inspected({"n": {"N": text}}), "n")["numbers"]

    assert (figures["valid"], figures["non_canonical"]) == (1, 0)


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000)])
def test_times_are_known_by_their_unit_from_2000_to_2100(unit: str, factor: int) -> None:
    """Both ends are inside; what is just outside is not."""
    first, last = 946_684_800 * factor, 4_102_444_800 * factor

    inside = inspected(*({"n": {"N": str(number)}} for number in (first, first + 1, 1_735_134_334 * factor, last - 1, last)))
    outside = inspected(*({"n": {"N": str(number)}} for number in (first - 1, last + 1, -first, 0, 5, 12345678901, 10**17)))

    assert attribute_of(inside, "n")["numbers"]["epoch_units"] == {unit: 5}
    assert attribute_of(outside, "n")["numbers"]["epoch_units"] == {}


def test_lines_are_counted_and_measured_whatever_they_are() -> None:
    lines = [line_of({"id": {"S": "é"}}), b"", b"{", b"[]", b'{"Item":{}}']

    summary = told(statistics_of(lines))

    assert (summary["lines"], summary["items"], summary["unreadable"]) == (5, 2, {"invalid_json": 3})
    assert summary["line_bytes"] == {"least": 0, "greatest": len(lines[0])}
    assert told(statistics_of([]))["line_bytes"] is None


def test_items_with_nul_characters_are_counted_wherever_it_is() -> None:
    """In a string, a set, a name; not the letters of an escape that is none."""
    summary = inspected(
        {"a": {"S": "x\0"}},
        {"a": {"L": [{"M": {"b\0": {"N": "1"}}}]}},
        {"a": {"SS": ["\\\0"]}},
        {"a": {"S": "\\u0000"}},
        {"a": {"S": "\\\\u0000 \\n\\u0000"}},
        {"a": {"S": "none"}},
    )

    assert summary["items_with_nul_character"] == 3
