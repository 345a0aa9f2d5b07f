"""The statistics of many lines at once: the compiled module counts those that are surely sound items, Python all others.

Both give the same (`statistics.py`), so a part that the one has counted is merged with the other's as parts of several processes are.
Without the compiled module Python counts all.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pipeline.inspection.evidence import Evidence, KeepValues
from pipeline.inspection.statistics import Attribute, ItemStatistics, Place
from transforms.native.plan import new_sound_statistics

if TYPE_CHECKING:
    from transforms.native.sound_rows import SoundStatistics

_OF_EVIDENCE: Final = frozenset({"times", "digits", "sets", "numbers_of_sets", "integer_of_sets"})

Sizes = Sequence[tuple[str, int | str]]
FiguresOfNode = tuple[Sequence[tuple[str, str, int]], Sizes, Sequence[tuple[str, int]], bool]
Node = tuple[int, str | None, Sequence[tuple[str, int]], FiguresOfNode | None]
"""An attribute or a place, as `SoundStatistics.take_counted` has it in sound_rows.pyi."""


Parts = tuple[Sequence[tuple[int, int, Sequence[FiguresOfNode]]], Sequence[tuple[int, int]]]
"""Of composite strings, and of what repeats others."""


class LineStatistics:
    """The statistics of all lines of some data files."""

    __slots__ = ("_sound", "statistics")

    def __init__(self) -> None:
        self.statistics = ItemStatistics()
        self._sound = new_sound_statistics()

    def add_lines(self, lines: list[bytes]) -> None:
        """Take in lines."""
        for line in lines if self._sound is None else self._sound.add_lines(lines):
            self.statistics.add_line(line)
        if self._sound is not None and self._sound.is_full:
            self._take_in(self._sound)

    def finish(self) -> None:
        """No line comes any more: from here on it can be pickled, and merged with others."""
        if self._sound is not None:
            self._take_in(self._sound)
            self._sound = None

    def _take_in(self, sound: SoundStatistics) -> None:
        lines, sizes, tables = sound.take_counted()
        add_lines_to(self.statistics, lines, sizes)
        for _, items, nodes, _ in tables:
            self.statistics.merge(statistics_of(nodes, items, None))

    def merge(self, other: LineStatistics) -> None:
        """Take in what another has seen; it stays as it is."""
        self.statistics.merge(other.statistics)


# -- what the compiled module has counted --------------------------------------------------------------------------------------------------


def add_lines_to(statistics: ItemStatistics, lines: int, sizes: Sizes) -> None:
    """Count so many lines, all of them items, of these sizes."""
    statistics.tallies["lines"]["lines"] += lines
    measure_all(statistics, sizes)


def statistics_of(nodes: Sequence[Node], items: int, values: KeepValues | None) -> ItemStatistics:
    """The statistics of so many sound items."""
    statistics = ItemStatistics(values)
    if items:
        statistics.tallies["lines"]["items"] = items
    # The item is number 0.
    places: list[Place | None] = [None]
    for parent, name, types, figures in nodes:
        above = places[parent]
        if not types:
            # Of lines that were not counted; so is all below it.
            places.append(None)
        elif figures is not None:
            attribute = attribute_of(types, figures, values)
            statistics.attributes[name or ""] = attribute
            places.append(attribute.places.root)
        elif above is not None:
            places.append(_new_place(above, name, types))
    return statistics


def _new_place(above: Place, name: str | None, types: Sequence[tuple[str, int]]) -> Place:
    place = Place()
    place.types.update(types)
    if name is None:
        above.elements = place
    else:
        above.members[name] = place
    return place


def attribute_of(types: Sequence[tuple[str, int]], figures: FiguresOfNode, values: KeepValues | None) -> Attribute:
    """One attribute, with how many values of which type."""
    counts, sizes, texts, has_many_texts = figures
    evidence = None if values is None else Evidence(values)
    attribute = Attribute(evidence)
    attribute.tallies["types"].update(types)
    attribute.places.root.types.update((tag, count) for tag, count in types if tag in ("M", "L"))
    for kind, key, count in counts:
        of = attribute if evidence is None or kind not in _OF_EVIDENCE else evidence
        of.tallies[kind][key] = count
    measure_all(attribute, [size for size in sizes if size[0] not in _OF_EVIDENCE])
    if evidence is not None:
        measure_all(evidence, [size for size in sizes if size[0] in _OF_EVIDENCE])
        evidence.add_known(texts, has_many=has_many_texts)
    return attribute


def measure_all(figures: Attribute | Evidence | ItemStatistics, sizes: Sizes) -> None:
    """Sizes by what they are of; a text is a decimal number."""
    for kind, size in sizes:
        figures.measure(kind, Decimal(size) if isinstance(size, str) else size)
