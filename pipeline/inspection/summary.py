"""What may be shown of a table's items: plain data, the schema of `ddb2pg inspect --json`.

`orjson.dumps(summarise(statistics))` writes it; a field is only ever added, never renamed. There is no value of an item in it. A value's
traces are counts, sizes, kinds, and of numbers the least and the greatest, rounded to one digit, and not even those of fewer than ten
numbers. Names of members are shown by the rule in `names.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.console import printable
from pipeline.inspection.evidence import Figures
from pipeline.inspection.names import is_frequent, looks_like_data
from pipeline.inspection.statistics import MOST_NAMES, STEPS, Attribute, ItemStatistics, Place

# The extremes of fewer numbers are not shown.
LEAST_NUMBERS: Final = 10
_NUMBER_TALLIES: Final = ("valid", "invalid", "non_canonical", "negative", "fractional", "zeros")


@dataclass(frozen=True, slots=True)
class Extent:
    """Sizes: the least and the greatest."""

    least: int
    greatest: int


@dataclass(frozen=True, slots=True)
class TextSummary:
    """An attribute's strings (`S`)."""

    shapes: Mapping[str, int]
    """How many of which kind (`names.py`), the commonest first."""
    characters: Extent
    utf8_bytes: Extent


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """An attribute's numbers (`N`). Digits are those of the value: 12.50 has two before the point, one after it, three significant ones."""

    valid: int
    invalid: int
    """Not a JSON number, or out of DynamoDB's range; in none of the other figures."""
    non_canonical: int
    """Not written as DynamoDB writes: with an exponent, or zeros at the end of a fraction."""
    negative: int
    fractional: int
    zeros: int
    digits_before_point: int
    digits_after_point: int
    significant_digits: int
    least: str | None
    """Rounded to one digit, as in 2E+12; null for fewer than ten numbers, and for numbers of one digit."""
    greatest: str | None
    epoch_units: Mapping[str, int]
    """How many would be a time from 2000 to 2100 when read as `seconds`, `milliseconds` or `microseconds` since 1970."""


@dataclass(frozen=True, slots=True)
class MemberSummary:
    """One place inside maps and lists, as in `soapData.medications[].dose`."""

    path: str
    of: int
    """How many maps could have the member; for the elements of a list, how many elements there are."""
    present: int
    types: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AttributeSummary:
    """One attribute. What is null does not apply: no value of such a type was seen."""

    name: str
    """Characters that are not printable are escaped; a name beyond 64 characters is cut and ends in a digest."""
    items: int
    types: Mapping[str, int]
    """How many values have which type tag, the commonest first."""
    malformed: int
    """Items that are unreadable because of this attribute; not among `items`."""
    texts: TextSummary | None
    numbers: NumberSummary | None
    binary_bytes: Extent | None
    set_members: Extent | None
    map_members: Extent | None
    list_elements: Extent | None
    depth: int
    """How many maps and lists are nested in each other; 0 without any."""
    members: tuple[MemberSummary, ...]
    """In alphabetical order, the members of a place right behind it."""
    other_members: int
    """How many different names more were seen in maps, at places that are shown: too rare to be a schema's, or of another look."""
    other_members_capped: bool
    """Whether there were still more names: they are counted up to 200 at one place, and to 1,000 at all places so many steps deep."""


@dataclass(frozen=True, slots=True)
class ItemSummary:
    lines: int
    items: int
    """Lines that are a sound item. All that follows `unreadable` and `line_bytes` is about these."""
    unreadable: Mapping[str, int]
    """The other lines, by reason."""
    line_bytes: Extent | None
    items_with_nul_character: int
    """Items with U+0000 in them, which PostgreSQL does not store."""
    attributes: tuple[AttributeSummary, ...]
    """Those that most items have first."""
    other_attributes: int
    """How many different names more were seen that look like data, or, when there are very many names, are rare."""
    other_attributes_capped: bool
    """Whether there were still more names: they are counted up to 200, and then only frequent ones are shown."""


def summarise(statistics: ItemStatistics) -> ItemSummary:
    statistics.trim()
    shown = {name: attribute for name, attribute in statistics.attributes.items() if _is_shown(name, attribute, statistics)}
    in_order = sorted(shown, key=lambda name: (-shown[name].items, name))
    return ItemSummary(
        lines=statistics.lines,
        items=statistics.items,
        unreadable=_by_count(statistics, "unreadable"),
        line_bytes=_extent(statistics, "line_bytes"),
        items_with_nul_character=statistics.tallies["lines"]["items_with_nul"],
        attributes=tuple(_attribute_summary(name, shown[name]) for name in in_order),
        other_attributes=len(statistics.attributes) - len(shown),
        other_attributes_capped=statistics.is_capped,
    )


