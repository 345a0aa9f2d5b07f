"""Which loads of one export are made in one reading of it, and why others are not.

In one reading a chunk becomes rows of every table before the next chunk does. So it may be one only where no row needs rows of another of
the tables: those of later chunks would not be there yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.ledger.loads import Cut
from pipeline.outcome.outcome import Check
from pipeline.preflight.findings import Code, fact, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target


@dataclass(frozen=True, slots=True)
class ToRead:
    """What decides in which reading of its export a load is made. `name` is its target, as the definition has it."""

    name: str
    target: Target
    cut: Cut
    is_finished: bool
    """Then it writes no row any more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The loads of one reading, by their places among all."""

    places: list[int]
    why_again: str | None
    """Why they are not in the reading before, which is of the same export; None where there is no such."""


def plan_readings(cursor: Cursor, loads: Sequence[ToRead]) -> list[Reading]:
    """The readings for loads in the order of the tables, which stays: only neighbours are in one reading."""
    readings: list[Reading] = []
    for place, load in enumerate(loads):
        before = [loads[other] for other in readings[-1].places] if readings else []
        is_same = bool(before) and (before[0].cut.export_id, before[0].cut.export_digest) == (load.cut.export_id, load.cut.export_digest)
        why_again = _why_apart(cursor, load, before) if is_same else None
        if is_same and why_again is None:
            readings[-1].places.append(place)
        else:
            readings.append(Reading([place], why_again))
    return readings


def reading_findings(readings: Sequence[Reading], loads: Sequence[ToRead]) -> Iterator[Check]:
    """What is read together, and what is read again, and why; of loads that are not finished."""
    for reading in readings:
        names = [loads[place].name for place in reading.places if not loads[place].is_finished]
        if names and reading.why_again:
            sentence = f"is loaded in another reading of its export than the table before it: {reading.why_again}"
            yield warning(Code.READ_AGAIN, sentence, names[0])
        for name in names if len(names) > 1 else ():
            others = ", ".join(other for other in names if other != name)
            yield fact(Code.READ_TOGETHER, f"is loaded in one reading of its export with {others}", name)


def _why_apart(cursor: Cursor, load: ToRead, before: Sequence[ToRead]) -> str | None:
    """Why a load cannot be made in the reading of those before it; None where it can."""
    if load.cut != before[0].cut:
        return f"it was begun with other sizes of chunks or splits than {before[0].name}"
    writing = [one.target for one in before if not one.is_finished]
    return next(_ties(cursor, load.target, writing), None) if writing and not load.is_finished else None


def _ties(cursor: Cursor, target: Target, others: Sequence[Target]) -> Iterator[str]:
    """Why rows of one of them may need rows of another."""
    for one in _families(*others, target):
        if one.has_insert_trigger:
            yield f"a trigger of {one.qualified} may look at rows of other tables; unless it is needed, DISABLE TRIGGER for the load"
        if one.has_row_security:
            yield f"row security of {one.qualified} applies to this role, and its policies may look at rows of other tables"
    oids = {"load": [one.oid for one in _families(target)], "others": [one.oid for one in _families(*others)]}
    cursor.execute(_FOREIGN_KEYS, oids)
    for name, table, referred in cursor.fetchall():
        yield (
            f"foreign key {name} leads from {table} to {referred}, where all rows must be first; to have one reading, drop it for the "
            "load, and add it again afterwards"
        )
    cursor.execute(_CHECKS, oids)
    for name, table in cursor.fetchall():
        yield f"check constraint {name} of {table} calls a function that may look at rows of other tables"


def _families(*targets: Target) -> list[Target]:
    """With their children."""
    return [one for target in targets for one in (target, *target.children)]


# A partition is written with its table, and may be what a key leads from or to.
_FAMILY: Final = """
    ARRAY(SELECT oid FROM unnest(%({targets})s::oid[]) AS of (oid)
          UNION SELECT relid FROM unnest(%({targets})s::oid[]) AS of (oid), pg_partition_tree(oid)
          UNION SELECT relid FROM unnest(%({targets})s::oid[]) AS of (oid), pg_partition_ancestors(oid))
"""
_LOAD: Final = _FAMILY.format(targets="load")
_OTHERS: Final = _FAMILY.format(targets="others")

# A constraint that is NOT ENFORCED (PostgreSQL 18) is one in name only.
_FOREIGN_KEYS: Final = f"""
    SELECT conname, conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND conparentid = 0 AND pg_get_constraintdef(oid) NOT LIKE '%%NOT ENFORCED'
      AND (conrelid = ANY ({_LOAD}) AND confrelid = ANY ({_OTHERS}) OR conrelid = ANY ({_OTHERS}) AND confrelid = ANY ({_LOAD}))
    ORDER BY 1, 2
"""

# PostgreSQL's own functions, on which no dependency is kept, look at no tables.
_CHECKS: Final = f"""
    SELECT conname, conrelid::regclass::text FROM pg_constraint con
    WHERE contype = 'c' AND conrelid = ANY ({_LOAD} || {_OTHERS})
      AND EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_constraint'::regclass AND objid = con.oid AND refclassid = 'pg_proc'::regclass)
    ORDER BY 1, 2
"""
