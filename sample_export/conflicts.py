"""Audit events that share an `id`: groups of 2 to 4, known to every data file by arithmetic alone.

The faulty items of a table are numbered, and their kinds come round in a cycle. In each cycle four neighbours are
kept for groups that lie close together, and two slots for groups whose members
lie far from one another, so in different data files where there are several.

    neighbours of cycle 0: one group of 4      of cycle 1: two of 2      of cycle 2: one of 3, and a slot to spare      and so on
"""

from __future__ import annotations

from dataclasses import dataclass

# Where in a cycle the slots lie.
NEAR = (3, 4, 5, 6)
FAR = (1, 40)
SLOTS = frozenset((*NEAR, *FAR))

_NEAR_GROUPS = (((0, 1, 2, 3),), ((0, 1), (2, 3)), ((0, 1, 2),))
# Every nine members make a group of 2, one of 3 and one of 4.
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
    """Nine members, each from another ninth of the table; a table with fewer has one group of what there is."""
    cycles, rest = divmod(faults, cycle_length)
    members = cycles * len(FAR) + sum(slot < rest for slot in FAR)
    nines = members // 9
    if nines == 0:
        return Place("far-0-0", number, twins=False) if number < 4 and members > 1 else None
    ninth, nine = divmod(number, nines)
    for group in _FAR_GROUPS:
        if ninth in group:
            return Place(f"far-{nine}-{group[0]}", group.index(ninth), nine % 2 == 1)
    return None
