"""`transforms/values.py`, function by function; the rules it keeps are tested by the rules' own files."""

import pytest
from sound_items import NULL

from transforms.rejects import ErrorCode, ValueRefused
from transforms.values import (
    attribute_value_to_json,
    check_number,
    first_fault,
    is_attribute_value,
    is_missing,
    is_number,
)

SOUND_VALUES = [
    {"S": ""},
    {"N": "1"},
    {"N": "not looked at"},
    {"B": ""},
    {"BOOL": True},
    {"BOOL": False},
    NULL,
    {"M": {}},
    {"M": {"a": 1}},
    {"L": []},
    {"L": [1]},
    {"SS": ["a"]},
    {"NS": ["1"]},
    {"BS": [""]},
]
UNSOUND_VALUES = [
    None,
    1,
    "S",
    [],
    {},
    {"S": 1},
    {"N": 1},
    {"BOOL": 1},
    {"BOOL": None},
    {"NULL": False},
    {"NULL": 1},
    {"M": []},
    {"L": {}},
    {"SS": "a"},
    {"SS": [1]},
    {"NS": [1]},
    {"X": ""},
]


@pytest.mark.parametrize("value", SOUND_VALUES, ids=repr)
def test_sound_shapes(value):
    """An attribute value has one known tag and content of its JSON type; what is nested in it does not matter here."""
    assert is_attribute_value(value)


@pytest.mark.parametrize("value", [*UNSOUND_VALUES, {"S": "", "N": "1"}], ids=repr)
def test_unsound_shapes(value):
    """Anything else is no attribute value."""
    assert not is_attribute_value(value)


def test_only_null_is_missing():
    """`{"NULL": true}` is missing; empty values, and what only looks like NULL, are not."""
    assert is_missing(NULL)
    for value in (*SOUND_VALUES, *({"NULL": other} for other in (False, "true", 1, 1.0)), {"NULL": True, "S": ""}):
        if value is not NULL:
            assert not is_missing(value), value


def test_check_number():
    """`check_number` raises what `is_number` denies, with the code `invalid_number` and no path."""
    check_number("1.50")
    assert is_number("1.50")
    for text in ("", "x", "1E126"):
        assert not is_number(text)
        with pytest.raises(ValueRefused) as caught:
            check_number(text)
        assert (caught.value.code, caught.value.path) == (ErrorCode.INVALID_NUMBER, "")


def test_the_example_of_the_module():
    """The module's own example holds."""
    assert attribute_value_to_json({"M": {"dose": {"N": "1.50"}, "seen": NULL}}) == b'{"dose":1.50,"seen":null}'


@pytest.mark.parametrize("value", UNSOUND_VALUES, ids=repr)
def test_what_cannot_be_json(value):
    """`attribute_value_to_json` names the place of a misshapen value, at the top and nested."""
    for outer, path in ((value, ""), ({"L": [value]}, "[0]"), ({"M": {"a": value}}, ".a")):
        with pytest.raises(ValueRefused) as caught:
            attribute_value_to_json(outer)
        assert (caught.value.code, caught.value.path) == (ErrorCode.NOT_AN_ITEM, path)


def test_a_sound_value_has_no_fault():
    """`first_fault` finds nothing in sound values, a literal backslash-u0000 included."""
    for value in ({"S": "\\u0000"}, {"M": {"\\u0000": {"L": [{"NS": ["1"]}, NULL, {"BS": ["AA=="]}]}}}):
        assert first_fault(value) is None
