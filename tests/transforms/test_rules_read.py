"""`docs/tables.md`, lines: what a line must be, and what an attribute value must look like, for an item to be read at all."""

import json

import pytest
from sound_items import ABSENT, AUDIT, NOTE, SESSION, changed, line_of, note, only, refusal_of, refusal_of_line, row_of, to_row

from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, VIDEO_SESSIONS

LINE = line_of(AUDIT).strip()
INVALID_JSON = {
    "nothing": b"",
    "a line feed": b"\n",
    "white space": b"  \t\r\n",
    "a byte order mark": b"\xef\xbb\xbf" + LINE,
    "UTF-16": LINE.decode().encode("utf-16"),
    "two objects": LINE + LINE,
    "two objects, apart": LINE + b" " + LINE,
    "two objects, two lines": LINE + b"\n" + LINE,
    "a comma after it": LINE + b",",
    "a list": b"[" + LINE + b"]",
    "an empty list": b"[]",
    "a string": b'"Item"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "cut": LINE[:-1],
    "cut in half": LINE[: len(LINE) // 2],
    "NaN": b'{"Item":{"id":{"N":NaN}}}',
    "Infinity": b'{"Item":{"id":{"N":-Infinity}}}',
    "bare NaN": b"NaN",
    "single quotes": b"{'Item':{}}",
    "trailing comma": b'{"Item":{},}',
    "a comment": b'{"Item":{}}//',
    "leading zero": b'{"Item":{"id":{"N":01}}}',
    "a raw line feed in a text": LINE.replace(b"p-1", b"p\n1"),
    "a raw U+0000 in a text": LINE.replace(b"p-1", b"p\x001"),
    "U+0000 after it": LINE + b"\0",
    "a form feed after it": LINE + b"\x0c",
    "a no-break space after it": LINE + "\u00a0".encode(),
    "an unpaired high surrogate": LINE.replace(b"p-1", b"\\ud800"),
    "an unpaired low surrogate": LINE.replace(b"p-1", b"\\udc00"),
    "surrogates in the wrong order": LINE.replace(b"p-1", b"\\udc00\\ud800"),
    "two high surrogates": LINE.replace(b"p-1", b"\\ud83d\\ud83d\\ude00"),
    "an unpaired surrogate in a key": LINE.replace(b"attendee", b"\\uDBFF"),
    "a surrogate in UTF-8": LINE.replace(b"p-1", b"\xed\xa0\x80"),
    "Latin-1": LINE.replace(b"p-1", b"caf\xe9"),
    "an overlong form": LINE.replace(b"p-1", b"\xc0\xaf"),
    "overlong U+0000": LINE.replace(b"p-1", b"\xc0\x80"),
    "beyond Unicode": LINE.replace(b"p-1", b"\xf4\x90\x80\x80"),
    "cut UTF-8": LINE.replace(b"p-1", b"\xf0\x9f\x98"),
    "a bad escape": LINE.replace(b"p-1", b"\\x41"),
    "a short escape": LINE.replace(b"p-1", b"\\u12"),
    "nested 100,000 deep, lists": b"[" * 100_000 + b"]" * 100_000,
    "nested 100,000 deep": b'{"Item":{"x":' + b'{"L":[' * 100_000 + b"]}" * 100_000 + b"}}",
    "nested 100,000 deep, open": b'{"Item":{"x":' + b'{"M":{"a":' * 100_000,
}


@pytest.mark.parametrize("line", INVALID_JSON.values(), ids=INVALID_JSON)
@pytest.mark.parametrize("table", [VIDEO_SESSIONS, SOAP_NOTES, MEETING_AUDIT], ids=lambda table: table.source)
def test_a_line_that_is_not_one_json_object(table, line):
    """What is not one JSON object is refused.

    Rule: "One JSON object a line. A byte order mark, two objects, a bare list or string, `NaN`, an unpaired surrogate, bytes that are not
    UTF-8, nesting deeper than the parser's limit -> `invalid_json`".
    """
    assert refusal_of_line(table, line) == only("invalid_json", None, "read")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b" \t \r\n"], ids=repr)
@pytest.mark.parametrize("begin", [b"", b" ", b"\t\r\n"], ids=repr)
def test_white_space_around_an_item_is_json(begin, end):
    """A CR or other white space of JSON around the object is still "one JSON object a line"."""
    assert to_row(MEETING_AUDIT, begin + LINE + end) == row_of(MEETING_AUDIT, AUDIT)


def test_spelling_of_json_makes_no_difference():
    """White space between tokens, escapes and the order of attributes are JSON's spelling, not the item's values."""
    expected = row_of(SOAP_NOTES, NOTE)
    assert to_row(SOAP_NOTES, json.dumps({"Item": NOTE}, indent=1).encode()) == expected
    assert row_of(SOAP_NOTES, dict(reversed(NOTE.items()))) == expected
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "Item")
    assert to_row(SOAP_NOTES, line_of(NOTE).replace(b'"Item"', f'"{escaped}"'.encode())) == expected
    item = changed(SESSION, joinUrl={"S": "👩🏽‍⚕️ é"})
    assert to_row(VIDEO_SESSIONS, json.dumps({"Item": item}, ensure_ascii=True).encode()).values["join_url"] == "👩🏽‍⚕️ é"


