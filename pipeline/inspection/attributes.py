"""What is in the items of a table: figures that grow line by line, and can be merged and pickled, as files are read by several processes.

    >>> statistics = ItemStatistics()
    >>> statistics.add_line(b'{"Item":{"id":{"S":"5"}}}')
    >>> statistics.merge(of_another_file)

Memory is bounded whatever comes: by the caps on names (`names.py`, `places.py`), and because a name is all that is kept of an item.
`summary.py` makes of it what may be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import orjson

from pipeline.inspection.measures import NumberMeasures, Range, TextMeasures, add_counts
from pipeline.inspection.names import PlainnessKey, bounded, plainness
from pipeline.inspection.places import Places
from transforms.lines import read_full_export_line
from transforms.rejects import ErrorCode, ReadRefused
from transforms.values import MAX_NESTING, is_attribute_value

MOST_ATTRIBUTES: Final = 200
# Sorting is saved up: so many more may wait for it.
_WAITING: Final = 50

_SCALARS: Final[dict[str, type]] = {"S": str, "N": str, "B": str, "BOOL": bool}
_NUL_ESCAPE: Final = b"\\u0000"


class Unreadable(StrEnum):
    """Why a line is not one sound item. The first two are the codes that its dead letter would have."""

    INVALID_JSON = "invalid_json"
    NOT_AN_ITEM = "not_an_item"
    INCREMENTAL_RECORD = "incremental_record"
    MALFORMED_ATTRIBUTE = "malformed_attribute"
    NESTED_TOO_DEEPLY = "nested_too_deeply"


class _Fault(Exception):
    """An attribute value is not sound."""

    def __init__(self, kind: Unreadable) -> None:
        super().__init__(kind)
        self.kind = kind


class AttributeStatistics:
    """One attribute of the sound items that have it."""

    __slots__ = ("binary_bytes", "depth", "list_elements", "malformed", "map_members", "numbers", "places", "set_members", "texts", "types")

    def __init__(self) -> None:
        self.types: defaultdict[str, int] = defaultdict(int)
        self.malformed = 0
        """Items that are unreadable because of this attribute."""
        self.texts = TextMeasures()
        self.numbers = NumberMeasures()
        self.binary_bytes = Range()
        self.set_members = Range()
        self.map_members = Range()
        self.list_elements = Range()
        self.depth = 0
        self.places = Places()

    @property
    def items(self) -> int:
        """How many items have it."""
        return sum(self.types.values())

    def add(self, value: dict[str, Any], depth: int) -> None:
        """Take in a sound attribute value, nested in itself `depth` maps and lists deep."""
        [tag] = value
        self.types[tag] += 1
        if tag == "S":
            self.texts.add(value[tag])
        elif tag == "N":
            self.numbers.add(value[tag])
        elif tag not in ("BOOL", "NULL"):
            self._add_rarer(tag, value, depth)

    def _add_rarer(self, tag: str, value: dict[str, Any], depth: int) -> None:
        content = value[tag]
        if tag in ("M", "L"):
            (self.map_members if tag == "M" else self.list_elements).add(len(content))
            self.depth = max(self.depth, depth)
            self.places.add(value)
        elif tag == "B":
            self.binary_bytes.add(_base64_bytes(content))
        else:
            self.set_members.add(len(content))

    def merge(self, other: AttributeStatistics) -> None:
        """Take in what another has seen of the attribute."""
        add_counts(self.types, other.types)
        self.malformed += other.malformed
        self.texts.merge(other.texts)
        self.numbers.merge(other.numbers)
        for sizes in ("binary_bytes", "set_members", "map_members", "list_elements"):
            getattr(self, sizes).merge(getattr(other, sizes))
        self.depth = max(self.depth, other.depth)
        self.places.merge(other.places)


class ItemStatistics:
    """All lines of some data files. The 200 plainest attribute names are kept."""

    __slots__ = ("_plainest_refused", "attributes", "items", "items_with_nul", "line_bytes", "lines", "unreadable")

    def __init__(self) -> None:
        self.lines = 0
        self.items = 0
        self.items_with_nul = 0
        """Items with U+0000 in a string or a name, at any depth."""
        self.unreadable: defaultdict[str, int] = defaultdict(int)
        self.line_bytes = Range()
        self.attributes: dict[str, AttributeStatistics] = {}
        self._plainest_refused: PlainnessKey | None = None

    @property
    def is_capped(self) -> bool:
        """Whether there were more attribute names than are kept; what is known of those that are kept is whole."""
        return self._plainest_refused is not None

    def add_line(self, line: bytes) -> None:
        """Take in one line, whatever it is. One that is not a sound item counts as unreadable and for nothing else."""
        self.lines += 1
        self.line_bytes.add(len(line))
        try:
            item = read_full_export_line(line).item
        except ReadRefused as refused:
            self.unreadable[_kind_of(refused, line)] += 1
            return
        name = ""
        try:
            sound = []
            for name, value in item.items():
                sound.append((name, value, _depth_of(value)))
        except _Fault as fault:
            self.unreadable[fault.kind] += 1
            attribute = self._attribute(name)
            if attribute is not None:
                attribute.malformed += 1
            return
        self._add_item(sound)
        if _NUL_ESCAPE in line and _holds_nul_escape(line):
            self.items_with_nul += 1

    def _add_item(self, sound: Iterable[tuple[str, dict[str, Any], int]]) -> None:
        self.items += 1
        attributes = self.attributes
        for name, value, depth in sound:
            attribute = attributes.get(name) or self._attribute(name)
            if attribute is not None:
                attribute.add(value, depth)

    def merge(self, other: ItemStatistics) -> None:
        """Take in what another has seen; it stays as it is."""
        self.lines += other.lines
        self.items += other.items
        self.items_with_nul += other.items_with_nul
        add_counts(self.unreadable, other.unreadable)
        self.line_bytes.merge(other.line_bytes)
        if other._plainest_refused is not None:
            self._refuse(other._plainest_refused)
        for name, theirs in other.attributes.items():
            ours = self._attribute(name)
            if ours is not None:
                ours.merge(theirs)

    # -- the limit -------------------------------------------------------------------------------------------------------------------------

    def _attribute(self, name: str) -> AttributeStatistics | None:
        """The figures of the name, new ones if need be; None when it is one too many."""
        short = bounded(name)
        if short not in self.attributes:
            if self._is_refused(plainness(short)):
                return None
            self.attributes[short] = AttributeStatistics()
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


def _holds_nul_escape(line: bytes) -> bool:
    """Whether JSON text holds an escaped U+0000, not only a backslash before the letters u0000: without pairs of backslashes it is seen."""
    return _NUL_ESCAPE in line.replace(b"\\\\", b"")


def _base64_bytes(text: str) -> int:
    """How many bytes base64 text stands for."""
    return len(text) * 3 // 4 - text[-2:].count("=")
