"""Attributes that no column takes: loaded without them, with a notice each, whatever stands below their own top level."""

from __future__ import annotations

from random import Random

from sample_export.attribute_values import AttributeValue
from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter
from sample_export.settings import NOTES

_VALUES: dict[str, AttributeValue] = {
    "text": {"S": "v2"},
    "number": {"N": "7"},
    "boolean": {"BOOL": False},
    "map": {"M": {"deep": {"L": [{"NULL": True}]}}},
    "empty_list": {"L": []},
    "text_set": {"SS": ["a", "b"]},
    "binary": {"B": "AAEC"},
    "nul_inside": {"S": "a\0b"},
    "nul_in_nested_key": {"M": {"k\0": {"S": "x"}}},
    # Checked at its top level only, so what is malformed below does not matter.
    "malformed_below": {"M": {"a": {"N": 5}, "b": "bare", "c": {"X": []}}},
}

# The last two differ from a known attribute in case alone.
_NAMES = ("ttl", "legacyFlag", "_version", "données", "🏷️", "two words", "STATUS", "Id")


def odd_unmapped(table: str) -> dict[str, Planter]:
    """Attributes without a column for `table`, by name."""
    found: dict[str, Planter] = {f"unmapped_attribute.{name}": _top_level(value) for name, value in _VALUES.items()}
    found["unmapped_attribute.null"] = _null
    found["unmapped_attribute.several"] = _several
    if table == NOTES:
        for name in ("text", "map", "nul_inside", "malformed_below"):
            found[f"unmapped_attribute.soap_data_{name}"] = _in_soap_data(_VALUES[name])
        found["unmapped_attribute.soap_data_null"] = _null_in_soap_data
    return found


def _top_level(value: AttributeValue) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        if not draft.claim("unmapped"):
            return False
        name = random.choice(_NAMES)
        draft.attributes[name] = value
        draft.notices.append(("unmapped_attribute", name))
        return True

    return plant


def _null(draft: Draft, random: Random) -> bool:
    """NULL is missing, and what is missing is no attribute: no notice."""
    if not draft.claim("unmapped"):
        return False
    draft.attributes[random.choice(_NAMES)] = {"NULL": True}
    return True


def _several(draft: Draft, random: Random) -> bool:
    if not draft.claim("unmapped"):
        return False
    for name in random.sample(_NAMES, 3):
        draft.attributes[name] = random.choice(list(_VALUES.values()))
        draft.notices.append(("unmapped_attribute", name))
    return True


def _in_soap_data(value: AttributeValue) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        if not draft.claim("soapData.unmapped"):
            return False
        name = random.choice(("billing", "Plan", "follow_up", "備考"))
        draft.attributes["soapData"]["M"][name] = value
        draft.notices.append(("unmapped_attribute", f"soapData.{name}"))
        return True

    return plant


def _null_in_soap_data(draft: Draft, _random: Random) -> bool:
    if not draft.claim("soapData.unmapped"):
        return False
    draft.attributes["soapData"]["M"]["billing"] = {"NULL": True}
    return True