NOT_AN_ITEM = {
    "an empty object": {},
    "another member": {"Keys": AUDIT},
    "another case": {"item": AUDIT},
    "a member beside it": {"Item": AUDIT, "Metadata": {}},
    "a member beside it, null": {"Item": AUDIT, "": None},
    "an incremental record": {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"id": {"S": "x"}}, "NewImage": AUDIT},
    "the attributes themselves": AUDIT,
    "Item a list": {"Item": [AUDIT]},
    "Item a string": {"Item": json.dumps(AUDIT)},
    "Item null": {"Item": None},
    "Item a number": {"Item": 1},
    "Item false": {"Item": False},
}


@pytest.mark.parametrize("document", NOT_AN_ITEM.values(), ids=NOT_AN_ITEM)
def test_an_object_that_is_not_an_item(document):
    """Rule: "One member, `Item`. Another member beside it, or none -> `not_an_item`"; the table of codes: "no `Item` object"."""
    assert refusal_of_line(MEETING_AUDIT, json.dumps(document).encode()) == only("not_an_item", None, "read")


# Attribute values that are not "an object with exactly one of the tags and a value of that tag's JSON type".
MISSHAPEN = {
    "null": None,
    "a string": "text",
    "a number": 5,
    "zero": 0,
    "true": True,
    "a list": [],
    "a list of a value": [{"S": "x"}],
    "no tag": {},
    "two tags": {"S": "x", "N": "1"},
    "a tag beside NULL": {"NULL": True, "S": "x"},
    "an unknown tag": {"X": "x"},
    "an empty tag": {"": "x"},
    "a tag in lower case": {"s": "x"},
    "a tag with white space": {"S ": "x"},
    "S null": {"S": None},
    "S number": {"S": 5},
    "S object": {"S": {}},
    "N number": {"N": 5},
    "N float": {"N": 5.5},
    "N true": {"N": True},
    "N null": {"N": None},
    "B number": {"B": 5},
    "B list": {"B": [1]},
    "BOOL string": {"BOOL": "true"},
    "BOOL number": {"BOOL": 1},
    "BOOL zero": {"BOOL": 0},
    "BOOL null": {"BOOL": None},
    "NULL false": {"NULL": False},
    "NULL string": {"NULL": "true"},
    "NULL one": {"NULL": 1},
    "NULL null": {"NULL": None},
    "M list": {"M": []},
    "M null": {"M": None},
    "M string": {"M": "{}"},
    "L object": {"L": {}},
    "L string": {"L": "[]"},
    "SS string": {"SS": "x"},
    "SS of numbers": {"SS": ["x", 1]},
    "SS of null": {"SS": [None]},
    "SS of values": {"SS": [{"S": "x"}]},
    "NS of numbers": {"NS": [1]},
    "NS of true": {"NS": ["1", True]},
    "NS object": {"NS": {}},
    "BS of numbers": {"BS": [1]},
}
MISSHAPEN_VALUES = pytest.mark.parametrize("value", MISSHAPEN.values(), ids=MISSHAPEN)


@MISSHAPEN_VALUES
@pytest.mark.parametrize(
    "name", ["id", "status", "startTime", "joinUrl", "meetingId", "transcriptionEnabled", "soapNoteId", "unmapped", ""]
)
def test_a_misshapen_attribute_value(name, value):
    """A misshapen value is refused for each kind of column, and where no column takes it.

    Rule: "Every attribute value ... is an object with exactly one of `S N B BOOL NULL M L SS NS BS` and a value of that tag's JSON type;
    else `not_an_item`".
    """
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, **{name: value})) == only("not_an_item", name, "read")


@MISSHAPEN_VALUES
@pytest.mark.parametrize("name", ["eventData", "timestamp", "createdAt", "eventType"])
def test_a_misshapen_attribute_value_of_an_audit_item(name, value):
    """Rule: "Every attribute value ...; else `not_an_item`": JSONB, and each of the two timestamps."""
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, **{name: value})) == only("not_an_item", name, "read")


@MISSHAPEN_VALUES
def test_a_misshapen_nested_value(value):
    """Rule: "Nested ones ... where they are walked for a column": in maps and lists of JSONB, named by path."""
    for outer, path in (
        ({"M": {"a": value}}, ".a"),
        ({"L": [{"S": "x"}, value]}, "[1]"),
        ({"M": {"a": {"L": [{"M": {"b": value}}]}}}, ".a[0].b"),
    ):
        assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventData=outer)) == only("not_an_item", f"eventData{path}", "read")
        assert refusal_of(SOAP_NOTES, note(plan=outer)) == only("not_an_item", f"soapData.plan{path}", "read")


