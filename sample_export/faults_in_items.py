"""JSON objects that are no item: no `Item`, something beside it, or an attribute value that is not exactly one known type."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter, claim_soap_data
from sample_export.fields import FIELDS, Kind, claim_one, fields_of
from sample_export.places import claim_document
from sample_export.settings import NOTES

_MALFORMED: dict[str, Any] = {
    "two_tags": {"S": "x", "N": "1"},
    "no_tag": {},
    "unknown_tag": {"X": "1"},
    "lower_case_tag": {"s": "x"},
    "number_as_json_number": {"N": 5},
    "null_false": {"NULL": False},
    "null_null": {"NULL": None},
    "boolean_as_string": {"BOOL": "true"},
    "string_holds_number": {"S": 5},
    "binary_holds_number": {"B": 5},
    "map_holds_list": {"M": []},
    "list_holds_map": {"L": {}},
    "bare_string": "x",
    "bare_null": None,
    "bare_list": [],
}

# Only where a jsonb column walks over them: elsewhere the rulings leave open how far a set is looked into.
_MALFORMED_SETS: dict[str, Any] = {
    "string_set_holds_number": {"SS": ["x", 1]},
    "number_set_holds_number": {"NS": ["1", 2]},
    "set_holds_string": {"SS": "x"},
}

_LINES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no_member": lambda _: {},
    "other_member_only": lambda item: {"NewImage": item},
    "lower_case_item": lambda item: {"item": item},
    "member_beside_item": lambda item: {"Item": item, "Keys": {"id": {"S": "x"}}},
    "item_a_list": lambda item: {"Item": [item]},
    "item_a_string": lambda _: {"Item": "x"},
    "item_null": lambda _: {"Item": None},
}


def item_faults(table: str) -> dict[str, Planter]:
    """The ways of being no item, by name."""
    found = {f"not_an_item.{name}": _line(change) for name, change in _LINES.items()}
    everywhere = [_in_column(table), _in_unmapped]
    nested: list[_Spot] = []
    if fields_of(table, Kind.JSONB):
        nested = [_nested(table), _nested(table)]
    if table == NOTES:
        everywhere += [_in_soap_data, _in_unmapped_of_soap_data]
    for name, value in _MALFORMED.items():
        found[f"not_an_item.{name}"] = _malformed(value, everywhere + nested)
    if nested:
        for name, value in _MALFORMED_SETS.items():
            found[f"not_an_item.{name}"] = _malformed(value, nested)
    return found


# Puts a value somewhere and says where; None where there is no room for it.
_Spot = Callable[[Draft, Random, Any], "str | None"]


def _malformed(value: Any, spots: list[_Spot]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        if "line" in draft.claimed:
            return False
        path = random.choice(spots)(draft, random, value)
        if path is None:
            return False
        draft.claim("line")
        draft.read_error = ("not_an_item", path)
        return True

    return plant


def _line(change: Callable[[dict[str, Any]], Any]) -> Planter:
    def plant(draft: Draft, _random: Random) -> bool:
        if not draft.claim("line"):
            return False
        draft.line = orjson.dumps(change(draft.attributes))
        draft.read_error = ("not_an_item", None)
        return True

    return plant


def _in_column(table: str) -> _Spot:
    def spot(draft: Draft, random: Random, value: Any) -> str | None:
        field = claim_one(draft, random, FIELDS[table])
        if field is None:
            return None
        field.put(draft, value)
        return field.attribute

    return spot


def _nested(table: str) -> _Spot:
    def spot(draft: Draft, random: Random, value: Any) -> str | None:
        places = claim_document(draft, random, fields_of(table, Kind.JSONB))
        if places is None:
            return None
        place = random.choice(places)
        place.put(value)
        return place.path

    return spot


def _in_unmapped(draft: Draft, _random: Random, value: Any) -> str | None:
    if not draft.claim("unmapped"):
        return None
    draft.attributes["retiredFlag"] = value
    return "retiredFlag"


def _in_soap_data(draft: Draft, _random: Random, value: Any) -> str | None:
    if not claim_soap_data(draft):
        return None
    draft.attributes["soapData"] = value
    return "soapData"


def _in_unmapped_of_soap_data(draft: Draft, _random: Random, value: Any) -> str | None:
    if not draft.claim("soapData.unmapped"):
        return None
    draft.attributes["soapData"]["M"]["billing"] = value
    return "soapData.billing"
