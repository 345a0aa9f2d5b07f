"""Legal but unusual timestamps: missing, at the bounds, with fractions, in every spelling that a number may have."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.attribute_values import iso
from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter
from sample_export.faults_in_numbers import LOWER_BOUND_MS, UPPER_BOUND_MS
from sample_export.fields import Field, Kind, claim_one, fields_of
from sample_export.settings import AUDIT, NOTES, SESSIONS

MIGRATION_TIME = "migration_time"


def _exponent(milliseconds: int) -> str:
    digits = str(milliseconds)
    return f"{digits[0]}.{digits[1:].rstrip('0') or '0'}E{len(digits) - 1}"


# From milliseconds to a spelling, and how many microseconds that adds.
_SPELLINGS: dict[str, tuple[Callable[[int], str], int]] = {
    "exponent": (_exponent, 0),
    "lower_case_exponent": (lambda ms: _exponent(ms).lower(), 0),
    "plus_in_exponent": (lambda ms: _exponent(ms).replace("E", "E+"), 0),
    "negative_exponent": (lambda ms: f"{ms}000E-3", 0),
    "half": (lambda ms: f"{ms}.5", 500),
    "eighth": (lambda ms: f"{ms}.125", 125),
    "one_microsecond": (lambda ms: f"{ms}.001", 1),
    "point_zero": (lambda ms: f"{ms}.0", 0),
    "trailing_zeros": (lambda ms: f"{ms}.2500000000", 250),
    "fraction_and_exponent": (lambda ms: f"{str(ms)[:10]}.{str(ms)[10:]}007E3", 7),
}

_EXACT: dict[str, tuple[str, int]] = {
    "round_exponent": ("1.7E12", 1_700_000_000_000_000),
    "lower_bound": (str(LOWER_BOUND_MS), LOWER_BOUND_MS * 1000),
    "upper_bound": (str(UPPER_BOUND_MS), UPPER_BOUND_MS * 1000),
    "microsecond_inside_bound": (f"{UPPER_BOUND_MS - 1}.999", UPPER_BOUND_MS * 1000 - 1),
}


def odd_times(table: str) -> dict[str, Planter]:
    """Unusual timestamps for `table`, by name."""
    fields = fields_of(table, Kind.TIMESTAMP)
    found: dict[str, Planter] = {
        "timestamp.absent": _missing(table, fields, null=False),
        "timestamp.null": _missing(table, fields, null=True),
    }
    if table == SESSIONS:
        found["timestamp.all_missing"] = _all_missing(table, fields)
    for name, (spell, added) in _SPELLINGS.items():
        found[f"timestamp.{name}"] = _spelled(fields, spell, added)
    for name, (digits, microseconds) in _EXACT.items():
        found[f"timestamp.{name}"] = _exact(fields, digits, microseconds)
    return found


def put_time(draft: Draft, field: Field, digits: str, microseconds: int) -> None:
    """Give a timestamp another value, in the item and in the row; of an audit event's two the later one counts."""
    field.put(draft, {"N": digits})
    if draft.times:
        draft.times[field.attribute] = microseconds
        microseconds = max(draft.times.values())
    draft.row[field.column] = iso(microseconds)


def _spelled(fields: list[Field], spell: Callable[[int], str], added: int) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        milliseconds = 1_707_000_000_000 + random.randrange(80_000_000_000)
        put_time(draft, field, spell(milliseconds), milliseconds * 1000 + added)
        return True

    return plant


def _exact(fields: list[Field], digits: str, microseconds: int) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        put_time(draft, field, digits, microseconds)
        return True

    return plant


def _missing(table: str, fields: list[Field], *, null: bool) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        if table == AUDIT and len(draft.times) < 2:
            return False
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        _take_away(draft, table, field, null=null)
        return True

    return plant


def _all_missing(table: str, fields: list[Field]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        if not draft.claim(*(field.attribute for field in fields)):
            return False
        for field in fields:
            _take_away(draft, table, field, null=random.random() < 0.5)
        return True

    return plant


def _take_away(draft: Draft, table: str, field: Field, *, null: bool) -> None:
    field.remove(draft)
    if null:
        field.put(draft, {"NULL": True})
    if table == AUDIT:
        draft.times.pop(field.attribute)
        draft.row[field.column] = iso(max(draft.times.values()))
    elif table == NOTES and field.attribute == "aiGeneratedAt":
        draft.row[field.column] = None
    else:
        draft.row[field.column] = MIGRATION_TIME
        draft.notices.append(("timestamp_defaulted", field.attribute))
