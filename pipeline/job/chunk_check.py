"""What validate and rollback have in common: a plan that travels with the job and makes, on a worker, a function for chunks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from pipeline.errors import Stopped
from pipeline.job.loading import LoadPlan
from pipeline.ledger.comparisons import Comparing, forget_comparison
from pipeline.records.files import RecordBatch
from pipeline.source.chunks import Chunk
from pipeline.target.session import RetryLimit, Session

CheckChunk = Callable[[Chunk], RecordBatch]
"""Does what is to be done with one chunk, and returns what there is to tell. Doing it again does no harm and tells the same."""


class ChunkPlan(Protocol):
    """All that a worker needs; holds no secret."""

    @property
    def load_plan(self) -> LoadPlan:
        """The load whose chunks they are; its `run_id` is of this run."""

    def worker(self, session: Session) -> CheckChunk:
        """The function, for one session."""


def forget(plan: LoadPlan) -> None:
    """Delete what a run keeps in the ledger of the chunks that it compared; where that fails, a later run does it."""
    comparing = Comparing(plan.load.load_id, plan.run_id, seed=0)
    with contextlib.suppress(Stopped), Session(plan.database, RetryLimit(tries=2)) as session:
        session.transact(lambda cursor: forget_comparison(cursor, comparing))
