"""Audit events that share an `id`: groups of 2 to 4, known to every data file by arithmetic alone.

The faulty items of a table are numbered, and their kinds come round in a cycle. In each cycle four neighbours are
kept for groups that lie close together, and two slots far apart for groups whose members lie in different cycles, so mostly in different data files.

    cycle 0: one group of 4      cycle 1: two of 2      cycle 2: one of 3, and a slot to spare      and so on
"""

from __future__ import annotations

from dataclasses import dataclass

# Where in a cycle the slots lie.
NEAR = (3, 4, 5, 6)
FAR = (1, 40)
SLOTS = frozenset((*NEAR, *FAR))

_NEAR_GROUPS = (((0, 1, 2, 3),), ((0, 1), (2, 3)), ((0, 1, 2),))
# Every nine far slots make a group of 2, one of 3 and one of 4.
_FAR_GROUPS = (range(2), range(2, 5), range(5, 9))


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one item in a group. Members of a `twins` group have equal columns."""

    group: str
    member: int
    twins: bool


def conflict_place(fault: int, faults: int, cycle_length: int) -> Place | None:
    """The place of the faulty item `fault` of `faults`; None where its slot is none, is spare, or the others are missing."""
    cycle, slot = divmod(fault, cycle_length)
    if slot in NEAR:
        return _near(cycle, NEAR.index(slot), faults, cycle_length)
    if slot in FAR:
        return _far(cycle * len(FAR) + FAR.index(slot), faults, cycle_length)
    return None


def _near(cycle: int, slot: int, faults: int, cycle_length: int) -> Place | None:
    for group in _NEAR_GROUPS[cycle % len(_NEAR_GROUPS)]:
        if slot in group:
            members = [cycle * cycle_length + NEAR[member] for member in group]
            if members[1] < faults:
                return Place(f"near-{cycle}-{group[0]}", group.index(slot), cycle % 4 == 1)
    return None


def _far(number: int, faults: int, cycle_length: int) -> Place | None:
    nine, slot = divmod(number, 9)
    for group in _FAR_GROUPS:
        if slot in group:
            second = nine * 9 + group[1]
            if second // len(FAR) * cycle_length + FAR[second % len(FAR)] < faults:
                return Place(f"far-{nine}-{group[0]}", slot - group[0], nine % 2 == 1)
    return None
