"""Faults of plain columns: missing, of another type, no UUID, no listed status, U+0000 in a text."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.attribute_values import AttributeValue
from sample_export.draft import Draft
from sample_export.fields import Field, Kind, claim_one, fields_of
from sample_export.settings import AUDIT, NOTES

# Changes a draft and its truth; False, and nothing changed, where there is no attribute left for it.
Planter = Callable[[Draft, Random], bool]

_STRINGS = (Kind.UUID, Kind.TEXT, Kind.ENUM, Kind.EVENT_TYPE)
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

# From a sound UUID to something that only resembles one.
_UUID_FAULTS: dict[str, Callable[[str], str]] = {
    "space_before": lambda uuid: f" {uuid}",
    "space_after": lambda uuid: f"{uuid} ",
    "newline_after": lambda uuid: f"{uuid}\n",
    "too_short": lambda uuid: uuid[:-1],
    "too_long": lambda uuid: f"{uuid}0",
    "braces": lambda uuid: f"{{{uuid}}}",
    "urn": lambda uuid: f"urn:uuid:{uuid}",
    "no_hyphens": lambda uuid: uuid.replace("-", ""),
    "hyphens_elsewhere": lambda uuid: "-".join((uuid[:4], uuid[4:8] + uuid[9:13], uuid[14:18], uuid[19:23], uuid[24:36])),
    "spaces_for_hyphens": lambda uuid: uuid.replace("-", " "),
    "full_width_digits": lambda uuid: f"1{uuid[1:]}".translate(_FULL_WIDTH),
    "letter_beyond_f": lambda uuid: f"g{uuid[1:]}",
    "nul": lambda uuid: f"{uuid[:-1]}\0",
    "plain_name": lambda _: "provider-17",
}

_STATUS_FAULTS: dict[str, Callable[[str], str]] = {
    "lower_case": str.lower,
    "unknown": lambda _: "CANCELLED",
    "empty": lambda _: "",
    "space_after": lambda status: f"{status} ",
    "nul": lambda status: f"{status}\0",
}

_WRONG_TYPES: dict[str, tuple[tuple[Kind, ...], AttributeValue]] = {
    "number_for_string": (_STRINGS, {"N": "42"}),
    "boolean_for_string": (_STRINGS, {"BOOL": True}),
    "map_for_string": (_STRINGS, {"M": {"S": {"S": "x"}}}),
    "list_for_string": (_STRINGS, {"L": [{"S": "x"}]}),
    "set_for_string": (_STRINGS, {"SS": ["ACTIVE"]}),
    "binary_for_string": (_STRINGS, {"B": "aGVsbG8="}),
    "string_for_boolean": ((Kind.BOOLEAN,), {"S": "true"}),
    "number_for_boolean": ((Kind.BOOLEAN,), {"N": "1"}),
    "iso_string_for_timestamp": ((Kind.TIMESTAMP,), {"S": "2024-05-14T11:14:20.608Z"}),
    "digits_string_for_timestamp": ((Kind.TIMESTAMP,), {"S": "1715685260608"}),
    "boolean_for_timestamp": ((Kind.TIMESTAMP,), {"BOOL": False}),
    "number_set_for_timestamp": ((Kind.TIMESTAMP,), {"NS": ["1715685260608"]}),
}


def column_faults(table: str) -> dict[str, Planter]:
    """The faults of plain columns that `table` can have, by name."""
    uuids = fields_of(table, Kind.UUID)
    required = [field for field in fields_of(table, *_STRINGS) if field.required]
    found: dict[str, Planter] = {
        "invalid_uuid.empty": _planted("invalid_uuid", [field for field in uuids if field.required], _string(lambda _: "")),
    }
    for field in required:
        found[f"missing_required.{field.attribute}_absent"] = _missing(field, None)
        found[f"missing_required.{field.attribute}_null"] = _missing(field, {"NULL": True})
    for field in fields_of(table, Kind.TEXT, Kind.EVENT_TYPE):
        found[f"nul_character.{field.attribute}"] = _planted("nul_character", [field], _with_nul)
    for name, (kinds, value) in _WRONG_TYPES.items():
        fields = fields_of(table, *kinds)
        if fields:
            found[f"wrong_type.{name}"] = _planted("wrong_type", fields, _always(value))
    for name, change in _UUID_FAULTS.items():
        found[f"invalid_uuid.{name}"] = _planted("invalid_uuid", uuids, _string(change))
    for name, change in _STATUS_FAULTS.items():
        statuses = fields_of(table, Kind.ENUM)
        if statuses:
            found[f"invalid_enum.{name}"] = _planted("invalid_enum", statuses, _string(change))
    if table == AUDIT:
        found["invalid_enum.empty_event_type"] = _planted("invalid_enum", fields_of(table, Kind.EVENT_TYPE), _string(lambda _: ""))
        found["missing_required.both_times"] = _both_times_missing
    if table == NOTES:
        found["wrong_type.soap_data_a_list"] = _soap_data({"L": [{"M": {}}]})
        found["wrong_type.soap_data_a_string"] = _soap_data({"S": '{"subjective": {}}'})
    return found


def _planted(code: str, fields: list[Field], value: Callable[[Draft, Field, Random], AttributeValue]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        field.put(draft, value(draft, field, random))
        return draft.refuse(code, field.attribute)

    return plant


def _missing(field: Field, value: AttributeValue | None) -> Planter:
    def plant(draft: Draft, _random: Random) -> bool:
        if not draft.claim(field.attribute):
            return False
        field.remove(draft)
        if value is not None:
            field.put(draft, value)
        return draft.refuse("missing_required", field.attribute)

    return plant


def _always(value: AttributeValue) -> Callable[[Draft, Field, Random], AttributeValue]:
    return lambda _draft, _field, _random: value


def _string(change: Callable[[str], str]) -> Callable[[Draft, Field, Random], AttributeValue]:
    def value(draft: Draft, field: Field, _random: Random) -> AttributeValue:
        # An optional UUID may be absent: any sound one will do.
        sound = draft.row[field.column] or draft.row["id"]
        return {"S": change(sound)}

    return value


def _with_nul(draft: Draft, field: Field, random: Random) -> AttributeValue:
    sound = draft.row[field.column] or "text"
    at = random.randrange(len(sound) + 1)
    return {"S": f"{sound[:at]}\0{sound[at:]}"}


def _both_times_missing(draft: Draft, random: Random) -> bool:
    if not draft.claim("timestamp", "createdAt"):
        return False
    for attribute in ("timestamp", "createdAt"):
        draft.attributes.pop(attribute, None)
        if random.random() < 0.5:
            draft.attributes[attribute] = {"NULL": True}
    return draft.refuse("missing_required", "timestamp")


def _soap_data(value: AttributeValue) -> Planter:
    def plant(draft: Draft, _random: Random) -> bool:
        if not claim_soap_data(draft):
            return False
        draft.attributes["soapData"] = value
        return draft.refuse("wrong_type", "soapData")

    return plant


def claim_soap_data(draft: Draft) -> bool:
    """Claim `soapData` and all that stands in it, as one value."""
    members = [field.attribute for field in fields_of(NOTES, Kind.TEXT, Kind.JSONB) if "." in field.attribute]
    return draft.claim("soapData", "soapData.unmapped", *members)
