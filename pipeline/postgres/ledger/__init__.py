"""The ledger: what of an export is in its target, kept beside the target and committed with its rows.

Every statement on the schema `ddb2pg` is in this room. Its tables are described in `sql/ledger.sql`.
"""

from pipeline.postgres.ledger.chunks import (
    ChunkCounts,
    ChunkKey,
    CommittedChunk,
    claim_chunk,
    committed_chunk,
    committed_chunks,
    note_refused,
)
from pipeline.postgres.ledger.loads import Load, all_loads, create, exists, find_load, finish_load, is_ours, other_loads, start_load
from pipeline.postgres.ledger.totals import Totals, code_counts, file_totals, load_totals, note_refused_file, refused_files

__all__ = [
    "ChunkCounts",
    "ChunkKey",
    "CommittedChunk",
    "Load",
    "Totals",
    "all_loads",
    "claim_chunk",
    "code_counts",
    "committed_chunk",
    "committed_chunks",
    "create",
    "exists",
    "file_totals",
    "find_load",
    "finish_load",
    "is_ours",
    "load_totals",
    "note_refused",
    "note_refused_file",
    "other_loads",
    "refused_files",
    "start_load",
]
