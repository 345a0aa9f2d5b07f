"""Faults inside a jsonb value, at any depth: numbers that are none, U+0000 in strings, sets and keys.

A jsonb attribute yields one error: U+0000 goes before a bad number, then the first in document order counts.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.attribute_values import AttributeValue
from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter
from sample_export.faults_in_numbers import BAD_NUMBERS, bad_number
from sample_export.fields import Field, Kind, fields_of
from sample_export.places import Place, claim_document

_NUL_STRING: AttributeValue = {"S": "before\0after"}

# Plants into the places of one document and says the code and the path of its one error.
_Fault = Callable[[list[Place], Random], "tuple[str, str] | None"]


def document_faults(table: str) -> dict[str, Planter]:
    """The faults inside jsonb columns of `table`, by name."""
    fields = fields_of(table, Kind.JSONB)
    if not fields:
        return {}
    faults: dict[str, _Fault] = {
        "nul_character.string": _nul_in_string,
        "nul_character.key": _nul_in_key,
        "nul_character.set_member": _nul_in_set,
        "nul_character.two_in_a_document": _two_nuls,
        "nul_character.before_bad_number": _nul_and_bad_number,
        "invalid_number.set_member": _bad_number_in_set,
        "invalid_number.two_in_a_document": _two_bad_numbers,
    }
    for name, digits in BAD_NUMBERS.items():
        faults[f"invalid_number.{name}"] = _bad_number(digits)
    return {name: _planter(fields, fault) for name, fault in faults.items()}


def _planter(fields: list[Field], fault: _Fault) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        places = claim_document(draft, random, fields)
        if places is None:
            return False
        error = fault(places, random)
        return error is not None and draft.refuse(*error)

    return plant


def _bad_number(digits: str) -> _Fault:
    def fault(places: list[Place], random: Random) -> tuple[str, str]:
        place = random.choice(places)
        place.put({"N": digits})
        return "invalid_number", place.path

    return fault


def _bad_number_in_set(places: list[Place], random: Random) -> tuple[str, str]:
    place = random.choice(places)
    place.put({"NS": ["1", bad_number(random), "2.5"]})
    return "invalid_number", place.path


def _nul_in_string(places: list[Place], random: Random) -> tuple[str, str]:
    place = random.choice(places)
    place.put(_NUL_STRING)
    return "nul_character", place.path


def _nul_in_set(places: list[Place], random: Random) -> tuple[str, str]:
    place = random.choice(places)
    place.put({"SS": ["whole", "\0"]})
    return "nul_character", place.path


def _nul_in_key(places: list[Place], random: Random) -> tuple[str, str] | None:
    """A key has no path of its own: the map that holds it is named."""
    maps = [place for place in places if "M" in place.value]
    if not maps:
        return None
    place = random.choice(maps)
    place.value["M"]["dose\0"] = {"S": "x"}
    return "nul_character", place.path


def _two_nuls(places: list[Place], random: Random) -> tuple[str, str] | None:
    return _first_of_two(places, random, [_NUL_STRING, _NUL_STRING], "nul_character")


def _two_bad_numbers(places: list[Place], random: Random) -> tuple[str, str] | None:
    values: list[AttributeValue] = [{"N": bad_number(random)}, {"NS": [bad_number(random)]}]
    return _first_of_two(places, random, values, "invalid_number")


def _nul_and_bad_number(places: list[Place], random: Random) -> tuple[str, str] | None:
    """The bad number comes first in the document, and the U+0000 is still the error."""
    both = _two_leaves(places, random)
    if both is None:
        return None
    both[0].put({"N": "abc"})
    both[1].put(_NUL_STRING)
    return "nul_character", both[1].path


def _first_of_two(places: list[Place], random: Random, values: list[AttributeValue], code: str) -> tuple[str, str] | None:
    both = _two_leaves(places, random)
    if both is None:
        return None
    for place, value in zip(both, values, strict=True):
        place.put(value)
    return code, both[0].path


def _two_leaves(places: list[Place], random: Random) -> list[Place] | None:
    """Two places in document order, neither inside the other."""
    leaves = [index for index, place in enumerate(places) if place.is_leaf]
    if len(leaves) < 2:
        return None
    return [places[index] for index in sorted(random.sample(leaves, 2))]
