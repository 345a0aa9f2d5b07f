"""The kinds of faults and oddities, as data: bad and unusual values by what a column takes, for all columns of all tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import orjson

from sample_export.drafts import (
    READ_CODES,
    Change,
    Planter,
    all_missing,
    anywhere,
    in_column,
    in_document,
    in_line,
    in_map,
    one_more_member,
    unmapped,
)
from sample_export.tables import REQUIRED, TABLES, TIMES, Kind
from sample_export.values import NULL, TROUBLESOME, AttributeValue, long_text, number, number_set, pair, random_time, tagged

# 2000-01-01 and 2100-01-01 in milliseconds: themselves in range.
_LOWER_BOUND = 946_684_800_000
_UPPER_BOUND = 4_102_444_800_000

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

# No JSON numbers, or beyond DynamoDB's range.
_BAD_NUMBERS = {
    "plus_sign": "+1", "leading_zero": "01", "no_integer_part": ".5", "no_fraction": "1.", "no_exponent": "1E", "letters": "abc",
    "space_before": " 1", "newline_after": "1\n", "too_large": "1E126", "too_small": "1E-131", "nan": "NaN", "infinity": "-Infinity",
    "empty": "", "full_width_digits": "１２", "underscore": "1_000", "hexadecimal": "0x10", "nul": "1\0",
}  # fmt: skip

_STRINGS = (Kind.UUID, Kind.TEXT, Kind.MEETING_ID, Kind.STATUS, Kind.EVENT_TYPE)


def _with_nul(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return f"{text[:at]}\0{text[at:]}"


_FAULTS_IN_COLUMNS: dict[tuple[Kind, ...], dict[str, Change]] = {
    _STRINGS: {
        "wrong_type.number_for_string": {"N": "42"}, "wrong_type.boolean_for_string": {"BOOL": True},
        "wrong_type.map_for_string": {"M": {"S": {"S": "x"}}}, "wrong_type.list_for_string": {"L": [{"S": "x"}]},
        "wrong_type.set_for_string": {"SS": ["ACTIVE"]}, "wrong_type.binary_for_string": {"B": "aGVsbG8="},
    },
    (Kind.UUID,): {
        "invalid_uuid.space_before": " {}", "invalid_uuid.space_after": "{} ", "invalid_uuid.newline_after": "{}\n",
        "invalid_uuid.too_long": "{}0", "invalid_uuid.braces": "{{}}", "invalid_uuid.urn": "urn:uuid:{}",
        "invalid_uuid.plain_name": "provider-17",
        "invalid_uuid.too_short": lambda uuid, _: uuid[:-1],
        "invalid_uuid.nul": lambda uuid, _: f"{uuid[:-1]}\0",
        "invalid_uuid.letter_beyond_f": lambda uuid, _: f"g{uuid[1:]}",
        "invalid_uuid.no_hyphens": lambda uuid, _: uuid.replace("-", ""),
        "invalid_uuid.spaces_for_hyphens": lambda uuid, _: uuid.replace("-", " "),
        "invalid_uuid.hyphens_elsewhere": lambda uuid, _: f"{uuid[:4]}-{uuid[4:8]}{uuid[9:13]}-{uuid[14:23]}-{uuid[24:]}",
        "invalid_uuid.full_width_digits": lambda uuid, _: f"1{uuid[1:]}".translate(_FULL_WIDTH),
    },
    (Kind.STATUS,): {
        "invalid_enum.unknown": "CANCELLED", "invalid_enum.empty": "", "invalid_enum.space_after": "{} ", "invalid_enum.nul": "{}\0",
        "invalid_enum.lower_case": lambda status, _: status.lower(),
    },
    (Kind.EVENT_TYPE,): {"invalid_enum.empty_event_type": ""},
    (Kind.BOOLEAN,): {"wrong_type.string_for_boolean": {"S": "true"}, "wrong_type.number_for_boolean": {"N": "1"}},
    TIMES: {
        "wrong_type.iso_string_for_timestamp": {"S": "2024-05-14T11:14:20.608Z"},
        "wrong_type.digits_string_for_timestamp": {"S": "1715685260608"},
        "wrong_type.boolean_for_timestamp": {"BOOL": False},
        "wrong_type.number_set_for_timestamp": {"NS": ["1715685260608"]},
        "invalid_number.timestamp": list(_BAD_NUMBERS.values()),
        "invalid_number.timestamp_at_first_sight": [
            "+1700000000000", "01700000000000", " 1700000000000", "1700000000000 ", "1,700,000,000,000", "1700000000000.",
            "1_700_000_000_000", "１７００００００００００００",
        ],
        "timestamp_out_of_range.seconds": lambda _, random: str(random_time(random) // 1000),
        "timestamp_out_of_range.microseconds": lambda _, random: str(random_time(random) * 1000),
        "timestamp_out_of_range.negative": lambda _, random: str(-random_time(random)),
        "timestamp_out_of_range.zero": "0",
        "timestamp_out_of_range.just_below": str(_LOWER_BOUND - 1),
        "timestamp_out_of_range.just_above": str(_UPPER_BOUND + 1),
        "timestamp_out_of_range.a_microsecond_above": f"{_UPPER_BOUND}.001",
        "timestamp_out_of_range.huge": "9.9E125",
        "invalid_timestamp.four_decimals": "1700000000000.0001",
        "invalid_timestamp.exponent": "1.7000000000001234E12",
        "invalid_timestamp.many_decimals": "1700000000000.123000000000000000001",
    },
}  # fmt: skip


def _bad_number(random: Random) -> str:
    return random.choice(list(_BAD_NUMBERS.values()))


def _number(digits: str, _: Random) -> list[AttributeValue]:
    return [{"N": digits}]


_NUL: AttributeValue = {"S": "before\0after"}

# Values in document order. U+0000 goes before a bad number, then the first counts.
_FAULTS_IN_DOCUMENTS: dict[str, Callable[[Random], list[AttributeValue]]] = {
    "nul_character.string": lambda _: [_NUL],
    # A key has no path of its own: the map that holds it is named.
    "nul_character.key": lambda _: [{"M": {"whole": {"S": "x"}, "dose\0": {"S": "x"}}}],
    "nul_character.set_member": lambda _: [{"SS": ["whole", "\0"]}],
    "nul_character.two_in_a_document": lambda _: [_NUL, _NUL],
    "nul_character.before_bad_number": lambda _: [{"N": "abc"}, _NUL],
    "invalid_number.set_member": lambda random: [{"NS": ["1", _bad_number(random), "2.5"]}],
    "invalid_number.two_in_a_document": lambda random: [{"N": _bad_number(random)}, {"NS": [_bad_number(random)]}],
}

# Attribute values that are not exactly one known tag with a value of its type.
_MALFORMED: dict[str, Any] = {
    "two_tags": {"S": "x", "N": "1"}, "no_tag": {}, "unknown_tag": {"X": "1"}, "lower_case_tag": {"s": "x"},
    "number_as_json_number": {"N": 5}, "null_false": {"NULL": False}, "null_null": {"NULL": None}, "boolean_as_string": {"BOOL": "true"},
    "string_holds_number": {"S": 5}, "binary_holds_number": {"B": 5}, "map_holds_list": {"M": []}, "list_holds_map": {"L": {}},
    "bare_string": "x", "bare_null": None, "bare_list": [],
}  # fmt: skip

# Only where a jsonb column walks over them: elsewhere the rules leave open how far a set is looked into.
_MALFORMED_SETS: dict[str, Any] = {
    "string_set_holds_number": {"SS": ["x", 1]}, "number_set_holds_number": {"NS": ["1", 2]}, "set_holds_string": {"SS": "x"},
}  # fmt: skip


def _into_a_string(inserted: bytes) -> Callable[[bytes, float], bytes]:
    def change(line: bytes, chance: float) -> bytes:
        parts = line.split(b'"S":"')
        at = 1 + int(chance * (len(parts) - 1)) if len(parts) > 1 else 0
        parts[at] = inserted + parts[at]
        return b'"S":"'.join(parts)

    return change


def _one_more_attribute(member: bytes) -> Callable[[bytes, float], bytes]:
    return lambda line, _: b"%b,%b}}" % (line[:-2], member)


# Far beyond DynamoDB's own 32 levels and any parser's limit.
_LEVELS = 2_000

# Bytes that may not stand in a string.
_NO_TEXTS = {
    "unpaired_high_surrogate": b"\\ud800", "unpaired_low_surrogate": b"\\udc00x", "reversed_surrogates": b"\\ude00\\ud83d",
    "latin_1": b"caf\xe9 ", "overlong_utf_8": b"\xc0\x80", "surrogate_in_utf_8": b"\xed\xa0\x80", "raw_tab": b"\t", "raw_nul": b"\x00",
    "unknown_escape": b"\\x41",
}  # fmt: skip

_LINES: dict[str, Callable[[bytes, float], bytes]] = {
    "invalid_json.byte_order_mark": lambda line, _: b"\xef\xbb\xbf" + line,
    "invalid_json.two_objects": lambda line, _: line + line,
    "invalid_json.two_objects_apart": lambda line, _: line + b" {}",
    "invalid_json.text_after": lambda line, _: line + b" x",
    "invalid_json.bare_list": lambda line, _: b"[%b]" % line,
    "invalid_json.bare_string": lambda *_: b'"Item"',
    "invalid_json.bare_number": lambda *_: b"17",
    "invalid_json.bare_null": lambda *_: b"null",
    "invalid_json.nan": _one_more_attribute(b'"score":{"N":NaN}'),
    "invalid_json.infinity": _one_more_attribute(b'"score":{"N":-Infinity}'),
    **{f"invalid_json.{name}": _into_a_string(text) for name, text in _NO_TEXTS.items()},
    "invalid_json.cut_line": lambda line, chance: line[: 1 + int(chance * (len(line) - 1))],
    "invalid_json.trailing_comma": lambda line, _: line[:-1] + b",}",
    "invalid_json.single_quotes": lambda line, _: line.replace(b'"', b"'"),
    "invalid_json.nested_too_deep": _one_more_attribute(b'"deep":' + b'{"L":[' * _LEVELS + b"]}" * _LEVELS),
    "invalid_json.blank_line": lambda *_: b"",
    # JSON objects that are no item: no `Item`, or something beside it.
    "not_an_item.no_member": lambda *_: b"{}",
    "not_an_item.other_member_only": lambda line, _: line.replace(b'"Item"', b'"NewImage"', 1),
    "not_an_item.lower_case_item": lambda line, _: line.replace(b'"Item"', b'"item"', 1),
    "not_an_item.member_beside_item": lambda line, _: b'%b,"Keys":{"id":{"S":"x"}}}' % line[:-1],
    "not_an_item.item_a_list": lambda line, _: b'{"Item":[%b]}' % line[8:-1],
    "not_an_item.item_a_string": lambda *_: b'{"Item":"x"}',
    "not_an_item.item_null": lambda *_: b'{"Item":null}',
    # The same item in another legal spelling. orjson never escapes what it need not; other writers do.
    "line.escaped": lambda line, _: json.dumps(orjson.loads(line), separators=(",", ":")).encode(),
    "line.escaped_names": lambda line, _: line.replace(b'{"Item":', b'{"\\u0049tem":').replace(b'{"S":', b'{"\\u0053":'),
    "line.escaped_slashes": lambda line, _: line.replace(b"/", b"\\/"),
    "line.spaced": lambda line, _: json.dumps(orjson.loads(line), separators=(" , ", " : "), ensure_ascii=False).encode(),
    "line.spaces_around": lambda line, _: b" \t%b  \t" % line,
    "line.carriage_return": lambda line, _: line + b"\r",
}


def fault_kinds(source: str) -> dict[str, Planter]:
    """All kinds of faults that one item of a table can have by itself."""
    found = transform_faults(source)
    found |= {name: in_line(name, change) for name, change in _LINES.items() if name.partition(".")[0] in READ_CODES}
    found |= {f"not_an_item.{name}": anywhere("not_an_item", value) for name, value in _MALFORMED.items()}
    if TABLES[source].documents:
        sets = _MALFORMED_SETS.items()
        found |= {f"not_an_item.{name}": anywhere("not_an_item", value, only_in_documents=True) for name, value in sets}
    return found


def transform_faults(source: str) -> dict[str, Planter]:
    """The kinds of faults that the transform stage finds."""
    table = TABLES[source]
    required = [field for field in table.fields_of(*_STRINGS) if field.missing is REQUIRED]
    found = {
        "invalid_uuid.empty": in_column("invalid_uuid", [field for field in required if field.kind is Kind.UUID], ""),
        **{f"missing_required.{field.attribute}_absent": in_column("missing_required", [field], None) for field in required},
        **{f"missing_required.{field.attribute}_null": in_column("missing_required", [field], NULL) for field in required},
    }
    for field in table.fields_of(Kind.TEXT, Kind.MEETING_ID, Kind.EVENT_TYPE):
        found[f"nul_character.{field.attribute}"] = in_column("nul_character", [field], _with_nul)
    for kinds, changes in _FAULTS_IN_COLUMNS.items():
        if fields := table.fields_of(*kinds):
            found |= {name: in_column(name, fields, change) for name, change in changes.items()}
    if times := table.fields_of(Kind.LATER_OF):
        found["missing_required.both_times"] = all_missing("missing_required", times)
    for name in table.maps:
        found["wrong_type.soap_data_a_list"] = in_map("wrong_type", name, {"L": [{"M": {}}]})
        found["wrong_type.soap_data_a_string"] = in_map("wrong_type", name, {"S": '{"subjective": {}}'})
    if table.documents:
        for name, values in _FAULTS_IN_DOCUMENTS.items():
            found[name] = in_document(name, values, error=int(name == "nul_character.before_bad_number"))
        for name, digits in _BAD_NUMBERS.items():
            found[f"invalid_number.{name}"] = in_document("invalid_number", partial(_number, digits))
    return found


# -- oddities: their items stay rows, some with a notice -----------------------------------------------------------------------------------

_UNKNOWN_EVENTS = ["RECORDING_STARTED", "CALL_JOINED_", "HEARTBEAT", "CHAT MESSAGE", "X"]


def _unknown_in_lower_case(_: str, random: Random) -> tuple[AttributeValue, str]:
    """The upper-case form is stored and not known either."""
    event = random.choice(_UNKNOWN_EVENTS)
    return {"S": event.lower()}, event


# Numbers, in documents, that must keep every digit.
_NUMBERS = {
    "38_digits": "12345678901234567890123456789012345678", "38_decimals": "-0.12345678901234567890123456789012345678",
    "60_digits": "1234567890" * 6, "smallest": "1E-130", "largest": "9.9E125", "trailing_zero": "1.50", "minus_zero": "-0",
    "zero_with_decimals": "0.000", "beyond_double": "9007199254740993", "lower_case_exponent": "-1.25e+3",
}  # fmt: skip


def _exponent(milliseconds: int) -> str:
    digits = str(milliseconds)
    return f"{digits[0]}.{digits[1:].rstrip('0') or '0'}E{len(digits) - 1}"


def _spelled(spell: Callable[[int], str], added: int = 0) -> Change:
    """Some time in a spelling of its milliseconds, which adds so many microseconds."""

    def change(_: Any, random: Random) -> tuple[AttributeValue, int]:
        milliseconds = random_time(random)
        return {"N": spell(milliseconds)}, milliseconds * 1000 + added

    return change


_ODD_IN_COLUMNS: dict[tuple[Kind, ...], dict[str, Change]] = {
    (Kind.UUID,): {
        "uuid.upper_case": lambda uuid, _: ({"S": uuid.upper()}, uuid),
        "uuid.mixed_case": lambda uuid, _: ({"S": f"{uuid[:18].upper()}{uuid[18:]}"}, uuid),
    },
    (Kind.TEXT,): {
        "text.empty": "", "text.troublesome": TROUBLESOME, "text.backslash_u0000": "C:\\u0000\\u0000", "text.missing": [None, NULL],
    },
    (Kind.MEETING_ID,): {
        "malformed_meeting_id": ["meeting-4711", "  ", "00000000-0000-0000-0000-00000000000g", "{5b0c1c2e}", "会議１２３", "2024/03/01 #5"],
        "malformed_meeting_id.empty": "",
    },
    (Kind.EVENT_TYPE,): {
        "event_type.lower_case": lambda event, _: ({"S": event.lower()}, event),
        "event_type.mixed_case": lambda event, _: ({"S": event.title()}, event),
        "unknown_event_type": _UNKNOWN_EVENTS,
        "unknown_event_type.lower_case": _unknown_in_lower_case,
    },
    TIMES: {
        "timestamp.absent": None,
        "timestamp.null": NULL,
        "timestamp.round_exponent": ({"N": "1.7E12"}, 1_700_000_000_000_000),
        "timestamp.lower_bound": ({"N": str(_LOWER_BOUND)}, _LOWER_BOUND * 1000),
        "timestamp.upper_bound": ({"N": str(_UPPER_BOUND)}, _UPPER_BOUND * 1000),
        "timestamp.microsecond_inside_bound": ({"N": f"{_UPPER_BOUND - 1}.999"}, _UPPER_BOUND * 1000 - 1),
        "timestamp.exponent": _spelled(_exponent),
        "timestamp.lower_case_exponent": _spelled(lambda ms: _exponent(ms).lower()),
        "timestamp.plus_in_exponent": _spelled(lambda ms: _exponent(ms).replace("E", "E+")),
        "timestamp.negative_exponent": _spelled("{}000E-3".format), "timestamp.point_zero": _spelled("{}.0".format),
        "timestamp.half": _spelled("{}.5".format, 500), "timestamp.eighth": _spelled("{}.125".format, 125),
        "timestamp.one_microsecond": _spelled("{}.001".format, 1), "timestamp.trailing_zeros": _spelled("{}.2500000000".format, 250),
        "timestamp.fraction_and_exponent": _spelled(lambda ms: f"{str(ms)[:10]}.{str(ms)[10:]}007E3", 7),
    },
    (Kind.JSONB,): {
        "document.absent": None, "document.null": NULL, "document.a_boolean": ({"BOOL": False}, False),
        "document.a_empty_string": pair(""), "document.a_empty_map": pair({}), "document.a_empty_list": pair([]),
        "document.a_text_set": tagged("SS", ["b", "a"]), "document.a_number_set": number_set("10", "9.50"),
        "document.a_binary": tagged("B", "AAEC"), "document.a_string": pair("As before.\r\nNo change."),
        "document.a_list": pair(["first", {"second": number("2.0")}, []]),
        "document.a_number": [number(digits) for digits in _NUMBERS.values()],
    },
}  # fmt: skip


def _nested(levels: int, innermost: Any, *, maps: bool) -> Any:
    for level in range(levels, 0, -1):
        innermost = {f"level{level}": innermost} if maps else [innermost]
    return innermost


# One more member of a document's own map.
_MEMBERS: dict[str, Any] = {
    # DynamoDB counts the attribute itself, and for notes `soapData` too.
    "nested_maps_32_deep": _nested(30, number("1.50"), maps=True),
    "nested_lists_32_deep": _nested(30, "bottom", maps=False),
    "empty_map": {},
    "empty_list": [],
    "list_of_everything": [None, True, False, number("-0"), "", {}, []],
    "keys_like_types": {"S": "x", "N": 1, "M": {"NULL": None, "BOOL": False}, "L": [], "Item": True},
    "keys_like_paths": {"a.b": 1, "a[0]": 2, 'quote"d': 3, "tab\t\n": 4, " ": None},
    "keys_of_all_scripts": {"名前": "山", "اسم": None, "🩺": True, "é": 1, "e\u0301": 2},
    "keys_differ_in_case": {"Name": 1, "name": 2, "NAME": 3},
    "key_backslash_u0000": {"\\u0000": "\\u0000"},
    "troublesome_texts": TROUBLESOME,
    "sets": [tagged("SS", ["", "b", "a", "é"]), number_set("3", "1E-130", "2.50", "-0.1"), tagged("BS", ["AA==", "aGk="])],
    "binary": [tagged("B", "aGVsbG8="), tagged("B", ""), tagged("B", "QUJD" * 500)],
    "long_text": long_text(Random(0), 20_000),
    "wide_map": {f"k{key:03d}": key for key in range(500)},
}

# What stands in an attribute that no column takes. It is checked at its top level only, so what is malformed below does not matter.
_UNMAPPED: dict[str, AttributeValue] = {
    "text": {"S": "v2"}, "number": {"N": "7"}, "boolean": {"BOOL": False}, "map": {"M": {"deep": {"L": [{"NULL": True}]}}},
    "empty_list": {"L": []}, "text_set": {"SS": ["a", "b"]}, "binary": {"B": "AAEC"}, "nul_inside": {"S": "a\0b"},
    "nul_in_nested_key": {"M": {"k\0": {"S": "x"}}}, "malformed_below": {"M": {"a": {"N": 5}, "b": "bare", "c": {"X": []}}}, "null": NULL,
}  # fmt: skip

# The last two differ from a known attribute in case alone.
_NAMES = ("ttl", "legacyFlag", "_version", "données", "🏷️", "two words", "STATUS", "Id")


def odd_kinds(source: str) -> dict[str, Planter]:
    """All kinds of oddities that items of a table can have."""
    table = TABLES[source]
    found: dict[str, Planter] = {}
    for kinds, changes in _ODD_IN_COLUMNS.items():
        if fields := table.fields_of(*kinds):
            found |= {name: in_column(name, fields, change) for name, change in changes.items()}
    if optional := [field for field in table.fields_of(Kind.UUID) if field.missing is None]:
        found["empty_uuid_as_null"] = in_column("empty_uuid_as_null", optional, ({"S": ""}, None))
    if times := table.fields_of(Kind.TIMESTAMP):
        found["timestamp.all_missing"] = all_missing("timestamp", times)
    if table.documents:
        found |= {f"number.{name}": one_more_member(number(digits)) for name, digits in _NUMBERS.items()}
        found |= {f"document.{name}": one_more_member(pair(value)) for name, value in _MEMBERS.items()}
    for name in table.maps:
        found["soap_data.absent"] = in_map("soap_data", name, None)
        found["soap_data.null"] = in_map("soap_data", name, NULL)
        found["soap_data.empty"] = in_map("soap_data", name, {"M": {}})
        names = [f"{name}.{member}" for member in ("billing", "Plan", "follow_up", "備考")]
        for value in ("text", "map", "nul_inside", "malformed_below", "null"):
            found[f"unmapped_attribute.soap_data_{value}"] = unmapped("unmapped_attribute", names, _UNMAPPED[value])
    found |= {f"unmapped_attribute.{name}": unmapped("unmapped_attribute", _NAMES, value) for name, value in _UNMAPPED.items()}
    found["unmapped_attribute.several"] = unmapped("unmapped_attribute", _NAMES, *_UNMAPPED.values())
    return found | {name: in_line(name, change) for name, change in _LINES.items() if name.startswith("line.")}