@MISSHAPEN_VALUES
def test_a_misshapen_value_of_soap_data(value):
    """Rule: "Every attribute value ...; else `not_an_item`": `soapData` itself, what columns take of it, and what none takes."""
    assert refusal_of(SOAP_NOTES, changed(NOTE, soapData=value)) == only("not_an_item", "soapData", "read")
    for name in ("chiefComplaint", "subjective", "plan", "billing"):
        assert refusal_of(SOAP_NOTES, note(**{name: value})) == only("not_an_item", f"soapData.{name}", "read")


@MISSHAPEN_VALUES
def test_an_attribute_that_no_column_takes_is_checked_at_its_top_level_only(value):
    """Rule: "An attribute that no column takes is checked at its top level only": what is nested in it is not looked at."""
    nested = {"M": {"a": value, "b": {"L": [value]}}}
    row = row_of(VIDEO_SESSIONS, changed(SESSION, extra=nested))
    assert row.values == row_of(VIDEO_SESSIONS, SESSION).values
    assert row.notices == [("unmapped_attribute", "extra")]
    assert row_of(SOAP_NOTES, note(extra=nested)).notices == [("unmapped_attribute", "soapData.extra")]


def test_a_read_refusal_is_the_only_error():
    """Rule: "An item refused at the read stage has that one error and is not converted further".

    So it is, whatever else is wrong, before or after it.
    """
    wrong = {"id": {"S": "x"}, "status": {"S": "y"}, "startTime": {"N": "z"}, "patientId": ABSENT, "extra": {"S": "x"}}
    for name in ("aaa", "joinUrl", "updatedAt", "zzz"):
        item = changed(SESSION, **wrong, **{name: {"S": 1}})
        assert refusal_of(VIDEO_SESSIONS, item) == only("not_an_item", name, "read")
        assert refusal_of(VIDEO_SESSIONS, dict(reversed(item.items()))) == only("not_an_item", name, "read")
    both = refusal_of(VIDEO_SESSIONS, changed(SESSION, id={"S": 1}, status={"S": 1}))
    assert both in (only("not_an_item", "id", "read"), only("not_an_item", "status", "read"))
    both = refusal_of(MEETING_AUDIT, changed(AUDIT, timestamp={"N": 1}, createdAt={"N": "x"}, id={"S": ""}))
    assert both == only("not_an_item", "timestamp", "read")
    both = refusal_of(SOAP_NOTES, changed(note(plan={"N": 1}), soapNote={"X": 1}, status={"S": ""}))
    assert both in (only("not_an_item", "soapData.plan", "read"), only("not_an_item", "soapNote", "read"))


def test_an_empty_item_is_an_item():
    """An `Item` without attributes is well formed: it is refused for what it misses."""
    assert refusal_of(VIDEO_SESSIONS, {}).stage == "transform"


# -- a member twice ------------------------------------------------------------------------------------------------------------------------


def with_plan(plan):
    """A note's line with this text in the place of an attribute value."""
    return line_of(note(plan={"S": "<plan>"})).decode().replace('{"S":"<plan>"}', plan).encode()


@pytest.mark.parametrize(
    "plan",
    [
        '{"S":"1","S":"2"}',
        '{"S":"1","S":"1"}',
        '{"M":{"a":{"S":"1"},"a":{"S":"1"}}}',
        '{"M":{"a":{"S":"1"},"\\u0061":{"S":"2"}}}',
        '{"M":{"a\\"{":{"S":"1"},"a\\u0022{":{"S":"2"}}}',
        '{"L":[{"M":{"b":{"M":{"a":{"S":"1"},"a":{"S":"2"}}}}}]}',
        '{"S":"1"},"plan":{"S":"2"}',
        '{"S":"1"},"other":{"S":"2"},"other":{"S":"2"}',
        '{"S":"1"},"other":{"S":"2","S":"3"}',
    ],
)
def test_a_member_twice_is_not_an_item(plan):
    """Rule: at any depth that is walked; it is not known which value counts."""
    refusal = refusal_of_line(SOAP_NOTES, with_plan(plan))
    assert (refusal.stage, [code for code, _ in refusal.errors]) == ("read", ["not_an_item"])


def test_item_twice_is_not_an_item():
    line = with_plan('{"S":"1"}').replace(b'{"Item":', b'{"Item":{},"Item":', 1)
    assert refusal_of_line(SOAP_NOTES, line) == only("not_an_item", None, "read")


@pytest.mark.parametrize(
    "plan",
    [
        '{"M":{"a":{"M":{"b":{"S":"1"}}},"b":{"S":"\\"a\\":{"}}}',
        '{"L":[{"M":{"a":{"S":"1"}}},{"M":{"a":{"S":"1"}}}]}',
        # Not walked: an attribute that no column takes is checked at its top level only.
        '{"S":"1"},"other":{"M":{"x":{"M":{"a":{"S":"1"},"a":{"S":"2"}}}}}',
    ],
)
def test_the_same_name_in_several_objects_is_sound(plan):
    """And what only looks like a name, or stands where nobody looks."""
    assert to_row(SOAP_NOTES, with_plan(plan)).values["id"]
