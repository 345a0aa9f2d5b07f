"""Definitions as plain data, for programs: `check-definition --json`, and `sample-export`, which knows nothing of our objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

from pipeline.definitions.find import record_folder
from transforms.table import Column, Table
from transforms.where import Ignore


def describe(tables: Sequence[Table]) -> dict[str, list[dict[str, Any]]]:
    """`tables`, each with the name of its records, and `ignored`; an object is `{"Part": {"path": "SK", ...}}`, as in TOML."""
    ignored = {id(entry): entry for table in tables for entry in table.others if isinstance(entry, Ignore)}
    return {
        "tables": [
            {
                "name": record_folder(table, tables),
                "source": table.source,
                "target": table.target,
                "key": list(table.key),
                "where": _plain(table.where),
                "columns": list(map(_column, table.columns)),
                "children": [
                    {"path": child.path, "target": child.target, "columns": list(map(_column, child.columns))} for child in table.children
                ],
            }
            for table in tables
        ],
        "ignored": [{"source": entry.source, "where": _plain(entry.where)} for entry in ignored.values()],
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "source": _plain(column.source),
        "name": column.name,
        "type": str(column.pg_type),
        "rule": _plain(column.rule),
        "missing": _plain(column.missing),
        "clean": [each.name for each in column.clean],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return str(value) if isinstance(value, StrEnum) else value.name
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: {field.name: _plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    if isinstance(value, Decimal):
        return str(value)
    return {"function": getattr(value, "__name__", "")} if callable(value) else value