def _is_shown(name: str, attribute: Attribute, statistics: ItemStatistics) -> bool:
    """A table's attributes are schema, unless a name looks like data, or there are more of them than any schema has."""
    return is_frequent(attribute.items, statistics.items) or not (statistics.is_capped or looks_like_data(name))


def _attribute_summary(name: str, attribute: Attribute) -> AttributeSummary:
    root = attribute.places.root
    shown = list(_shown_places(root, printable(name)))
    places = [root, *(place for place, _, _ in shown)]
    return AttributeSummary(
        name=printable(name),
        items=attribute.items,
        types=_by_count(attribute, "types"),
        malformed=attribute.tallies["malformed"][""],
        texts=_text_summary(attribute),
        numbers=_number_summary(attribute),
        **{sizes: _extent(attribute, sizes) for sizes in ("binary_bytes", "set_members", "map_members", "list_elements")},
        depth=_greatest(attribute, "depth"),
        members=tuple(_member_summary(place, above, path) for place, above, path in shown),
        other_members=sum(map(_count_hidden_names, places)),
        other_members_capped=attribute.places.steps < STEPS or any(place.has_too_many for place in places),
    )


# -- members -------------------------------------------------------------------------------------------------------------------------------


def _shown_places(place: Place, path: str) -> Iterator[tuple[Place, Place, str]]:
    """The places below one, as far as they may be shown: each, the one above it, its path."""
    for name in sorted(place.members):
        if _is_schema(name, place):
            yield from _shown_place(place.members[name], place, f"{path}.{printable(name)}")
    if place.elements is not None and is_frequent(place.types["L"], place.values):
        yield from _shown_place(place.elements, place, f"{path}[]")


def _shown_place(place: Place, above: Place, path: str) -> Iterator[tuple[Place, Place, str]]:
    yield place, above, path
    yield from _shown_places(place, path)


def _is_schema(name: str, place: Place) -> bool:
    return is_frequent(place.members[name].values, place.types["M"]) and not looks_like_data(name)


def _count_hidden_names(place: Place) -> int:
    return MOST_NAMES if place.has_too_many else sum(not _is_schema(name, place) for name in place.members)


def _member_summary(place: Place, above: Place, path: str) -> MemberSummary:
    of = place.values if above.elements is place else above.types["M"]
    return MemberSummary(path=path, of=of, present=place.values, types=in_order(place.types))


# -- values --------------------------------------------------------------------------------------------------------------------------------


def _text_summary(attribute: Attribute) -> TextSummary | None:
    characters, utf8_bytes = _extent(attribute, "characters"), _extent(attribute, "utf8_bytes")
    if characters is None or utf8_bytes is None:
        return None
    return TextSummary(_by_count(attribute, "shapes"), characters, utf8_bytes)


def _number_summary(attribute: Attribute) -> NumberSummary | None:
    tally = {name: attribute.tallies["numbers"].get(name, 0) for name in _NUMBER_TALLIES}
    if not tally["valid"] and not tally["invalid"]:
        return None
    digits = {name: _greatest(attribute, name) for name in ("digits_before_point", "digits_after_point", "significant_digits")}
    least = greatest = None
    # Of a number of one digit, rounding hides nothing.
    if tally["valid"] >= LEAST_NUMBERS and digits["digits_before_point"] > 1:
        least, greatest = map(_rounded, attribute.extremes["number"])
    return NumberSummary(**tally, **digits, least=least, greatest=greatest, epoch_units=_by_count(attribute, "epoch"))


def _rounded(number: Decimal) -> str:
    """One significant digit: 1735134334581 is 2E+12."""
    return f"{Decimal(number):.0E}" if number else "0"


def _extent(figures: Figures, sizes: str) -> Extent | None:
    return Extent(*figures.extremes[sizes]) if sizes in figures.extremes else None


def _greatest(figures: Figures, sizes: str) -> int:
    extent = _extent(figures, sizes)
    return extent.greatest if extent else 0


def _by_count(figures: Figures, kind: str) -> dict[str, int]:
    return in_order(figures.tallies[kind])


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """The greatest first."""
    return {str(key): counts[key] for key in sorted(counts, key=lambda key: (-counts[key], key))}
