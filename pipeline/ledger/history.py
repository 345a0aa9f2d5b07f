"""The runs of a load: when, by which workers, and how fast. For people, from the chunks' ledger rows."""

from __future__ import annotations

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


def count_workers(cursor: Cursor, load_id: int) -> int:
    """How many workers have committed a chunk of a load within the last minute."""
    cursor.execute(
        "SELECT count(DISTINCT worker) FROM ddb2pg.chunk WHERE load_id = %s AND committed_at > clock_timestamp() - interval '1 minute'",
        [load_id],
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
    return tuple(
        LoadingRun(
            run_id, first, last, chunks, items, _workers(cursor, load_id, run_id), _pace(cursor, load_id, run_id, last - first, chunks)
        )
        for run_id, first, last, chunks, items in cursor.fetchall()
    )


def _workers(cursor: Cursor, load_id: int, run_id: str) -> tuple[WorkerShare, ...]:
    cursor.execute(
        """
        SELECT worker, count(*), sum(items)::bigint FROM ddb2pg.chunk
        WHERE (load_id, run_id) = (%s, %s) GROUP BY worker ORDER BY 3 DESC, 1
        """,
        [load_id, run_id],
    )
    return tuple(WorkerShare(*row) for row in cursor.fetchall())


def _pace(cursor: Cursor, load_id: int, run_id: str, took: timedelta, chunks: int) -> Pace | None:
    buckets = min(_MOST_BUCKETS, chunks // _CHUNKS_A_BUCKET)
    if buckets < _LEAST_BUCKETS or not took:
        return None
    seconds = took.total_seconds() / buckets
    cursor.execute(
        """
        SELECT least(%s, floor(extract(epoch FROM committed_at - first) / %s))::integer AS bucket, sum(items)::bigint
        FROM (SELECT committed_at, items, min(committed_at) OVER () AS first FROM ddb2pg.chunk WHERE (load_id, run_id) = (%s, %s)) timed
        GROUP BY bucket
        """,
        [buckets - 1, seconds, load_id, run_id],
    )
    items_of_bucket = dict(cursor.fetchall())
    return Pace(seconds, tuple(items_of_bucket.get(bucket, 0) for bucket in range(buckets)))
