"""The runs of a load: when, by which workers, and how fast. For people, from the chunks' ledger rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pipeline.target.session import Cursor

_MOST_RUNS: Final = 20
_MOST_BUCKETS: Final = 60
_LEAST_BUCKETS: Final = 3
_CHUNKS_A_BUCKET: Final = 4
"""With fewer chunks a curve would only show where they begin."""


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What one worker process committed in one run; `worker` is HOST:PID, None where it is not recorded."""

    worker: str | None
    chunks: int
    items: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Items that were committed in each of equal spans of time, one after the other from `first_commit` on."""

    bucket_seconds: float
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoadingRun:
    """One run that committed chunks of a load."""

    run_id: str
    first_commit: datetime
    last_commit: datetime
    chunks: int
    items: int
    workers: tuple[WorkerShare, ...]
    pace: Pace | None
    """None where there are too few chunks to draw a curve through."""


def count_workers(cursor: Cursor, load_ids: Sequence[int]) -> int:
    """How many workers have committed a chunk of one of the loads within the last minute."""
    cursor.execute(
        "SELECT count(DISTINCT worker) FROM ddb2pg.chunk "
        "WHERE load_id = ANY (%s) AND committed_at > clock_timestamp() - interval '1 minute'",
        [list(load_ids)],
    )
    return int(cursor.fetchone()[0])


def loading_runs(cursor: Cursor, load_id: int) -> tuple[LoadingRun, ...]:
    """The runs that committed chunks of a load, the newest first; of many, the newest twenty."""
    cursor.execute(
        """
        SELECT run_id, min(committed_at), max(committed_at), count(*), sum(items)::bigint FROM ddb2pg.chunk
        WHERE load_id = %s GROUP BY run_id ORDER BY run_id DESC LIMIT %s
        """,
        [load_id, _MOST_RUNS],
    )
    runs = cursor.fetchall()
    workers = _workers(cursor, load_id, [run_id for run_id, *_ in runs])
    return tuple(
        LoadingRun(run_id, first, last, chunks, items, tuple(workers[run_id]), _pace(cursor, load_id, run_id, first, last - first, chunks))
        for run_id, first, last, chunks, items in runs
    )


def _workers(cursor: Cursor, load_id: int, run_ids: Sequence[str]) -> dict[str, list[WorkerShare]]:
    """By run, those first that committed the most items."""
    cursor.execute(
        """
        SELECT run_id, worker, count(*), sum(items)::bigint FROM ddb2pg.chunk
        WHERE load_id = %s AND run_id = ANY (%s) GROUP BY run_id, worker ORDER BY 4 DESC, 2
        """,
        [load_id, run_ids],
    )
    workers: dict[str, list[WorkerShare]] = {run_id: [] for run_id in run_ids}
    for run_id, *share in cursor.fetchall():
        workers[run_id].append(WorkerShare(*share))
    return workers


def _pace(cursor: Cursor, load_id: int, run_id: str, first: datetime, took: timedelta, chunks: int) -> Pace | None:
    buckets = min(_MOST_BUCKETS, chunks // _CHUNKS_A_BUCKET)
    if buckets < _LEAST_BUCKETS or not took:
        return None
    seconds = took.total_seconds() / buckets
    cursor.execute(
        """
        SELECT greatest(0, least(%s, floor(extract(epoch FROM committed_at - %s) / %s)))::integer AS bucket, sum(items)::bigint
        FROM ddb2pg.chunk WHERE (load_id, run_id) = (%s, %s) GROUP BY bucket
        """,
        [buckets - 1, first, seconds, load_id, run_id],
    )
    items_of_bucket = dict(cursor.fetchall())
    return Pace(seconds, tuple(items_of_bucket.get(bucket, 0) for bucket in range(buckets)))
