"""What validate and rollback have in common: a plan that travels with the job and makes, on a worker, a function for chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.dead_letters.files import RecordBatch
from pipeline.export.chunks import Chunk
from pipeline.loading import LoadPlan
from pipeline.postgres.session import Session

CheckChunk = Callable[[Chunk], RecordBatch]
"""Does what is to be done with one chunk, and returns what there is to tell. Doing it again does no harm and tells the same."""


class ChunkPlan(Protocol):
    """All that a worker needs; holds no secret."""

    @property
    def load_plan(self) -> LoadPlan:
        """The load whose chunks they are; its `run_id` is of this run."""

    def worker(self, session: Session) -> CheckChunk:
        """The function, for one session."""
