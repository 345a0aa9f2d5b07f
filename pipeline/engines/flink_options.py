"""Beam's options for a job on Flink, where none were given.

Beam's own defaults are one slot, one Python process a TaskManager, no second try, and workers in Docker containers without ddb2pg in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.engines.beam_arguments import given_number, is_given
from pipeline.engines.flink_cluster import FlinkCluster

# A job begins anew as a whole; the ledger knows what is done, so that costs reading and no writing.
_RETRIES: Final = 3
_RETRY_DELAY: Final = 5_000  # milliseconds
# Between two stages of a job nobody needs a worker for a moment, and starting one takes seconds. But a worker that died is kept as well, so
# it must be forgotten before the next try.
_WORKERS_KEPT: Final = 4_000  # milliseconds
_POOL: Final = "localhost:50000"
_WORKERS: Final = ("environment_type", "environment_config")
_SUBMISSION: Final = ("job_endpoint", "artifact_endpoint")
_OTHER_WAYS: Final = ("job_endpoint", "flink_job_server_jar", "flink_submit_uber_jar")


def with_defaults(arguments: Sequence[str], cluster: FlinkCluster) -> list[str]:
    """The arguments, and those that a job needs beside them; what was given stands."""
    missing = ((name, value) for name, value in _defaults(arguments, cluster) if not is_given(arguments, name))
    return [*arguments, *(f"--{name}" if value is None else f"--{name}={value}" for name, value in missing)]


def _defaults(arguments: Sequence[str], cluster: FlinkCluster) -> Iterator[tuple[str, object]]:
    """Names and values; None for a switch."""
    parallelism = given_number(arguments, "parallelism") or usual_parallelism(cluster.slots)
    if parallelism:
        yield "parallelism", parallelism
        yield "sdk_worker_parallelism", -(-parallelism // max(1, len(cluster.slots)))
    yield "number_of_execution_retries", _RETRIES
    yield "execution_retry_delay", _RETRY_DELAY
    yield "environment_cache_millis", _WORKERS_KEPT
    # These belong together: half of a pair that was given is not completed with another's half.
    if not is_given(arguments, "environment_type"):
        pool = {"environment_type": "EXTERNAL", "environment_config": _POOL}
        yield from ((name, cluster.told.get(name, pool[name])) for name in _WORKERS)
    if "job_endpoint" in cluster.told and not any(is_given(arguments, name) for name in _OTHER_WAYS):
        yield from ((name, cluster.told[name]) for name in _SUBMISSION if name in cluster.told)
    elif not is_given(arguments, "job_endpoint"):
        # The job goes there in one jar, with all that it brings along: it needs no Java here, and nothing of ours once it runs.
        yield "flink_submit_uber_jar", None


def usual_parallelism(slots: Sequence[int]) -> int:
    """As many slots as are left when the largest TaskManager is lost, so that the others can take over; but no TaskManager idle."""
    if len(slots) < 2:
        return sum(slots)
    return max(sum(slots) - max(slots), len(slots))
