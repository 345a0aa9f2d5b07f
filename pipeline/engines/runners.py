"""Which runner a command's job goes to, and what follows from that before there is a job.

`--runner=DirectRunner`, and no runner at all, mean this machine, see `run.py`. Beam takes a second to be imported: it is asked for what its
own parser alone knows, and a command that was given none of its options does not ask it.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pipeline.engines.arguments import USUAL_LIMIT, Submission, WorkerLimit, given_number, given_values, is_given, option_names
from pipeline.engines.dataflow import TEMPLATE, connections_each, planned_connections, ready_for_dataflow
from pipeline.engines.forked_workers import prepare
from pipeline.errors import Refused

# Starting worker processes takes a second or two; below this many items one process is done sooner.
_ITEMS_WORTH_WORKERS: Final = 100_000


class RunnerKind(Enum):
    """The runners that something is known of."""

    LOCAL = "this machine"
    FLINK = "a Flink cluster"
    DATAFLOW = "Dataflow"
    OTHER = "another"


@dataclass(frozen=True, slots=True)
class Runner:
    """What Beam's options say of where the job runs."""

    kind: RunnerKind
    flink_master: str | None = None
    workers: int | None = None
    """`--direct_num_workers`, where it is given; 0 means one a processor."""


def runner_of(beam_arguments: Sequence[str]) -> Runner:
    """Where a job with these arguments runs. `[local]` and `[auto]` are Flink within Beam's own job server, and no cluster."""
    name = (given_values(beam_arguments, "runner") or ["DirectRunner"])[-1].lower()
    master = (given_values(beam_arguments, "flink_master") or ["[auto]"])[-1]
    if name == "directrunner":
        return Runner(RunnerKind.LOCAL, workers=given_number(beam_arguments, "direct_num_workers"))
    if name == "dataflowrunner":
        return Runner(RunnerKind.DATAFLOW)
    if name == "flinkrunner" and not master.startswith("["):
        return Runner(RunnerKind.FLINK, flink_master=master)
    return Runner(RunnerKind.OTHER)


def is_dataflow(beam_arguments: Sequence[str]) -> bool:
    return runner_of(beam_arguments).kind is RunnerKind.DATAFLOW


def is_left_alone(beam_arguments: Sequence[str]) -> bool:
    """Whether the job only begins when this process has ended."""
    return is_dataflow(beam_arguments) and is_given(beam_arguments, TEMPLATE)


# -- workers -------------------------------------------------------------------------------------------------------------------------------


def worker_count(items: int, splits: int) -> int:
    """How many worker processes a load is worth on this machine."""
    if items < _ITEMS_WORTH_WORKERS:
        return 1
    return max(1, min(_cores(), splits))


def most_workers(beam_arguments: Sequence[str]) -> int | None:
    """How many workers a run may have at once; None where that is not known before."""
    runner = runner_of(beam_arguments)
    return runner.workers or _cores() if runner.kind is RunnerKind.LOCAL else _remote_workers(runner, beam_arguments)


def planned_workers(beam_arguments: Sequence[str], items: int, splits: int) -> int | None:
    """How many workers, each with a connection, a load would get; None where a runner decides that we know nothing of."""
    runner = runner_of(beam_arguments)
    if runner.kind is not RunnerKind.LOCAL:
        return _remote_workers(runner, beam_arguments)
    if runner.workers is None:
        return worker_count(items, splits)
    return runner.workers or os.cpu_count() or 1


def prepare_workers(beam_arguments: Sequence[str], items: int, splits: int, *modules: str) -> None:
    """Have worker processes with these modules at hand for a load of this size, if it is worth any; returns at once."""
    if runner_of(beam_arguments).kind is RunnerKind.LOCAL and (planned_workers(beam_arguments, items, splits) or 1) > 1:
        prepare(modules)


def worker_limit(beam_arguments: Sequence[str]) -> WorkerLimit:
    """The option that lowers the number of workers."""
    match runner_of(beam_arguments).kind:
        case RunnerKind.DATAFLOW:
            return WorkerLimit("max_num_workers", connections_each(beam_arguments) or 1, is_needed=True)
        case RunnerKind.FLINK:
            return WorkerLimit("parallelism")
        case _:
            return USUAL_LIMIT


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _remote_workers(runner: Runner, beam_arguments: Sequence[str]) -> int | None:
    """Of a job on a Flink cluster, or on Dataflow, where that is known."""
    match runner.kind:
        case RunnerKind.DATAFLOW:
            return planned_connections(beam_arguments)
        case RunnerKind.FLINK:
            return given_number(beam_arguments, "parallelism")
        case _:
            return None


# -- arguments -----------------------------------------------------------------------------------------------------------------------------


def unknown_arguments(arguments: Sequence[str]) -> list[str]:
    """What Beam does not know: itself it would pass over a misspelt option in silence. Raises `Refused` for what must not be chosen.

    Other runners add options of their own, so theirs are not checked.
    """
    if not arguments:
        return []
    of_beams_s3 = sorted({argument.partition("=")[0] for argument in arguments if argument.startswith("--s3_")})
    if of_beams_s3:
        # Beam shows its options in logs and keeps them with the job.
        message = (
            f"{', '.join(of_beams_s3)}: not taken. Credentials for S3 come from the environment, a profile or the machine's role, here and "
            "on workers; there are --endpoint_url and --aws_region for the rest"
        )
        raise Refused([message])
    if runner_of(arguments).kind is not RunnerKind.LOCAL:
        return []
    if set(given_values(arguments, "direct_running_mode")) - {"in_memory"}:
        # Its log would quote items, and --direct_num_workers has processes of its own.
        raise Refused(["--direct_running_mode is not for choosing; --direct_num_workers=N starts N worker processes"])
    return list(_unknown_to_beam(tuple(arguments)))


def ready_to_run(given: Submission, *, has_shared_folders: bool, database: str | None, is_url_given: bool) -> Submission:
    """What was given as the runner's workers can use it. Raises `Refused` with all that they could not.

    `database` is the reference to one that was given.
    """
    runner = runner_of(given.beam_arguments)
    if runner.kind is RunnerKind.DATAFLOW:
        unknown = option_names(_unknown_to_beam(tuple(given.beam_arguments)))
        return ready_for_dataflow(given, unknown, has_shared_folders=has_shared_folders, database=database)
    if runner.flink_master is None:
        return given
    from apache_beam.options.pipeline_options import FlinkRunnerOptions  # noqa: PLC0415 - Beam takes long to import

    from pipeline.engines.flink import look_at_cluster, ready_for_flink  # noqa: PLC0415 - so do libraries for HTTP

    cluster, versions = look_at_cluster(runner.flink_master), FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    return ready_for_flink(given, cluster, versions, has_shared_folders=has_shared_folders, is_url_given=is_url_given)


@functools.cache
def _unknown_to_beam(arguments: tuple[str, ...]) -> Sequence[str]:
    """The arguments that no options of Beam take."""
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415 - Beam takes long to import

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)  # noqa: SLF001 - Beam's own way of adding to a parser, under this name for its subclasses
    return parser.parse_known_args(list(arguments))[1]
