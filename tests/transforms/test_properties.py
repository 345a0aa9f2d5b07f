"""Properties over all that DynamoDB can hold, with boto3's own serialiser and Python's own types as oracles."""

import base64
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from binary_row import decode_row
from boto3.dynamodb.types import TypeSerializer
from hypothesis import example, given
from hypothesis import strategies as st
from sound_items import AUDIT, SESSION, UUID_1, changed, note, row_of
from strategies import MODERATE, decimals, json_numbers, structures, texts, to_typed_json

from transforms.rejects import ItemRefused, ValueRefused
from transforms.rules import Uuid
from transforms.rules.text import is_uuid
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, VIDEO_SESSIONS
from transforms.values import attribute_value_to_json, is_number


class Number(str):
    """A JSON number's own digits, told apart from a string."""

    __slots__ = ()


def same(found: Any, value: Any) -> bool:
    """Whether what JSON holds is the Python value: numbers by value, sets in any order, binary as base64."""
    match value:
        case Decimal():
            return type(found) is Number and Decimal(found) == value and Number(TypeSerializer().serialize(value)["N"]) == found
        case bytes():
            return type(found) is str and base64.b64decode(found, validate=True) == value
        case dict():
            return type(found) is dict and found.keys() == value.keys() and all(same(found[name], value[name]) for name in value)
        case list():
            return type(found) is list and len(found) == len(value) and all(map(same, found, value))
        case set() | frozenset():
            return (
                type(found) is list and len(found) == len(value) and all(any(same(member, wanted) for member in found) for wanted in value)
            )
    return type(found) is type(value) and found == value


@MODERATE
@given(structures)
@example({"a": [Decimal("1.50"), None, True, "\\u0000", b"\0", {"": {"": []}}]})
@example(Decimal("1E-130"))
@example(Decimal("-9.9999999999999999999999999999999999999E125"))
def test_whatever_boto3_writes_is_kept(value):
    """Any Python structure, serialised by boto3, parses from our JSON text to the same structure.

    Each number is equal as a Decimal, and digit for digit its `N` text.
    """
    typed = to_typed_json(value)
    text = attribute_value_to_json(typed).decode()
    found = json.loads(text, parse_int=Number, parse_float=Number)
    assert same(found, value)
    if value is not None:
        assert row_of(MEETING_AUDIT, changed(AUDIT, eventData=typed)).values["event_data"] == text
        assert row_of(SOAP_NOTES, note(plan=typed)).values["plan"] == text


@MODERATE
@given(st.lists(decimals(), min_size=1, max_size=8))
def test_the_order_and_digits_of_numbers_are_kept(numbers):
    """Rule: "SS/NS/BS -> array in the export's order": a list of numbers and a number set both read as the same texts in the same order."""
    spelled = [TypeSerializer().serialize(number)["N"] for number in numbers]
    as_list = attribute_value_to_json({"L": [{"N": text} for text in spelled]})
    as_set = attribute_value_to_json({"NS": spelled})
    for text in (as_list, as_set):
        assert json.loads(text, parse_int=str, parse_float=str) == spelled
        assert json.loads(text, parse_int=Decimal, parse_float=Decimal) == numbers


def number_is_sound(text: str) -> bool:
    """Whether a JSON number is zero or inside DynamoDB's range, by counting digits."""
    mantissa, _, exponent = text.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    if not digits.strip("0"):
        return True
    first = len(whole) - 1 - (len(digits) - len(digits.lstrip("0"))) + int(exponent or 0)
    return -130 <= first <= 125


@MODERATE
@given(json_numbers())
@example("1E126")
@example("0.1E127")
@example("9" * 126)
@example("9" * 127)
@example("9" * 121)
@example("9." + "9" * 118)
@example("0." + "0" * 118)
@example("0." + "0" * 129 + "1")
@example("0." + "0" * 130 + "1")
@example("10E-131")
@example("0.1E-129")
@example("0.1E-130")
def test_the_range_of_numbers(text):
    """Rule: "A JSON number inside DynamoDB's range (zero, or magnitude from 1E-130 up to below 1E126)", whatever the spelling."""
    assert is_number(text) is number_is_sound(text)


