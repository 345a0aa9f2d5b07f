"""Which fault or oddity an item gets: the kinds come round in a cycle, so that all are equally frequent and none is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from sample_export import conflicts
from sample_export.audit import sound_event
from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter, column_faults
from sample_export.faults_in_documents import document_faults
from sample_export.faults_in_items import item_faults
from sample_export.faults_in_lines import line_faults
from sample_export.faults_in_numbers import timestamp_faults
from sample_export.fields import FIELDS
from sample_export.odd_columns import odd_columns
from sample_export.odd_documents import odd_documents
from sample_export.odd_lines import odd_lines
from sample_export.odd_times import odd_times, put_time
from sample_export.odd_unmapped import odd_unmapped
from sample_export.settings import AUDIT, Settings
from sample_export.world import to_uuid, world

# Shares of the items with a fault, or an oddity, that get more than one.
_SEVERAL_FAULTS = 0.15
_TWO_ODDITIES = 0.1


def fault_kinds(table: str) -> dict[str, Planter]:
    """All kinds of faults that one item of `table` can have by itself."""
    return transform_faults(table) | line_faults() | item_faults(table)


def transform_faults(table: str) -> dict[str, Planter]:
    """The kinds of faults that the transform stage finds."""
    return column_faults(table) | timestamp_faults(table) | document_faults(table)


def odd_kinds(table: str) -> dict[str, Planter]:
    """All kinds of oddities that items of `table` can have."""
    return odd_columns(table) | odd_times(table) | odd_documents(table) | odd_unmapped(table) | odd_lines()


@dataclass(frozen=True, slots=True)
class Planting:
    """The cycles of one table, in an order that the settings decide."""

    settings: Settings
    table: str
    faults: Sequence[tuple[str, Planter | None]]
    more_faults: Sequence[tuple[str, Planter]]
    oddities: Sequence[tuple[str, Planter]]

    def plant_fault(self, draft: Draft, random: Random, fault: int) -> None:
        """Make the draft the table's faulty item number `fault`."""
        if self.table == AUDIT:
            place = conflicts.conflict_place(fault, self.settings.faulty_before(self.settings.items), len(self.faults))
            if place is not None:
                self._join_group(draft, place)
                return
        if random.random() < _SEVERAL_FAULTS:
            for name, planter in random.sample(self.more_faults, random.randrange(1, 4)):
                _plant(draft, random, name, planter)
        for step in range(len(self.faults)):
            name, planter_or_slot = self.faults[(fault + step) % len(self.faults)]
            if planter_or_slot is not None and _plant(draft, random, name, planter_or_slot):
                return

    def plant_oddity(self, draft: Draft, random: Random, oddity: int) -> None:
        """Make the draft the table's odd item number `oddity`; a faulty item may have no place left for it."""
        for step in range(2 if random.random() < _TWO_ODDITIES else 1):
            # The second comes from the middle of the cycle, or neighbours would always meet.
            at = oddity + step * (len(self.oddities) // 2)
            for kind in range(len(self.oddities)):
                if _plant(draft, random, *self.oddities[(at + kind) % len(self.oddities)]):
                    break

    def _join_group(self, draft: Draft, place: conflicts.Place) -> None:
        base = self.settings.random("conflict", place.group)
        shared_id = to_uuid(f"{base.getrandbits(128):032x}")
        milliseconds = 1_707_000_000_000 + base.randrange(80_000_000_000)
        draft.planted.append(f"primary_key_conflict.{place.group.partition('-')[0]}")
        timestamp, created = FIELDS[AUDIT][4:6]
        if place.twins:
            twin = sound_event(world(self.settings.seed, self.settings.items), base, base.randrange(self.settings.items))
            draft.attributes, draft.row, draft.documents, draft.times = twin.attributes, twin.row, twin.documents, twin.times
            put_time(draft, created, str(milliseconds), milliseconds * 1000)
            milliseconds -= 100 * (place.member + 1)
        else:
            milliseconds += 1_009 * place.member
        put_time(draft, timestamp, str(milliseconds), milliseconds * 1000)
        draft.claim("id", "timestamp", "createdAt")
        draft.attributes["id"] = {"S": shared_id}
        draft.row["id"] = shared_id
        draft.group = place.group


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
    """The cycles for `table`."""
    random = settings.random("cycles", table)
    kinds: list[tuple[str, Planter | None]] = list(_spread(fault_kinds(table), random))
    if table == AUDIT:
        for slot in sorted(conflicts.SLOTS):
            kinds.insert(slot, ("primary_key_conflict", None))
    oddities = list(odd_kinds(table).items())
    random.shuffle(oddities)
    return Planting(settings, table, kinds, list(transform_faults(table).items()), oddities)
