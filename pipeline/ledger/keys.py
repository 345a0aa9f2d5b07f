"""What names a chunk, and an item, in the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk of a load, in every run the same."""

    load_id: int
    data_file: str
    first_item: int


@dataclass(frozen=True, slots=True)
class ItemKey:
    """An item of an export: its number from 0 in its data file."""

    data_file: str
    item_number: int
