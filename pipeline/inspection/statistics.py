"""What is in the items of a table: figures that grow line by line, and can be merged and pickled, as files are read by several processes.

    >>> statistics = ItemStatistics()
    >>> statistics.add_line(b'{"Item":{"id":{"S":"5"}}}')
    >>> statistics.merge(of_another_file)

Memory is bounded for any data, and the result does not depend on the order of the items: only names are kept of an item, up to limits.
Extremes of numbers are kept as they are and rounded when they are shown (`summary.py`), so no instance has a `repr` that shows them.
What a draft of a definition needs besides is gathered only where it is asked for (`evidence.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import orjson

from pipeline.inspection.evidence import Evidence, Figures, KeepValues, add_counts
from pipeline.inspection.names import PlainnessKey, bounded, plainness, shape_of
from transforms.lines import read_full_export_line
from transforms.rejects import ErrorCode, ReadRefused, ValueRefused
from transforms.values import MAX_NESTING, check_number, is_attribute_value

MOST_ATTRIBUTES: Final = 200
# Sorting is saved up: so many more may wait for it.
_WAITING: Final = 50
STEPS: Final = 3
MOST_NAMES: Final = 200
MOST_PLACES: Final = 1_000

_SCALARS: Final[dict[str, type]] = {"S": str, "N": str, "B": str, "BOOL": bool}
_NUL_ESCAPE: Final = b"\\u0000"
# 2000-01-01 and 2100-01-01, both still inside.
_EPOCH: Final = (946_684_800, 4_102_444_800)
# An epoch unit by the number of a number's digits before the point: its name, and how many of it a second has.
_UNIT_OF_DIGITS: Final = {
    **dict.fromkeys((9, 10), ("seconds", 1)),
    **dict.fromkeys((12, 13), ("milliseconds", 1_000)),
    **dict.fromkeys((15, 16), ("microseconds", 1_000_000)),
}
# As DynamoDB writes a number. Below so many characters `int` is quick and the digits are the number's.
_CANONICAL: Final = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")
_SHORT: Final = 18

SoundItem = list[tuple[str, dict[str, Any], int]]
"""The attributes of an item: name, value, and how many maps and lists are nested in each other there."""


class Unreadable(StrEnum):
    """Why a line is not one sound item. The first two are the codes that its dead letter would have."""

    INVALID_JSON = "invalid_json"
    NOT_AN_ITEM = "not_an_item"
    INCREMENTAL_RECORD = "incremental_record"
    MALFORMED_ATTRIBUTE = "malformed_attribute"
    NESTED_TOO_DEEPLY = "nested_too_deeply"


class Attribute(Figures):
    """One attribute of the sound items that have it.

    Tallies: types, shapes (of strings), numbers (valid, invalid, ...), epoch (units of time that numbers could be of), malformed.
    """

    __slots__ = ("evidence", "places")

    def __init__(self, evidence: Evidence | None = None) -> None:
        super().__init__()
        self.places = Places()
        self.evidence = evidence

    @property
    def items(self) -> int:
        return sum(self.tallies["types"].values())

    def add(self, value: dict[str, Any], depth: int) -> None:
        """Take in a sound attribute value, nested in itself `depth` maps and lists deep."""
        [(tag, content)] = value.items()
        self.tallies["types"][tag] += 1
        if tag == "S":
            shape = shape_of(content)
            self.tallies["shapes"][shape] += 1
            if self.evidence is not None:
                self.evidence.add_text(content, shape)
            self.measure("characters", len(content))
            self.measure("utf8_bytes", len(content) if content.isascii() else len(content.encode("utf-8", "surrogatepass")))
        elif tag == "N":
            self._add_number(content)
        elif tag in ("M", "L"):
            self.measure("map_members" if tag == "M" else "list_elements", len(content))
            self.measure("depth", depth)
            self.places.add(value)
        elif tag == "B":
            self.measure("binary_bytes", len(content) * 3 // 4 - content[-2:].count("="))
        elif tag not in ("BOOL", "NULL"):
            self.measure("set_members", len(content))
            if self.evidence is not None:
                self.evidence.add_set(tag, content)

    def _add_number(self, text: str) -> None:
        tally = self.tallies["numbers"]
        number: int | Decimal
        if len(text) <= _SHORT and text.isdecimal() and text.isascii() and text[0] != "0":
            number, before, significant = int(text), len(text), len(text.rstrip("0"))
        else:
            try:
                number = check_number(text)
            except ValueRefused:
                tally["invalid"] += 1
                return
            digits, exponent = _to_digits(number)
            before, significant = max(0, digits + exponent), digits
            tally["non_canonical"] += _CANONICAL.fullmatch(text) is None
            tally["zeros"] += not number
            tally["negative"] += number < 0
            tally["fractional"] += exponent < 0
            self.measure("digits_after_point", max(0, -exponent))
        tally["valid"] += 1
        self.measure("number", number)
        self.measure("digits_before_point", before)
        self.measure("significant_digits", significant)
        unit, factor = _UNIT_OF_DIGITS.get(before, ("", 0))
        if unit and _EPOCH[0] * factor <= number <= _EPOCH[1] * factor:
            self.tallies["epoch"][unit] += 1

    def merge(self, other: Attribute) -> None:
        """Take in what another has seen of the attribute; it stays as it is."""
        self.merge_figures(other)
        self.places.merge(other.places)
        if self.evidence is not None and other.evidence is not None:
            self.evidence.merge(other.evidence)


def _to_digits(number: Decimal) -> tuple[int, int]:
    """How many digits a number has without the zeros at its end, and the power of ten of the last one; of zero none."""
    if not number:
        return 0, 0
    _, coefficient, exponent = number.as_tuple()
    digits = len(coefficient)
    while not coefficient[digits - 1]:
        digits -= 1
    # check_number gives no infinity and no NaN, whose exponents are letters.
    return digits, int(exponent) + len(coefficient) - digits


# -- inside of maps and lists --------------------------------------------------------------------------------------------------------------


class Place:
    """What is at one place inside the maps and lists of an attribute: how many values of which type, and the places one step below."""

    __slots__ = ("elements", "has_too_many", "members", "types")

    def __init__(self) -> None:
        self.types: defaultdict[str, int] = defaultdict(int)
        self.members: dict[str, Place] = {}
        self.elements: Place | None = None
        self.has_too_many = False
        """Whether its maps have more names than a schema would; then `members` is empty."""

    @property
    def values(self) -> int:
        return sum(self.types.values())

    @property
    def below(self) -> Iterator[Place]:
        """The places one step below."""
        yield from self.members.values()
        if self.elements is not None:
            yield self.elements


class Places:
    """The places of one attribute, up to three steps below it; a step is a member's name, or the elements of a list.

        soapData.medications[].dose    the member `dose` of the maps that are elements of the list that is the member `medications`

    Where more than `MOST_NAMES` names are seen at one place, they are no schema, and the place keeps none. Where more than `MOST_PLACES`
    places are as many steps below the attribute, none of them is kept, nor what is below them. Neither depends on the order in which items
    come; only where an attribute goes beyond both limits, how many steps are kept can. The figures of what is kept are whole.
    """

    __slots__ = ("_counts", "root", "steps")

    def __init__(self) -> None:
        self.root = Place()
        self.steps = STEPS
        self._counts = [0] * (STEPS + 1)

    def add(self, value: dict[str, Any]) -> None:
        self._add(self.root, value, 0)

    def _add(self, place: Place, value: dict[str, Any], step: int) -> None:
        [tag] = value
        place.types[tag] += 1
        if step >= self.steps:
            return
        if tag == "M":
            for name, inner in value[tag].items():
                member = place.members.get(name) or self._member(place, name, step)
                if member is not None:
                    self._add(member, inner, step + 1)
        elif tag == "L":
            for inner in value[tag]:
                elements = place.elements or self._elements(place, step)
                if elements is not None:
                    self._add(elements, inner, step + 1)

    def merge(self, other: Places) -> None:
        """Take in what another has seen; it stays as it is."""
        self._keep_steps(min(self.steps, other.steps))
        self._merge(self.root, other.root, 0)

    def _merge(self, place: Place, other: Place, step: int) -> None:
        add_counts(place.types, other.types)
        if other.has_too_many:
            self._give_up_names(place)
        if step >= self.steps:
            return
        for name, theirs in other.members.items():
            ours = self._member(place, name, step)
            if ours is not None:
                self._merge(ours, theirs, step + 1)
        if other.elements is not None:
            elements = place.elements or self._elements(place, step)
            if elements is not None:
                self._merge(elements, other.elements, step + 1)

    def _member(self, place: Place, name: str, step: int) -> Place | None:
        """The place of a member: a known one, a new one, or None when there are too many."""
        short = bounded(name)
        if short not in place.members and not place.has_too_many:
            if len(place.members) == MOST_NAMES:
                self._give_up_names(place)
            elif self._may_grow(step):
                place.members[short] = Place()
        return place.members.get(short)

    def _elements(self, place: Place, step: int) -> Place | None:
        if self._may_grow(step):
            place.elements = Place()
        return place.elements

    def _may_grow(self, step: int) -> bool:
        if step < self.steps and self._counts[step] == MOST_PLACES:
            self._keep_steps(step)
        self._counts[step] += 1
        return step < self.steps

    def _give_up_names(self, place: Place) -> None:
        place.has_too_many = True
        place.members.clear()
        self._keep_steps(self.steps)

    def _keep_steps(self, steps: int) -> None:
        """So many steps and no more; and count what is kept."""
        self.steps = steps
        self._counts = [0] * (STEPS + 1)
        level = [self.root]
        for step in range(steps):
            level = [below for place in level for below in place.below]
            self._counts[step] = len(level)
        for place in level:
            place.members.clear()
            place.elements = None


# -- items ---------------------------------------------------------------------------------------------------------------------------------


class ItemStatistics(Figures):
    """All lines of some data files. Tallies: lines (lines, items, items_with_nul), unreadable.

    The 200 plainest attribute names are kept (`names.py`). With `values`, each attribute's evidence is gathered (`evidence.py`).
    """

    __slots__ = ("_plainest_refused", "_values", "attributes")

    def __init__(self, values: KeepValues | None = None) -> None:
        super().__init__()
        self._values = values
        self.attributes: dict[str, Attribute] = {}
        self._plainest_refused: PlainnessKey | None = None

    @property
    def lines(self) -> int:
        return self.tallies["lines"]["lines"]

    @property
    def items(self) -> int:
        """How many lines were sound items."""
        return self.tallies["lines"]["items"]

    @property
    def is_capped(self) -> bool:
        """Whether there were more attribute names than are kept; what is known of those that are kept is whole."""
        return self._plainest_refused is not None

    def add_line(self, line: bytes) -> None:
        """Count one line. A line that is not a sound item counts only as unreadable."""
        sound = self.read_line(line)
        if sound is not None:
            self.add_item(line, sound)

    def read_line(self, line: bytes) -> SoundItem | None:
        """Count a line, and what is wrong with it; the item that it holds, not counted yet, where nothing is."""
        tally = self.tallies["lines"]
        tally["lines"] += 1
        self.measure("line_bytes", len(line))
        try:
            item = read_full_export_line(line).item
        except ReadRefused as refused:
            self.tallies["unreadable"][_kind_of(refused, line)] += 1
            return None
        name = ""
        try:
            sound: SoundItem = []
            for name, value in item.items():
                sound.append((name, value, _depth_of(value)))
        except _Fault as fault:
            self.tallies["unreadable"][fault.kind] += 1
            attribute = self._attribute(name)
            if attribute is not None:
                attribute.tallies["malformed"][""] += 1
            return None
        return sound

    def add_item(self, line: bytes, sound: SoundItem) -> None:
        """Count a sound item, and look at its attributes; `line` is where it stood."""
        tally = self.tallies["lines"]
        tally["items"] += 1
        # Without pairs of backslashes, an escaped U+0000 differs from a backslash before the letters u0000.
        tally["items_with_nul"] += _NUL_ESCAPE in line and _NUL_ESCAPE in line.replace(b"\\\\", b"")
        for name, value, depth in sound:
            attribute = self.attributes.get(name) or self._attribute(name)
            if attribute is not None:
                attribute.add(value, depth)

    def merge(self, other: ItemStatistics) -> None:
        """Take in what another has seen; it stays as it is."""
        self.merge_figures(other)
        if other._plainest_refused is not None:
            self._refuse(other._plainest_refused)
        for name, theirs in other.attributes.items():
            ours = self._attribute(name)
            if ours is not None:
                ours.merge(theirs)

    def _attribute(self, name: str) -> Attribute | None:
        """The figures of the name, new ones if need be; None when it is one too many."""
        short = bounded(name)
        if short not in self.attributes:
            if self._is_refused(plainness(short)):
                return None
            self.attributes[short] = Attribute(None if self._values is None else Evidence(self._values))
            if len(self.attributes) > MOST_ATTRIBUTES + _WAITING:
                self.trim()
        return self.attributes.get(short)

    def _is_refused(self, key: PlainnessKey) -> bool:
        return self._plainest_refused is not None and key >= self._plainest_refused

    def _refuse(self, key: PlainnessKey) -> None:
        if not self._is_refused(key):
            self._plainest_refused = key

    def trim(self) -> None:
        """Let go of the attributes beyond the limit."""
        refused = sorted(self.attributes, key=plainness)[MOST_ATTRIBUTES:]
        for name in refused:
            del self.attributes[name]
        if refused:
            self._refuse(plainness(refused[0]))


class _Fault(Exception):
    """An attribute value is not sound."""

    def __init__(self, kind: Unreadable) -> None:
        super().__init__(kind)
        self.kind = kind


def _kind_of(refused: ReadRefused, line: bytes) -> Unreadable:
    if refused.errors[0].code is ErrorCode.INVALID_JSON:
        return Unreadable.INVALID_JSON
    document = orjson.loads(line)
    is_record = "Keys" in document and "Metadata" in document and "Item" not in document
    return Unreadable.INCREMENTAL_RECORD if is_record else Unreadable.NOT_AN_ITEM


def _depth_of(value: object) -> int:
    """How many maps and lists are nested in an attribute value, itself among them; raises `_Fault` unless all of it is sound."""
    if type(value) is dict and len(value) == 1:
        [tag] = value
        if type(value[tag]) is _SCALARS.get(tag):
            return 0
    return _depth_of_all((value,), 0)


def _depth_of_all(values: Iterable[object], depth: int) -> int:
    """The same of values that are `depth` containers deep. One call a container, none a scalar: they are most of an item."""
    if depth > MAX_NESTING:
        raise _Fault(Unreadable.NESTED_TOO_DEEPLY)
    deepest = depth
    for value in values:
        if type(value) is not dict or len(value) != 1:
            raise _Fault(Unreadable.MALFORMED_ATTRIBUTE)
        [tag] = value
        content = value[tag]
        if type(content) is _SCALARS.get(tag):
            continue
        if tag == "M" and type(content) is dict:
            deepest = max(deepest, _depth_of_all(content.values(), depth + 1))
        elif tag == "L" and type(content) is list:
            deepest = max(deepest, _depth_of_all(content, depth + 1))
        elif not is_attribute_value(value):
            raise _Fault(Unreadable.MALFORMED_ATTRIBUTE)
    return deepest
