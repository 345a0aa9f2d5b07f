"""Stops a load that has more dead letters than it may. What counts is the ledger, so all workers and all runs of a load count together."""

from __future__ import annotations

import time
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.threshold import Threshold
from pipeline.ledger.loads import Load
from pipeline.ledger.totals import Totals, code_counts, load_totals
from pipeline.target.session import Cursor, Session

_LEAST_INTERVAL: Final = 0.5  # seconds
# Looking takes at most this share of a worker's time: the ledger adds up all chunks of the load for it.
_MOST_OF_THE_TIME: Final = 0.02
_CODES_TOLD: Final = 3


def stop_if_exceeded(cursor: Cursor, threshold: Threshold, load: Load, totals: Totals) -> None:
    """Raise `Stopped` if the load, of which `totals` are committed, has too many dead letters, and is not at its end."""
    excess = threshold.excess(totals.items, totals.dead_letters, load.manifest_items)
    if excess is None or totals.items >= load.manifest_items:
        return
    codes, _ = code_counts(cursor, load.load_id)
    told = ", ".join(f"{code} ({count:,})" for code, count in list(codes.items())[:_CODES_TOLD])
    share = totals.dead_letters / totals.items
    message = (
        f"{load.source_table}: {totals.dead_letters:,} of {totals.items:,} items are dead letters ({share:.1%}), {excess}; most by code: "
        f"{told}. What is committed stays, nothing more is loaded. See what is wrong with ddb2pg preflight --sample=20. If it is the "
        f"definition of the table, mend it and begin anew (docs/how-it-works.md, Begin anew); if it is to be so, run the same command "
        f"again with a higher --max_dead_letters (100% is no limit) to go on"
    )
    raise Stopped(message)


class DeadLetterGuard:
    """Of one worker. It knows its own dead letters at once, those of the others a moment later.

    A worker that has no dead letters does not look at all; one that has looks now and then, and at once when its own are too many.
    """

    def __init__(self, threshold: Threshold, load: Load, session: Session) -> None:
        self._threshold = threshold
        self._load = load
        self._session = session
        self._seen: Totals | None = None
        self._items = 0
        self._dead_letters = 0
        self._next_look = 0.0

    def check(self) -> None:
        """Before a chunk is written. Raises `Stopped`."""
        if self._threshold.is_limited and self._is_time_to_look():
            self._session.transact(self._look)

    def note(self, items: int, dead_letters: int) -> None:
        """What became of a chunk that this worker wrote."""
        self._items += items
        self._dead_letters += dead_letters

    def _is_time_to_look(self) -> bool:
        if self._seen is None:
            return True
        if not self._dead_letters:
            return False
        items, dead_letters = self._seen.items + self._items, self._seen.dead_letters + self._dead_letters
        return time.monotonic() >= self._next_look or self._threshold.excess(items, dead_letters, self._load.manifest_items) is not None

    def _look(self, cursor: Cursor) -> None:
        started = time.monotonic()
        self._seen = load_totals(cursor, self._load.load_id)
        self._items = self._dead_letters = 0
        ended = time.monotonic()
        self._next_look = ended + max(_LEAST_INTERVAL, (ended - started) / _MOST_OF_THE_TIME)
        stop_if_exceeded(cursor, self._threshold, self._load, self._seen)