@MODERATE
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text("0123456789+-.eE \n\u0661\uff11\u00b2_", max_size=10))
def test_only_what_json_takes_is_a_number(text):
    """Rule: "The text of an `N` must be a JSON number": Python's own JSON reader, which also takes white space around and NaN, agrees."""
    try:
        parsed = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=lambda _: None)
    except ValueError:
        parsed = None
    is_json = isinstance(parsed, Number) and parsed == text
    assert is_number(text) is (is_json and number_is_sound(text))


@MODERATE
@given(st.uuids(), st.sampled_from([str, str.upper, str.title, str.swapcase]))
def test_uuids_agree_with_python(value, case):
    """Every UUID, in either case, has the 16 bytes that `uuid.UUID` says."""
    text = case(str(value))
    assert decode_row(Uuid().encoder("id")(text, []), ["uuid"]) == [value]
    assert is_uuid(text)
    assert row_of(VIDEO_SESSIONS, changed(SESSION, transcriptId={"S": text})).values["transcript_id"] == value


@MODERATE
@given(
    st.text(st.sampled_from("0123456789abcdefABCDEF-{} \tg\uff10\u0660"), min_size=30, max_size=40)
    | st.builds(
        lambda position, end, other: UUID_1[:position] + other + UUID_1[position + end :],
        st.integers(0, 36),
        st.integers(0, 4),
        st.text(max_size=4) | st.text("0-aF \n", max_size=4),
    )
)
def test_near_uuids_agree_with_the_strict_form(text):
    """What is almost a UUID is none, by a count of ASCII characters.

    Rule: "UUID: 8-4-4-4-12 hexadecimal digits with hyphens, either case; anything else, white space included -> `invalid_uuid`".
    """
    parts = text.split("-")
    strict = [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        letter in "0123456789abcdefABCDEF" for part in parts for letter in part
    )
    assert is_uuid(text) is strict
    encode = Uuid().encoder("id")
    if strict:
        assert decode_row(encode(text, []), ["uuid"]) == [uuid.UUID(text)]
    else:
        with pytest.raises(ValueRefused) as caught:
            encode(text, [])
        assert str(caught.value.code) == "invalid_uuid"


@MODERATE
@given(texts, texts)
def test_texts_are_kept(first, second):
    """Rule: "Text is stored byte for byte": each of two texts in its own column, so that no length is wrong."""
    row = row_of(VIDEO_SESSIONS, changed(SESSION, joinUrl={"S": first}, finalizationStatus={"S": second}))
    assert (row.values["join_url"], row.values["finalization_status"]) == (first, second)


@MODERATE
@given(texts.filter(bool))
def test_event_types_are_upper_cased_by_ascii_rules(text):
    """Rule: "`eventType` is upper-cased (ASCII rules are enough)": a to z become A to Z, and no other character changes."""
    upper = "".join(chr(ord(letter) - 32) if "a" <= letter <= "z" else letter for letter in text)
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": text}))
    assert row.values["event_type"] == upper


@MODERATE
@given(st.permutations(list(SESSION)))
def test_the_order_of_attributes_does_not_matter(names):
    """An item is a set of attributes: its order in the line makes no other row."""
    assert row_of(VIDEO_SESSIONS, {name: SESSION[name] for name in names}) == row_of(VIDEO_SESSIONS, SESSION)


@MODERATE
@given(st.lists(st.sampled_from(sorted(SESSION)), unique=True), st.booleans())
def test_absent_and_null_are_alike(names, with_extra):
    """Rule: "Missing = the attribute is absent, or is `{"NULL": true}`. Both are treated alike", in any combination of attributes."""
    rest = {name: value for name, value in SESSION.items() if name not in names} | ({"extra": {"S": ""}} if with_extra else {})
    outcomes = []
    for item in (rest, rest | {name: {"NULL": True} for name in names}):
        try:
            outcomes.append(row_of(VIDEO_SESSIONS, item))
        except ItemRefused as refused:
            outcomes.append(refused.errors)
    assert outcomes[0] == outcomes[1]
