"""The statistics of many lines at once: the compiled module counts those that are surely sound items, Python all others.

Both give the same (`statistics.py`), so a part that the one has counted is merged with the other's as parts of several processes are.
Without the compiled module Python counts all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pipeline.inspection.evidence import Evidence, KeepValues
from pipeline.inspection.statistics import Attribute, ItemStatistics, Place
from transforms.native.plan import LookedFor, new_sound_statistics

if TYPE_CHECKING:
    from transforms.native.sound_rows import SoundStatistics

_OF_EVIDENCE: Final = frozenset({"times", "digits", "sets", "numbers_of_sets", "integer_of_sets"})

Sizes = Sequence[tuple[str, int | str]]
FiguresOfNode = tuple[Sequence[tuple[str, str, int]], Sizes, Sequence[tuple[str, int]], bool]
Node = tuple[int, str | None, Sequence[tuple[str, int]], FiguresOfNode | None]
"""An attribute or a place, as `SoundStatistics.take_counted` has it in sound_rows.pyi."""


Parts = tuple[Sequence[tuple[int, int, Sequence[FiguresOfNode]]], Sequence[tuple[int, int]]]
"""Of composite strings, and of what repeats others."""


Table = tuple[str, int, Sequence[Node], Parts]
"""Of one kind of items: its name, how many there are, and what is in them."""


class CountedLines(ABC):
    """Takes in lines; those that are surely sound items the compiled module counts, where it can look for all that is wanted."""

    __slots__ = ("_sound",)

    def __init__(self) -> None:
        self._sound: SoundStatistics | None = None

    @abstractmethod
    def add_line(self, line: bytes) -> None:
        """Take in one line, in Python."""

    @abstractmethod
    def _looked_for(self) -> LookedFor | None:
        """What a draft looks for; None for statistics only."""

    @abstractmethod
    def _take_in(self, lines: int, sizes: Sizes, tables: Sequence[Table]) -> None:
        """Take in what the compiled module has counted."""

    @abstractmethod
    def _take_digests(self, digests: Sequence[bytes]) -> None:
        """The same of the keys that are looked for."""

    def add_lines(self, lines: list[bytes]) -> None:
        """Take in lines."""
        if self._sound is None:
            self._sound = new_sound_statistics(self._looked_for())
        for line in lines if self._sound is None else self._sound.add_lines(lines):
            self.add_line(line)
        if self._sound is not None:
            self._take_digests(self._sound.take_digests())
            if self._sound.is_full:
                self._take_in(*self._sound.take_counted())

    def finish(self) -> None:
        """No line comes any more: from here on it can be pickled, and merged with others."""
        if self._sound is not None:
            self._take_in(*self._sound.take_counted())
            self._sound = None


class LineStatistics(CountedLines):
    """The statistics of all lines of some data files."""

    __slots__ = ("statistics",)

    def __init__(self) -> None:
        super().__init__()
        self.statistics = ItemStatistics()

    def add_line(self, line: bytes) -> None:
        self.statistics.add_line(line)

    def _looked_for(self) -> None:
        return None

    def _take_in(self, lines: int, sizes: Sizes, tables: Sequence[Table]) -> None:
        add_lines_to(self.statistics, lines, sizes)
        for _, items, nodes, _ in tables:
            self.statistics.merge(statistics_of(nodes, items, None))

    def _take_digests(self, digests: Sequence[bytes]) -> None:
        """No keys are looked for."""

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
