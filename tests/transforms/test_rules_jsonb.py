"""`docs/tables.md`, JSONB and numbers: what reaches a jsonb column, digit for digit."""

import json
from typing import Any

import pytest
from sound_items import ABSENT, AUDIT, NULL, changed, note, only, refusal_of, row_of

from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES


class Digits(str):
    """A number of a JSON text, as it is written there."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Digits and str.__eq__(self, other)

    __hash__ = str.__hash__


def parse(text: str) -> Any:
    """A JSON text with its numbers as they are written; a name that occurs twice fails."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def fail(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_int=Digits, parse_float=Digits, parse_constant=fail, object_pairs_hook=unique)


def jsonb_of(value: Any) -> Any:
    """What an audit item's `eventData` becomes."""
    return parse(row_of(MEETING_AUDIT, changed(AUDIT, eventData=value)).values["event_data"])


VALUES = {
    "S": ({"S": "text"}, "text"),
    "S, empty": ({"S": ""}, ""),
    "S like a number": ({"S": "1"}, "1"),
    "BOOL true": ({"BOOL": True}, True),
    "BOOL false": ({"BOOL": False}, False),
    "NULL": ({"L": [NULL]}, [None]),
    "NULL in a map": ({"M": {"a": NULL}}, {"a": None}),
    "M": ({"M": {"a": {"S": "b"}}}, {"a": "b"}),
    "M, empty": ({"M": {}}, {}),
    "L": ({"L": [{"S": "b"}, {"N": "2"}, {"S": "b"}]}, ["b", Digits("2"), "b"]),
    "L, empty": ({"L": []}, []),
    "B": ({"B": "AAEC/+8="}, "AAEC/+8="),
    "B, empty": ({"B": ""}, ""),
    "SS": ({"SS": ["c", "a", "b"]}, ["c", "a", "b"]),
    "NS": ({"NS": ["3", "-1.50", "2E3"]}, [Digits("3"), Digits("-1.50"), Digits("2E3")]),
    "BS": ({"BS": ["/w==", "AA=="]}, ["/w==", "AA=="]),
    "N": ({"N": "1"}, Digits("1")),
    "N false-like": ({"N": "0"}, Digits("0")),
    "names like tags": ({"M": {"S": {"S": "N"}, "M": {"M": {"L": {"L": []}}}}}, {"S": "N", "M": {"L": []}}),
    "name Item": ({"M": {"Item": {"S": "x"}}}, {"Item": "x"}),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_each_tag(value, expected):
    """Each tag becomes its JSON type.

    Rule: "S -> string, BOOL -> boolean, NULL -> null, M -> object, L -> array, B -> base64 string as exported, SS/NS/BS -> array in the
    export's order"; "NS members are numbers. An empty map is `{}`, an empty list `[]`".
    """
    assert jsonb_of(value) == expected


NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "0.00",
    "0E-999999999",
    "0e5",
    "1.50",
    "-12",
    "100",
    "1E2",
    "1e+02",
    "1E-130",
    "1.0E-130",
    "-1E-130",
    "9.9E125",
    "9.99999999999999999999999999999999999999E125",
    "1" + "0" * 125,
    "9" * 126,
    "0.1",
    "0." + "0" * 129 + "1",
    "0.0000001E-123",
    "12345678901234567890123456789012345678",
    "0.12345678901234567890123456789012345678",
    "-1.2345678901234567890123456789012345678E-93",
    "9007199254740993",
    "0.1000000000000000055511151231257827021181583404541015625",
    "1.7976931348623157E+125",
    "1." + "0123456789" * 500,
    "3." + "1" * 400_000,
    "-1234567890123456789012345678901234567890.5",
]


@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text[:32])
def test_every_digit_of_a_number_is_kept(text):
    """The digits of a number are its `N` text's.

    Rule: "N -> JSON number with every digit kept (38 digits, exponents); never through a float, and never re-spelled in a way that loses
    a digit"; "more than 38 digits are kept if they come".
    """
    assert jsonb_of({"N": text}) == Digits(text)
    assert jsonb_of({"NS": ["1", text]}) == [Digits("1"), Digits(text)]
    assert jsonb_of({"M": {"a": {"L": [{"N": text}]}}}) == {"a": [Digits(text)]}


@pytest.mark.parametrize("digit", "1289")
def test_integers_of_every_length(digit):
    """Rule: "every digit kept": whole numbers of 1 to 126 digits, past 53, 63 and 64 bits, with a sign or without."""
    texts = [sign + digit * length for length in range(1, 127) for sign in ("", "-")]
    assert jsonb_of({"L": [{"N": text} for text in texts]}) == list(map(Digits, texts))
    assert jsonb_of({"NS": texts}) == list(map(Digits, texts))
    for text in texts:
        assert jsonb_of({"N": text}) == Digits(text)


@pytest.mark.parametrize("text", ["0E1000000000000000000", "0E-99999999999999999999", "-0.0e99999999999999999999"])
def test_zero_is_in_range_whatever_its_exponent(text):
    """Rule: "Inside DynamoDB's range (zero, or magnitude from 1E-130 up to below 1E126)": zero is zero at every exponent."""
    assert jsonb_of({"N": text}) == Digits(text)


