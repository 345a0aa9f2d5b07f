"""Figures that grow, can be merged and pickled; and those that a draft needs of an attribute besides its statistics.

Those are how its times are written, and whether its texts are few. Of the texts only digests are kept, so that nobody can show them, unless
values were asked for.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from hashlib import blake2b, sha1
from typing import Any, Final

from pipeline.inspection.names import Shape, shape_of
from transforms.rejects import ValueRefused
from transforms.values import check_number

MOST_TEXTS: Final = 20
"""An attribute with more different texts has no list of values."""
_LONGEST_TEXT: Final = 64

_JSON_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WITH_ZONE: Final = re.compile(r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)$")
# More than a microsecond says.
_TOO_FINE: Final = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
# The bounds of times that a definition has unless it says otherwise.
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


class KeepValues(Enum):
    """What is kept of the texts of an attribute that has few of them."""

    DIGESTS = "digests"
    TEXTS = "texts"


class TimeForm(StrEnum):
    """How a text says a time. A text that has the look of one, and is none, is `INVALID`."""

    DATE = "date"
    WITH_ZONE = "with zone"
    WITHOUT_ZONE = "without zone"
    INVALID = "invalid"
    OUT_OF_BOUNDS = "out of bounds"
    """Counted besides: before 2000 or after 2100, dates left out."""


class Figures:
    """Tallies and extremes, by what they are of: `{"types": {"S": 3}}` and `{"characters": [1, 36]}`."""

    __slots__ = ("extremes", "tallies")

    def __init__(self) -> None:
        self.tallies: defaultdict[str, defaultdict[str, int]] = defaultdict(_tally)
        self.extremes: dict[str, list[Any]] = {}

    def measure(self, kind: str, size: int | Decimal) -> None:
        extremes = self.extremes.get(kind)
        if extremes is None:
            self.extremes[kind] = [size, size]
        elif size < extremes[0]:
            extremes[0] = size
        elif size > extremes[1]:
            extremes[1] = size

    def merge_figures(self, other: Figures) -> None:
        """Take in what another has seen; it stays as it is."""
        for kind, tally in other.tallies.items():
            add_counts(self.tallies[kind], tally)
        for kind, sizes in other.extremes.items():
            for size in sizes:
                self.measure(kind, size)


def _tally() -> defaultdict[str, int]:
    return defaultdict(int)


def add_counts(into: dict[str, int], counts: Mapping[str, int]) -> None:
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count


class Evidence(Figures):
    """Tallies: times (of strings, by `TimeForm`), digits (of strings: JSON integers and numbers), sets (of what), numbers_of_sets.

    Extremes: integer_of_sets.
    """

    __slots__ = ("_keep", "has_many_texts", "texts")

    def __init__(self, keep: KeepValues) -> None:
        super().__init__()
        self._keep = keep
        self.texts: dict[str, int] = {}
        """How often each text comes; digests in their place unless they were asked for. Empty where there are many."""
        self.has_many_texts = False

    @property
    def known_texts(self) -> dict[str, int]:
        """How often each text comes, where texts were asked for and are few."""
        return self.texts if self._keep is KeepValues.TEXTS else {}

    def add_text(self, text: str, shape: Shape) -> None:
        """Take in a string, whose shape is known."""
        if shape in (Shape.TIMESTAMP, Shape.DATE):
            self._add_time(text, shape)
        elif shape in (Shape.DIGITS, Shape.NUMBER):
            if _JSON_INTEGER.fullmatch(text):
                self.tallies["digits"]["integers"] += 1
            elif _JSON_NUMBER.fullmatch(text):
                self.tallies["digits"]["fractions"] += 1
        if not self.has_many_texts:
            self._add_known(text, 1)

    def add_known(self, texts: Iterable[tuple[str, int]], *, has_many: bool) -> None:
        """Take in how often each of all texts came; or that there are many."""
        for text, count in texts:
            self._add_known(text, count)
        if has_many:
            self._give_up_texts()

    def _add_time(self, text: str, shape: Shape) -> None:
        tally = self.tallies["times"]
        try:
            if shape is Shape.DATE:
                date.fromisoformat(text)
                tally[TimeForm.DATE] += 1
                return
            time = datetime.fromisoformat(text.replace(" ", "") if text[10] != " " else text[:11] + text[11:].replace(" ", ""))
            has_zone = _WITH_ZONE.search(text, 11) is not None
            in_utc = time.astimezone(UTC) if has_zone else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            tally[TimeForm.INVALID] += 1
            return
        if _TOO_FINE.search(text):
            tally[TimeForm.INVALID] += 1
            return
        tally[TimeForm.WITH_ZONE if has_zone else TimeForm.WITHOUT_ZONE] += 1
        tally[TimeForm.OUT_OF_BOUNDS] += not _EARLIEST <= in_utc <= _LATEST

    def _add_known(self, text: str, count: int) -> None:
        if len(text) > _LONGEST_TEXT:
            self._give_up_texts()
            return
        known = text if self._keep is KeepValues.TEXTS else blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        self.texts[known] = self.texts.get(known, 0) + count
        if len(self.texts) > MOST_TEXTS:
            self._give_up_texts()

    def _give_up_texts(self) -> None:
        self.has_many_texts = True
        self.texts.clear()

    def add_set(self, tag: str, members: list[str]) -> None:
        """Take in the members of an SS, NS or BS."""
        if tag == "SS":
            self.tallies["sets"]["uuids" if all(shape_of(member) is Shape.UUID for member in members) else "texts"] += 1
        elif tag == "NS":
            for member in members:
                self._add_number_of_set(member)

    def _add_number_of_set(self, text: str) -> None:
        tally = self.tallies["numbers_of_sets"]
        try:
            number = check_number(text)
        except ValueRefused:
            tally["invalid"] += 1
            return
        is_integer = number == number.to_integral_value()
        tally["integers" if is_integer else "fractions"] += 1
        if is_integer:
            self.measure("integer_of_sets", number)

    def merge(self, other: Evidence) -> None:
        """Take in what another has seen; it stays as it is."""
        self.merge_figures(other)
        if other.has_many_texts or self.has_many_texts:
            self._give_up_texts()
            return
        add_counts(self.texts, other.texts)
        if len(self.texts) > MOST_TEXTS:
            self._give_up_texts()


# -- keys ----------------------------------------------------------------------------------------------------------------------------------

_MOST_KEYS: Final = 200_000


class KeyCount:
    """How many of an attribute's values, or of combinations of several attributes', come again. Beyond 200,000 different ones an estimate.

    Only digests are kept, and of more than so many only those that end in so many zero bits: which ones does not depend on the order.
    """

    __slots__ = ("_counts", "_zero_bits", "values")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._zero_bits = 0
        self.values = 0

    def add(self, *parts: str) -> None:
        """One value; several parts are one combination."""
        content = "\0".join(parts) if len(parts) > 1 else parts[0]
        self.add_bytes(content.encode("utf-8", "surrogatepass"))

    def add_bytes(self, content: bytes) -> None:
        """One value, as bytes."""
        self.add_digests(sha1(content, usedforsecurity=False).digest()[:8])

    def add_digests(self, digests: bytes) -> None:
        """Values by the first eight bytes of their SHA-1, one behind the other."""
        keys = struct.unpack(f">{len(digests) // 8}Q", digests)
        self.values += len(keys)
        mask = (1 << self._zero_bits) - 1
        self._counts.update([key for key in keys if key & mask == 0] if mask else keys)
        self._keep_few()

    def _keep_few(self) -> None:
        while len(self._counts) > _MOST_KEYS:
            self._keep_fewer(self._zero_bits + 1)

    def _keep_fewer(self, zero_bits: int) -> None:
        self._zero_bits = zero_bits
        mask = (1 << zero_bits) - 1
        self._counts = Counter({key: count for key, count in self._counts.items() if key & mask == 0})

    def merge(self, other: KeyCount) -> None:
        """Take in what another has seen; it stays as it is."""
        self.values += other.values
        if other._zero_bits > self._zero_bits:
            self._keep_fewer(other._zero_bits)
        mask = (1 << self._zero_bits) - 1
        self._counts.update({key: count for key, count in other._counts.items() if key & mask == 0} if mask else other._counts)
        self._keep_few()

    @property
    def is_exact(self) -> bool:
        return self._zero_bits == 0

    @property
    def repeated(self) -> int:
        """How many values are there beside the first of their kind."""
        return (sum(self._counts.values()) - len(self._counts)) << self._zero_bits
