"""What is kept of the values of one attribute and type: counts and extremes. They can be merged, in any order, and pickled.

Extremes of numbers are kept as they are and rounded when they are told (`summary.py`); so no instance has a `repr` that shows them.
"""

from __future__ import annotations

import math
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from pipeline.inspection.shapes import shape_of
from transforms.rejects import ValueRefused
from transforms.values import check_number

# 2000-01-01 and 2100-01-01, both still inside.
_EPOCH_LEAST: Final = 946_684_800
_EPOCH_GREATEST: Final = 4_102_444_800
# An epoch unit by the number of a number's digits before the point: its name, and how many of it a second has.
_UNIT_OF_DIGITS: Final = {
    9: ("seconds", 1),
    10: ("seconds", 1),
    12: ("milliseconds", 1_000),
    13: ("milliseconds", 1_000),
    15: ("microseconds", 1_000_000),
    16: ("microseconds", 1_000_000),
}

# As DynamoDB writes a number. Below so many characters `int` is quick and the digits are the number's.
_CANONICAL: Final = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")
_SHORT: Final = 18


def add_counts(into: dict[str, int], counts: Mapping[str, int]) -> None:
    """Add one tally to another."""
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count


class Range:
    """The least and the greatest of some sizes."""

    __slots__ = ("greatest", "least")

    def __init__(self) -> None:
        self.least = sys.maxsize
        self.greatest = -1

    def add(self, size: int) -> None:
        """Take in one size, zero or more."""
        if not self.least <= size <= self.greatest:
            self.least = min(self.least, size)
            self.greatest = max(self.greatest, size)

    def merge(self, other: Range) -> None:
        """Take in what another has seen."""
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)


class TextMeasures:
    """Strings: how many of which shape, how long."""

    __slots__ = ("characters", "shapes", "utf8_bytes")

    def __init__(self) -> None:
        self.shapes: defaultdict[str, int] = defaultdict(int)
        self.characters = Range()
        self.utf8_bytes = Range()

    def add(self, text: str) -> None:
        """Take in one string."""
        self.shapes[shape_of(text)] += 1
        characters = len(text)
        utf8_bytes = characters if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        # Sizes are seldom new extremes, and a call takes longer than to see that.
        if not self.characters.least <= characters <= self.characters.greatest:
            self.characters.add(characters)
        if not self.utf8_bytes.least <= utf8_bytes <= self.utf8_bytes.greatest:
            self.utf8_bytes.add(utf8_bytes)

    def merge(self, other: TextMeasures) -> None:
        """Take in what another has seen."""
        add_counts(self.shapes, other.shapes)
        self.characters.merge(other.characters)
        self.utf8_bytes.merge(other.utf8_bytes)


class NumberMeasures:
    """Numbers: digits, signs, extremes, and how many could be a point in time."""

    __slots__ = (
        "digits_after",
        "digits_before",
        "epoch",
        "fractional",
        "greatest",
        "invalid",
        "least",
        "negative",
        "non_canonical",
        "significant",
        "valid",
        "zeros",
    )

    def __init__(self) -> None:
        self.valid = self.invalid = self.non_canonical = 0
        self.negative = self.fractional = self.zeros = 0
        self.digits_before = self.digits_after = self.significant = 0
        self.least: int | float | Decimal = math.inf
        self.greatest: int | float | Decimal = -math.inf
        self.epoch: defaultdict[str, int] = defaultdict(int)

    def add(self, text: str) -> None:
        """Take in the text of one `N`."""
        if len(text) <= _SHORT and text.isdecimal() and text.isascii() and text[0] != "0":
            self._add_number(int(text), len(text), len(text.rstrip("0")))
        else:
            self._add_any(text)

    def _add_any(self, text: str) -> None:
        try:
            number = check_number(text)
        except ValueRefused:
            self.invalid += 1
            return
        self.non_canonical += _CANONICAL.fullmatch(text) is None
        if not number:
            self.zeros += 1
            self._add_number(0, 0, 0)
            return
        digits, exponent = _to_digits(number)
        self.negative += number < 0
        self.fractional += exponent < 0
        self.digits_after = max(self.digits_after, -exponent)
        self._add_number(number, max(0, digits + exponent), digits)

    def _add_number(self, number: int | Decimal, digits_before: int, significant: int) -> None:
        self.valid += 1
        if digits_before > self.digits_before or significant > self.significant:
            self.digits_before = max(self.digits_before, digits_before)
            self.significant = max(self.significant, significant)
        if not self.least <= number <= self.greatest:
            self.least = min(self.least, number)
            self.greatest = max(self.greatest, number)
        unit = _UNIT_OF_DIGITS.get(digits_before)
        if unit is not None and _EPOCH_LEAST * unit[1] <= number <= _EPOCH_GREATEST * unit[1]:
            self.epoch[unit[0]] += 1

    def merge(self, other: NumberMeasures) -> None:
        """Take in what another has seen."""
        for count in ("valid", "invalid", "non_canonical", "negative", "fractional", "zeros"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        for most in ("digits_before", "digits_after", "significant", "greatest"):
            setattr(self, most, max(getattr(self, most), getattr(other, most)))
        self.least = min(self.least, other.least)
        add_counts(self.epoch, other.epoch)


def _to_digits(number: Decimal) -> tuple[int, int]:
    """How many digits a number other than zero has without the zeros at its end, and the power of ten of the last one."""
    _, coefficient, exponent = number.as_tuple()
    digits = len(coefficient)
    while not coefficient[digits - 1]:
        digits -= 1
    # check_number gives no infinity and no NaN, whose exponents are letters.
    return digits, int(exponent) + len(coefficient) - digits
