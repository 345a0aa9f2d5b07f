"""What names a chunk in the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk of a load, in every run the same."""

    load_id: int
    data_file: str
    first_item: int
