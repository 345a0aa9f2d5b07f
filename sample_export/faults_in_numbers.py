"""Faults of numbers: in a timestamp too fine, out of range or no JSON number; in jsonb no number that DynamoDB can hold."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter
from sample_export.fields import Field, Kind, claim_one, fields_of

# 2000-01-01 and 2100-01-01 in milliseconds: themselves in range.
LOWER_BOUND_MS = 946_684_800_000
UPPER_BOUND_MS = 4_102_444_800_000

# No JSON numbers, or beyond DynamoDB's range.
BAD_NUMBERS: dict[str, str] = {
    "plus_sign": "+1",
    "leading_zero": "01",
    "no_integer_part": ".5",
    "no_fraction": "1.",
    "no_exponent": "1E",
    "letters": "abc",
    "space_before": " 1",
    "newline_after": "1\n",
    "too_large": "1E126",
    "too_small": "1E-131",
    "nan": "NaN",
    "infinity": "-Infinity",
    "empty": "",
    "full_width_digits": "１２",
    "underscore": "1_000",
    "hexadecimal": "0x10",
    "nul": "1\0",
}

_NO_TIMESTAMPS = (
    "+1700000000000",
    "01700000000000",
    " 1700000000000",
    "1700000000000 ",
    "1,700,000,000,000",
    "1700000000000.",
    "1_700_000_000_000",
    "１７００００００００００００",
)

_OUT_OF_RANGE: dict[str, Callable[[Random], str]] = {
    "seconds": lambda random: str(1_707_000_000 + random.randrange(80_000_000)),
    "microseconds": lambda random: str(1_707_000_000_000_000 + random.randrange(80_000_000_000_000)),
    "negative": lambda random: str(-1_707_000_000_000 - random.randrange(1_000)),
    "zero": lambda _: "0",
    "just_below": lambda _: str(LOWER_BOUND_MS - 1),
    "just_above": lambda _: str(UPPER_BOUND_MS + 1),
    "a_microsecond_above": lambda _: f"{UPPER_BOUND_MS}.001",
    "huge": lambda _: "9.9E125",
}

_TOO_FINE: dict[str, Callable[[Random], str]] = {
    "four_decimals": lambda _: "1700000000000.0001",
    "exponent": lambda _: "1.7000000000001234E12",
    "many_decimals": lambda _: "1700000000000.123000000000000000001",
}


def timestamp_faults(table: str) -> dict[str, Planter]:
    """The faults of timestamps, by name."""
    fields = fields_of(table, Kind.TIMESTAMP)
    found: dict[str, Planter] = {
        "invalid_number.timestamp": _planted(fields, "invalid_number", bad_number),
        "invalid_number.timestamp_at_first_sight": _planted(fields, "invalid_number", _bad_timestamp),
    }
    for name, spell in _OUT_OF_RANGE.items():
        found[f"timestamp_out_of_range.{name}"] = _planted(fields, "timestamp_out_of_range", spell)
    for name, spell in _TOO_FINE.items():
        found[f"invalid_timestamp.{name}"] = _planted(fields, "invalid_timestamp", spell)
    return found


def bad_number(random: Random) -> str:
    """The text of an N that is no number of DynamoDB's."""
    return random.choice(list(BAD_NUMBERS.values()))


def _bad_timestamp(random: Random) -> str:
    return random.choice(_NO_TIMESTAMPS)


def _planted(fields: list[Field], code: str, spell: Callable[[Random], str]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        field.put(draft, {"N": spell(random)})
        return draft.refuse(code, field.attribute)

    return plant
