"""What is asked for, and what follows from it alone: names, the split into data files, and which item gets which fault or oddity.

Two calls with equal settings write equal bytes, so nothing here reads the clock or a random source of the machine. The kinds of faults
come round in a cycle, so that all are equally frequent and none is left out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from random import Random

from sample_export.content import world
from sample_export.drafts import Draft, Order, Planter, sound_draft
from sample_export.kinds import fault_kinds, odd_kinds, transform_faults
from sample_export.tables import SOURCE_TABLES, TABLES, Kind
from sample_export.values import random_time, random_uuid

# Shares of the items with a fault, or an oddity, that get more than one.
_SEVERAL_FAULTS = 0.15
_TWO_ODDITIES = 0.1


@dataclass(frozen=True, slots=True)
class DataFile:
    """A stretch of a table's items: `count` of them from item `first` on, in the file `name`."""

    name: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `write_sample_exports` that decide the bytes. `items` is per table; shares are in 0..1."""

    items: int
    faulty: float
    odd: float
    seed: int
    items_per_file: int

    def problems(self, tables: Sequence[str]) -> list[str]:
        """What cannot be written, in sentences; an empty list when all is well."""
        shares = {"faulty": self.faulty, "odd": self.odd}
        found = [f"{name} is a share and must be in 0..1, not {share}." for name, share in shares.items() if not 0 <= share <= 1]
        if self.items < 0:
            found.append(f"items must not be negative, but is {self.items}.")
        if self.items_per_file < 1:
            found.append(f"items_per_file must be at least 1, but is {self.items_per_file}.")
        unknown = [table for table in tables if table not in TABLES]
        if unknown:
            found.append(f"There is no sample content for {', '.join(unknown)}; known: {', '.join(SOURCE_TABLES)}.")
        if len(set(tables)) != len(tables):
            found.append("A table is named twice.")
        return found

    def digest(self, *parts: object) -> bytes:
        """32 bytes that depend on all settings and on `parts`."""
        return hashlib.blake2b(repr((self, parts)).encode(), digest_size=32).digest()

    def random(self, *parts: object) -> Random:
        """A generator of its own for `parts`, so that data files do not depend on one another."""
        return Random(self.digest(*parts))

    def data_files(self, table: str) -> list[DataFile]:
        """The data files in manifest order; the second is empty, as AWS writes for a partition without items."""
        starts = range(0, self.items, self.items_per_file)
        files = [DataFile(self._file_name(table, first), first, min(self.items_per_file, self.items - first)) for first in starts]
        files.insert(1, DataFile(self._file_name(table, "empty"), 0, 0))
        return files

    def _file_name(self, table: str, part: object) -> str:
        return f"{base64.b32encode(self.digest('data file', table, part)).decode().lower()[:26]}.json.gz"


def numbered(share: float, random: Random, data_file: DataFile) -> dict[int, int]:
    """Positions in a data file, by chance, with their numbers in the table: exactly as many as the share asks for between its items."""
    first, end = (int(Fraction(str(share)) * item) for item in (data_file.first, data_file.first + data_file.count))
    positions = sorted(random.sample(range(data_file.count), end - first))
    return dict(zip(positions, range(first, end), strict=True))


# -- conflicts: items that share an id, known to every data file by arithmetic alone -------------------------------------------------------

# Where in a cycle of faults their slots lie: four neighbours for groups close together; two for groups whose members lie far from one
# another, so in different data files where there are several.
_NEAR = (3, 4, 5, 6)
_FAR = (1, 40)

# In three cycles in turn: one group of 4, two of 2, one of 3.
_NEAR_GROUPS = (((0, 1, 2, 3),), ((0, 1), (2, 3)), ((0, 1, 2),))


@dataclass(frozen=True, slots=True)
class _Seat:
    """The place of one item in a group of 2 to 4. Members of a `twins` group have equal columns."""

    group: str
    member: int
    twins: bool


def _seat(fault: int, faults: int, cycle_length: int) -> _Seat | None:
    """The seat of the faulty item `fault` of `faults`; None where its slot is none, is spare, or the others are missing."""
    cycle, slot = divmod(fault, cycle_length)
    if slot in _NEAR:
        for group in _NEAR_GROUPS[cycle % 3]:
            if _NEAR.index(slot) in group and cycle * cycle_length + _NEAR[group[1]] < faults:
                return _Seat(f"near-{cycle}-{group[0]}", group.index(_NEAR.index(slot)), twins=cycle % 4 == 1)
    elif slot in _FAR:
        cycles, rest = divmod(faults, cycle_length)
        seats = cycles * len(_FAR) + sum(slot < rest for slot in _FAR)
        groups = -(-seats // 4)
        member, group_number = divmod(cycle * len(_FAR) + _FAR.index(slot), groups)
        if seats > 1:
            return _Seat(f"far-{group_number}", member, twins=group_number % 2 == 1)
    return None


# -- which item gets what ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Planting:
    """The cycles of one table, in an order that the settings decide; None is the slot of a conflict."""

    settings: Settings
    table: str
    faults: Sequence[tuple[str, Planter | None]]
    more_faults: Sequence[tuple[str, Planter]]
    oddities: Sequence[tuple[str, Planter]]
    orders: Sequence[Order]

    def plant_fault(self, draft: Draft, random: Random, fault: int) -> None:
        """Make the draft the table's faulty item number `fault`."""
        if TABLES[self.table].sort_key is not None:
            seat = _seat(fault, int(Fraction(str(self.settings.faulty)) * self.settings.items), len(self.faults))
            if seat is not None:
                self._join_group(draft, seat)
                return
        for step in range(len(self.faults)):
            name, planter = self.faults[(fault + step) % len(self.faults)]
            if planter is not None and _plant(draft, random, name, planter):
                break
        if random.random() < _SEVERAL_FAULTS:
            for name, planter in random.sample(self.more_faults, random.randrange(1, 4)):
                _plant(draft, random, name, planter)

    def plant_oddity(self, draft: Draft, random: Random, oddity: int) -> None:
        """Make the draft the table's odd item number `oddity`; a faulty item may have no place left for it."""
        for step in range(2 if random.random() < _TWO_ODDITIES else 1):
            # The second comes from the middle of the cycle, or neighbours would always meet.
            at = oddity + step * (len(self.oddities) // 2)
            for kind in range(len(self.oddities)):
                if _plant(draft, random, *self.oddities[(at + kind) % len(self.oddities)]):
                    break

    def _join_group(self, draft: Draft, seat: _Seat) -> None:
        base = self.settings.random("conflict", seat.group)
        shared_id, milliseconds = random_uuid(base), random_time(base)
        draft.planted.append(f"primary_key_conflict.{seat.group.partition('-')[0]}")
        timestamp, created = draft.table.fields_of(Kind.LATER_OF)
        if seat.twins:
            everyone = world(self.settings.seed, self.settings.items)
            twin = sound_draft(draft.table, everyone, base, base.randrange(self.settings.items), self.orders[0])
            draft.attributes, draft.values = twin.attributes, twin.values
            draft.put(created.attribute, {"N": str(milliseconds)}, milliseconds * 1000)
            milliseconds -= 100 * (seat.member + 1)
        else:
            milliseconds += 1_009 * seat.member
        draft.put(timestamp.attribute, {"N": str(milliseconds)}, milliseconds * 1000)
        draft.claim("id", timestamp.attribute, created.attribute)
        draft.put("id", {"S": shared_id}, shared_id)
        draft.group = seat.group


def _plant(draft: Draft, random: Random, name: str, planter: Planter) -> bool:
    if not planter(draft, random):
        return False
    draft.planted.append(name)
    return True


def _spread(kinds: dict[str, Planter], random: Random) -> list[tuple[str, Planter]]:
    """The kinds by chance, but each code's evenly over the cycle and first at its start: a dozen faults show every code."""
    by_code: dict[str, list[tuple[str, Planter]]] = {}
    for name, planter in random.sample(list(kinds.items()), len(kinds)):
        by_code.setdefault(name.partition(".")[0], []).append((name, planter))
    placed = [(number / len(same_code), random.random(), kind) for same_code in by_code.values() for number, kind in enumerate(same_code)]
    return [kind for _, _, kind in sorted(placed, key=lambda place: place[:2])]


@lru_cache(maxsize=8)
def planting(settings: Settings, table: str) -> Planting:
    random = settings.random("cycles", table)
    kinds: list[tuple[str, Planter | None]] = list(_spread(fault_kinds(table), random))
    if TABLES[table].sort_key is not None:
        for slot in sorted((*_NEAR, *_FAR)):
            kinds.insert(slot, ("primary_key_conflict", None))
    odd = list(odd_kinds(table).items())
    oddities = random.sample(odd, len(odd))
    # DynamoDB keeps no order of attributes.
    attributes = [(field.attribute, field.tag) for field in TABLES[table].fields]
    orders = [random.sample(attributes, len(attributes)) for _ in range(64)]
    return Planting(settings, table, kinds, list(transform_faults(table).items()), oddities, orders)
