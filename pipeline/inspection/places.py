"""Where values are inside the maps and lists of one attribute: the names of members, counted.

A place is up to three steps below the attribute; a step is a member's name, or `[]` for the elements of a list:

    soapData.medications[].dose    the member `dose` of the maps that are elements of the list that is the member `medications`

Two limits hold whatever comes. Where more than `MOST_NAMES` names are seen at one place, they are no schema, and the place keeps none.
And of all places of an attribute `MOST_PLACES` are kept, the plainest (`names.py`). A place's way up is always plainer than itself, so what
is kept hangs together. Neither depends on the order in which items come; only where an attribute goes beyond both limits, how many places
are left can. The figures of those that are left are whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from pipeline.inspection.measures import add_counts
from pipeline.inspection.names import bounded, looks_like_data

STEPS: Final = 3
MOST_NAMES: Final = 200
MOST_PLACES: Final = 1_000
# Sorting is saved up: so many more may wait for it.
_WAITING: Final = 250

_ELEMENTS: Final = "[]"
_MEMBER: Final = "."

# How many names of the path look like data, its steps, its characters, and the path itself.
_Key = tuple[int, int, int, tuple[str, ...]]


class Place:
    """What is at one place: how many values of which type, and the places one step below."""

    __slots__ = ("elements", "has_too_many", "key", "members", "types")

    def __init__(self, key: _Key) -> None:
        self.key = key
        self.types: defaultdict[str, int] = defaultdict(int)
        self.members: dict[str, Place] = {}
        self.elements: Place | None = None
        self.has_too_many = False
        """Whether its maps have more names than a schema would; then `members` is empty."""

    @property
    def values(self) -> int:
        """How many values are here."""
        return sum(self.types.values())

    def below(self) -> Iterator[tuple[Place, str | None, Place]]:
        """All places below this one: the one above it, its name there (None for the elements), itself."""
        for name, member in self.members.items():
            yield self, name, member
            yield from member.below()
        if self.elements is not None:
            yield self, None, self.elements
            yield from self.elements.below()


class Places:
    """The places of one attribute."""

    __slots__ = ("_count", "_plainest_refused", "root")

    def __init__(self) -> None:
        self.root = Place((0, 0, 0, ()))
        self._count = 0
        self._plainest_refused: _Key | None = None

    @property
    def is_capped(self) -> bool:
        """Whether there were more places than are kept; what is known of those that are kept is whole."""
        return self._plainest_refused is not None

    def add(self, value: dict[str, Any]) -> None:
        """Take in a sound attribute value."""
        self._add(self.root, value, STEPS)

    def _add(self, place: Place, value: dict[str, Any], steps: int) -> None:
        [tag] = value
        place.types[tag] += 1
        if not steps:
            return
        if tag == "M":
            members = place.members
            for name, inner in value[tag].items():
                member = members.get(name) or self._member(place, name)
                if member is not None:
                    self._add(member, inner, steps - 1)
        elif tag == "L" and value[tag]:
            elements = place.elements or self._elements(place)
            if elements is not None:
                for inner in value[tag]:
                    self._add(elements, inner, steps - 1)

    def merge(self, other: Places) -> None:
        """Take in what another has seen."""
        if other._plainest_refused is not None:
            self._refuse(other._plainest_refused)
        self._merge(self.root, other.root)

    def _merge(self, place: Place, other: Place) -> None:
        add_counts(place.types, other.types)
        if other.has_too_many:
            self._give_up_names(place)
        for name, theirs in other.members.items():
            ours = self._member(place, name)
            if ours is not None:
                self._merge(ours, theirs)
        if other.elements is not None:
            elements = place.elements or self._elements(place)
            if elements is not None:
                self._merge(elements, other.elements)

    # -- the limits ------------------------------------------------------------------------------------------------------------------------

    def _member(self, place: Place, name: str) -> Place | None:
        """The place of a member whatever its name: a known one, a new one, or, None, one too many."""
        short = bounded(name)
        if short in place.members or place.has_too_many:
            return place.members.get(short)
        data, steps, characters, path = place.key
        key = (data + looks_like_data(short), steps + 1, characters + len(short), (*path, _MEMBER + short))
        if self._is_refused(key):
            return None
        if len(place.members) == MOST_NAMES:
            self._give_up_names(place)
            return None
        place.members[short] = Place(key)
        self._grown()
        return place.members.get(short)

    def _elements(self, place: Place) -> Place | None:
        """The place of a list's elements, not known yet."""
        data, steps, characters, path = place.key
        key = (data, steps + 1, characters, (*path, _ELEMENTS))
        if self._is_refused(key):
            return None
        place.elements = Place(key)
        self._grown()
        return place.elements

    def _give_up_names(self, place: Place) -> None:
        place.has_too_many = True
        place.members.clear()
        self._count = sum(1 for _ in self.root.below())

    def _is_refused(self, key: _Key) -> bool:
        return self._plainest_refused is not None and key >= self._plainest_refused

    def _refuse(self, key: _Key) -> None:
        if not self._is_refused(key):
            self._plainest_refused = key

    def _grown(self) -> None:
        self._count += 1
        if self._count > MOST_PLACES + _WAITING:
            self.trim()

    def trim(self) -> None:
        """Let go of what is beyond the limit, and of what was refused where another part was read: its figures would not be whole."""
        found = sorted(self.root.below(), key=lambda place: place[2].key)
        kept = min(MOST_PLACES, sum(not self._is_refused(place.key) for _, _, place in found))
        for above, name, _ in found[kept:]:
            if name is None:
                above.elements = None
            else:
                del above.members[name]
        if kept < len(found):
            self._refuse(found[kept][2].key)
        self._count = kept
