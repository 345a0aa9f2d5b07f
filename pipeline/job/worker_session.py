"""The database as a worker sees it, wherever that is."""

from __future__ import annotations

from pipeline.job.loading import LoadPlan
from pipeline.ledger.loads import stop_if_not_here
from pipeline.target.session import Session


class WorkerSession(Session):
    """A worker's session; its database must be the one in which the load was begun, and a reference may mean another where this runs."""

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__(plan.database)
        self._load = plan.load
        self._is_checked = False

    def check(self) -> None:
        """Raise `Stopped` for another database.

        To be called for the first element, not in a DoFn's `setup`: Flink waits for minutes for a worker that fails before it.
        """
        if not self._is_checked:
            self.transact(lambda cursor: stop_if_not_here(cursor, self._load))
            self._is_checked = True
