"""Legal but unusual jsonb values: exact numbers, deep nesting, keys that look like types, components of any shape, no soapData."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.attribute_values import (
    FALSE,
    NULL,
    TRUE,
    Pair,
    binary,
    binary_set,
    mapping,
    nested_mapping,
    number,
    number_set,
    sequence,
    text,
    text_set,
    whole,
)
from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter, claim_soap_data
from sample_export.fields import Field, Kind, claim_one, fields_of
from sample_export.notes import COMPONENTS
from sample_export.settings import NOTES
from sample_export.texts import TROUBLESOME, long_text

_NUMBERS: dict[str, str] = {
    "38_digits": "12345678901234567890123456789012345678",
    "38_decimals": "-0.12345678901234567890123456789012345678",
    "60_digits": "1234567890" * 6,
    "smallest": "1E-130",
    "largest": "9.9E125",
    "trailing_zero": "1.50",
    "minus_zero": "-0",
    "zero_with_decimals": "0.000",
    "beyond_double": "9007199254740993",
    "lower_case_exponent": "-1.25e+3",
}


def _nested_lists(levels: int) -> Pair:
    pair = text("bottom")
    for _ in range(levels):
        pair = sequence([pair])
    return pair


# New members of a map, each under the name it is listed by.
_MEMBERS: dict[str, Callable[[Random], Pair]] = {
    # DynamoDB counts the attribute itself, and for notes `soapData` too.
    "nested_maps_32_deep": lambda _: nested_mapping(30, number("1.50")),
    "nested_lists_32_deep": lambda _: _nested_lists(30),
    "empty_map": lambda _: mapping({}),
    "empty_list": lambda _: sequence([]),
    "list_of_everything": lambda _: sequence([NULL, TRUE, FALSE, number("-0"), text(""), mapping({}), sequence([])]),
    "keys_like_types": lambda _: mapping(
        {"S": text("x"), "N": number("1"), "M": mapping({"NULL": NULL, "BOOL": FALSE}), "L": sequence([]), "Item": TRUE}
    ),
    "keys_like_paths": lambda _: mapping({"a.b": whole(1), "a[0]": whole(2), 'quote"d': whole(3), "tab\t\n": whole(4), " ": NULL}),
    "keys_of_all_scripts": lambda _: mapping({"名前": text("山"), "اسم": NULL, "🩺": TRUE, "é": whole(1), "e\u0301": whole(2)}),
    "keys_differ_in_case": lambda _: mapping({"Name": whole(1), "name": whole(2), "NAME": whole(3)}),
    "key_backslash_u0000": lambda _: mapping({"\\u0000": text("\\u0000")}),
    "troublesome_texts": lambda _: sequence(text(value) for value in TROUBLESOME),
    "sets": lambda _: mapping(
        {"ss": text_set(["", "b", "a", "é"]), "ns": number_set(["3", "1E-130", "2.50", "-0.1"]), "bs": binary_set(["AA==", "aGk="])}
    ),
    "binary": lambda random: mapping({"blob": binary("aGVsbG8="), "none": binary(""), "long": binary("QUJD" * random.randrange(999))}),
    "long_text": lambda random: text(long_text(random, 20_000)),
    "wide_map": lambda _: mapping({f"k{number_:03d}": whole(number_) for number_ in range(500)}),
}

_SHAPES: dict[str, Callable[[Random], Pair]] = {
    "list": lambda _: sequence([text("first"), mapping({"second": number("2.0")}), sequence([])]),
    "string": lambda _: text("As before.\r\nNo change."),
    "empty_string": lambda _: text(""),
    "number": lambda random: number(random.choice(list(_NUMBERS.values()))),
    "boolean": lambda _: FALSE,
    "text_set": lambda _: text_set(["b", "a"]),
    "number_set": lambda _: number_set(["10", "9.50"]),
    "binary": lambda _: binary("AAEC"),
    "empty_map": lambda _: mapping({}),
    "empty_list": lambda _: sequence([]),
}


def odd_documents(table: str) -> dict[str, Planter]:
    """Unusual jsonb values for `table`, by name."""
    fields = fields_of(table, Kind.JSONB)
    if not fields:
        return {}
    found = {f"number.{name}": _member(fields, _number_value(digits)) for name, digits in _NUMBERS.items()}
    found |= {f"document.{name}": _member(fields, value) for name, value in _MEMBERS.items()}
    found |= {f"document.a_{name}": _shape(fields, value) for name, value in _SHAPES.items()}
    found["document.absent"] = _missing(table, fields, null=False)
    found["document.null"] = _missing(table, fields, null=True)
    if table == NOTES:
        found["soap_data.absent"] = _no_soap_data(None)
        found["soap_data.null"] = _no_soap_data({"NULL": True})
        found["soap_data.empty"] = _no_soap_data({"M": {}})
    return found


def _number_value(digits: str) -> Callable[[Random], Pair]:
    return lambda _: number(digits)


def _member(fields: list[Field], value: Callable[[Random], Pair]) -> Planter:
    """One more member in the document's own map."""

    def plant(draft: Draft, random: Random) -> bool:
        # What another planter has claimed may have no shape at all any more.
        free = [field for field in fields if field.attribute not in draft.claimed]
        maps = [field for field in free if "M" in field.holder(draft).get(field.name, {})]
        field = claim_one(draft, random, maps)
        if field is None:
            return False
        typed, plain = value(random)
        field.holder(draft)[field.name]["M"]["unusual"] = typed
        draft.documents[field.column]["unusual"] = plain
        return True

    return plant


def _shape(fields: list[Field], value: Callable[[Random], Pair]) -> Planter:
    """The whole document another one."""

    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        typed, draft.documents[field.column] = value(random)
        field.put(draft, typed)
        return True

    return plant


def _missing(table: str, fields: list[Field], *, null: bool) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        field.remove(draft)
        if null:
            field.put(draft, {"NULL": True})
        draft.documents.pop(field.column, None)
        if table == NOTES:
            draft.documents[field.column] = {}
        return True

    return plant


def _no_soap_data(value: dict[str, object] | None) -> Planter:
    def plant(draft: Draft, _random: Random) -> bool:
        if not claim_soap_data(draft):
            return False
        del draft.attributes["soapData"]
        if value is not None:
            draft.attributes["soapData"] = value
        draft.documents = {name: {} for name in COMPONENTS}
        draft.row["chief_complaint"] = None
        return True

    return plant
