"""Differences planted in the three targets, and what validate must say of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.postgres_server import Database
from tests.truth import records
from transforms.tables.medzen import TABLES

NEW_ID = "ffffffff-0000-4000-8000-{:012d}"


@dataclass
class Planted:
    """By target: id -> the columns that were changed; the ids of rows that were deleted; those of new rows."""

    different: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {table.target: {} for table in TABLES})
    deleted: dict[str, set[str]] = field(default_factory=lambda: {table.target: set() for table in TABLES})
    added: dict[str, set[str]] = field(default_factory=lambda: {table.target: set() for table in TABLES})


CHANGES = {
    "video_call_sessions": {
        "status": "CASE status WHEN 'ACTIVE' THEN 'FAILED' ELSE 'ACTIVE' END",
        "join_url": "coalesce(join_url, '') || ' '",
        "appointment_id": "gen_random_uuid()",
        "start_time": "start_time + interval '1 microsecond'",
        "end_time": "end_time - interval '1 microsecond'",
        "transcription_enabled": "NOT transcription_enabled",
        "created_at": "NULL",
    },
    "clinical_notes": {
        "subjective": """'{"dose": 1.23456789012345678901234567891}'""",
        "objective": "jsonb_build_object('planted', objective)",
        "note_type": "lower(note_type)",
        "ai_generated_at": "coalesce(ai_generated_at, '2020-01-01') + interval '1 microsecond'",
    },
    "video_call_audit_log": {"event_data": "jsonb_build_array(event_data)", "event_type": "event_type || 'x'"},
}
"""By target and column: what makes another value of any that is there."""


def plant(database: Database) -> Planted:
    """One row changed in each of the columns, and one in several; two deleted, three added; and what is equal, changed in all others."""
    planted = Planted()
    for table in TABLES:
        target = table.target
        ids = [row[0] for row in database.query(f"SELECT id::text FROM {target} ORDER BY md5(id::text)")]
        for column, value in CHANGES[target].items():
            database.execute(f"UPDATE {target} SET {column} = {value} WHERE id = %s", ids[-1])
            planted.different[target][ids.pop()] = {column}
        both = ", ".join(f"{column} = {value}" for column, value in CHANGES[target].items())
        database.execute(f"UPDATE {target} SET {both} WHERE id = %s", ids[-1])
        planted.different[target][ids.pop()] = set(CHANGES[target])
        planted.deleted[target] = {ids.pop(), ids.pop()}
        database.execute(f"DELETE FROM {target} WHERE id = ANY (%s::uuid[])", sorted(planted.deleted[target]))
        planted.added[target] = add_rows(database, target, 3)
        database.execute(
            f"UPDATE {target} SET session_id = session_id" if target != "video_call_sessions" else f"UPDATE {target} SET id = id"
        )
    return planted


def add_rows(database: Database, target: str, count: int, first: int = 1) -> set[str]:
    """New rows of somebody else; their ids."""
    added = set()
    required = [
        name
        for (name,) in database.query(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull AND attname <> 'id'", target
        )
    ]
    values = ", ".join("'X'" if name in ("status", "note_type", "event_type") else "gen_random_uuid()" for name in required)
    for number in range(first, first + count):
        identity = NEW_ID.format(number)
        database.execute(f"INSERT INTO {target} (id, {', '.join(required)}) VALUES (%s, {values})", identity)
        added.add(identity)
    return added


def found_in(folder: Path) -> dict[str, Planted | dict[str, Any]]:
    """What the mismatch files of a run say, by kind and target: the same shapes as planted."""
    found = Planted()
    others: dict[str, Any] = {}
    for table in TABLES:
        for record in records(folder / table.source):
            identity = (record["primary_key"] or {}).get("id") or record["key"]["id"]["S"].lower()
            match record["kind"]:
                case "different":
                    found.different[table.target][identity] = set(record["columns"])
                case "missing":
                    found.deleted[table.target].add(identity)
                case "row_without_item":
                    found.added[table.target].add(identity)
                case kind:
                    others.setdefault(kind, []).append((table.target, identity))
    return {"planted": found, "others": others}


def versions(database: Database) -> list[object]:
    """All rows of the three tables with their versions: unchanged when nothing was written."""
    return [database.query(f"SELECT xmin::text, ctid::text, t::text FROM {table.target} t ORDER BY 2") for table in TABLES]


def report_of(folder: Path) -> dict[str, Any]:
    """`report.json` of a run."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def parts_of(table: dict[str, Any]) -> dict[str, int]:
    """Of a table of a report: its parts, which are its total."""
    parts = {part["name"]: part["count"] for part in table["parts"]}
    assert sum(parts.values()) == table["total"] == table["seen"] or table["problems"]
    return parts