NOT_NUMBERS = [
    *("", "+1", "01", "-01", "00", "0123", ".5", "5.", "-", "-.5", "1e", "1E+", "1.e5", "abc", "0x10", "1_000", "1,5", "1/2", "--1", "1-"),
    *("NaN", "-NaN", "Infinity", "-Infinity", "inf", "nan", "null", "true", "{}", "[1]", '"1"', "1,2", "1}", "1 2"),
    *(" 1", "1 ", "1\n", "\n1", "\t1", "1\r", "1\u00a0", "\u20031", "\ufeff1", "1\0", "\0"),
    *("\u0661", "\uff11", "1\u0660", "\u0967.5", "1.\u0665", "1E\u0665", "\u00b2", "\u2212" + "1", "\U0001d7d9"),
    *("1E126", "10E125", "1" + "0" * 126, "-1E126", "9.9E126", "1E-131", "0.9E-130", "-9.99E-131", "0." + "0" * 130 + "1"),
    *("1E99999999999999999999", "-1E99999999999999999999", "1E-99999999999999999999", "1E999999999999999999", "9" * 5_000, "9" * 400_000),
    *("1E" + "9" * 5_000, "1E" + "9" * 400_000, "1E1E1", "1.2.3"),
]


@pytest.mark.parametrize("text", NOT_NUMBERS, ids=lambda text: ascii(text[:24]))
def test_what_is_no_number_is_refused(text):
    """What is no number, or none of DynamoDB's, is refused in `N` and `NS`, at every depth.

    Rule: "The text of an `N` must be a JSON number (not `+1`, `01`, `.5`, `abc`, nor with white space) and inside DynamoDB's range (zero,
    or magnitude from 1E-130 up to below 1E126); else `invalid_number`".
    """
    for value, path in (
        ({"N": text}, ""),
        ({"NS": ["1", text]}, ""),
        ({"M": {"a": {"N": text}}}, ".a"),
        ({"L": [{"N": "1"}, {"L": [{"N": text}]}]}, "[1][0]"),
        ({"M": {"a": {"L": [NULL, {"M": {"b": {"NS": [text]}}}]}}}, ".a[1].b"),
    ):
        assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventData=value)) == only("invalid_number", f"eventData{path}")


NULS = {
    "text": ({"S": "a\0b"}, ""),
    "text in a map": ({"M": {"a": {"S": "\0"}}}, ".a"),
    "text in a list": ({"L": [{"S": "a"}, {"S": "b\0"}]}, "[1]"),
    "key": ({"M": {"a\0": {"S": "b"}}}, ""),
    "only key": ({"M": {"\0": NULL}}, ""),
    "nested key": ({"M": {"a": {"L": [{"M": {"\0b": {"N": "1"}}}]}}}, ".a[0]"),
    "string set": ({"M": {"a": {"SS": ["x", "y\0"]}}}, ".a"),
    "binary": ({"M": {"a": {"B": "AA\0="}}}, ".a"),
    "binary set": ({"M": {"a": {"BS": ["AA==", "\0"]}}}, ".a"),
    "beside literal backslash-u0000": ({"L": [{"S": "\\u0000"}, {"S": "\0"}]}, "[1]"),
    "deep": ({"M": {"a": {"M": {"b": {"M": {"c": {"L": [{"L": [{"S": "\0"}]}]}}}}}}}, ".a.b.c[0][0]"),
}


@pytest.mark.parametrize(("value", "path"), NULS.values(), ids=NULS)
def test_u0000_is_refused_wherever_it_is(value, path):
    """Rule: "U+0000 anywhere in a string or key that would reach Postgres -> `nul_character`".

    "Postgres can hold it in neither text nor jsonb."
    """
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventData=value)) == only("nul_character", f"eventData{path}")
    assert refusal_of(SOAP_NOTES, note(objective=value)) == only("nul_character", f"soapData.objective{path}")


@pytest.mark.parametrize(
    "text", ["\\u0000", "\\\\u0000", "\\\\\\u0000", "u0000", "\\", "\\\\", "\\x00", "\\0", "%00", "\u2400", "\x01", '\\"', "\\u"]
)
def test_a_literal_escape_is_only_text(text):
    """U+0000 is refused, not the backslash and the letters `u0000`: "a value is stored exactly as it was"."""
    assert jsonb_of({"M": {text: {"L": [{"S": text}, {"SS": [text]}]}}}) == {text: [text, [text]]}


def test_attribute_names_are_kept_exactly():
    """Rule: "Attribute names are kept exactly, case and Unicode included"."""
    names = [
        "a",
        "A",
        "Ä",
        "A\u0308",
        "ß",
        "SS",
        "",
        " ",
        "a.b",
        "a b",
        'q"q',
        "n\nn",
        "\\",
        "患者",
        "👩🏽‍⚕️",
        "__proto__",
        "\ufeff",
        "1",
        "\u2028",
        "x" * 60_000,
    ]
    assert jsonb_of({"M": {name: {"S": name} for name in names}}) == {name: name for name in names}


@pytest.mark.parametrize("name", ["subjective", "objective", "assessment", "plan"])
def test_a_component_is_kept_whatever_its_shape(name):
    """A component need not be a map.

    Rule: "Present with any type -> kept as JSONB with its full structure, whatever its shape (a list, a string and so on are kept as they
    are)".
    """
    for value, expected in VALUES.values():
        row = row_of(SOAP_NOTES, note(**{name: value}))
        assert parse(row.values[name]) == expected
        assert row.notices == []


@pytest.mark.parametrize("value", [NULL, ABSENT], ids=["NULL", "absent"])
def test_a_missing_component_beside_others_is_an_empty_object(value):
    """Rule: "A component missing or NULL -> `{}`", the others unharmed."""
    row = row_of(SOAP_NOTES, note(assessment=value))
    assert parse(row.values["assessment"]) == {}
    assert parse(row.values["plan"]) == {"steps": ["rest"]}
    assert row.notices == []
