"""Where the job runs. `--runner=DirectRunner`, and no runner at all, mean one engine, pinned: Beam's FnApiRunner on this machine.

(Beam's own DirectRunner tries to download another engine first and then picks one of three, see Beam's `direct_runner.py`.) Small loads
run in this process; larger ones in several worker processes. A worker process that dies would leave FnApiRunner waiting for ever: here it
ends the run.

A job on a Flink cluster (`pipeline/flink/`) or on Dataflow (`pipeline/dataflow/`) is another's to keep alive: what ends here, by Ctrl-C or
otherwise, leaves it going.
Every other runner is Beam's own affair.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, FlinkRunnerOptions, GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from pipeline.arguments import option_names
from pipeline.beam_arguments import given_number, is_given
from pipeline.dataflow import submission as dataflow_submission
from pipeline.dataflow.connections import connections_each, planned_connections
from pipeline.dataflow.job import DataflowJob, job_name
from pipeline.dataflow.options import TEMPLATE
from pipeline.errors import Refused, Stopped
from pipeline.failures import stopped_on_a_worker, without_memory, without_step
from pipeline.flink import submission as flink_submission
from pipeline.flink.cluster import is_cluster, look_at_cluster
from pipeline.fork_server import get_ready
from pipeline.interruption import Interruption
from pipeline.submission import RemoteJob, Submission, WorkerLimit
from pipeline.worker_processes import worker_environment

_LOCAL: Final = "DirectRunner"
_FLINK: Final = "FlinkRunner"
_DATAFLOW: Final = "DataflowRunner"

# Starting worker processes takes a second or two; below this many items one process is done sooner.
_ITEMS_WORTH_WORKERS: Final = 100_000


def worker_count(items: int, splits: int) -> int:
    """How many worker processes a load is worth on this machine."""
    if items < _ITEMS_WORTH_WORKERS:
        return 1
    return max(1, min(_cores(), splits))


def most_workers(beam_arguments: Sequence[str]) -> int | None:
    """How many workers a run may have at once; None where nobody knows before."""
    options = PipelineOptions(list(beam_arguments))
    if not is_local(options.view_as(StandardOptions).runner):
        return _remote_workers(beam_arguments)
    return (_is_number_of_workers_given(beam_arguments) and options.view_as(DirectOptions).direct_num_workers) or _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def planned_workers(beam_arguments: Sequence[str], items: int, splits: int) -> int | None:
    """How many workers, each with a connection, a load would get; None where a runner decides that we know nothing of."""
    options = PipelineOptions(list(beam_arguments))
    if not is_local(options.view_as(StandardOptions).runner):
        return _remote_workers(beam_arguments)
    if not _is_number_of_workers_given(beam_arguments):
        return worker_count(items, splits)
    return options.view_as(DirectOptions).direct_num_workers or os.cpu_count() or 1  # Beam takes 0 for all


def prepare_workers(beam_arguments: Sequence[str], items: int, splits: int) -> None:
    """Have worker processes at hand for a load of this size, if it is worth any; returns at once."""
    if (
        is_local(PipelineOptions(list(beam_arguments)).view_as(StandardOptions).runner)
        and (planned_workers(beam_arguments, items, splits) or 1) > 1
    ):
        get_ready()


def _remote_workers(beam_arguments: Sequence[str]) -> int | None:
    """Of a job on a Flink cluster, or on Dataflow, where that is known."""
    options = PipelineOptions(list(beam_arguments))
    if _is_dataflow(options):
        return planned_connections(beam_arguments)
    return given_number(beam_arguments, "parallelism") if _cluster_of(options) else None


def worker_limit(beam_arguments: Sequence[str]) -> WorkerLimit:
    """The option that lowers the number of workers."""
    options = PipelineOptions(list(beam_arguments))
    if _is_dataflow(options):
        return WorkerLimit("max_num_workers", connections_each(beam_arguments) or 1, is_needed=True)
    return WorkerLimit("parallelism" if _cluster_of(options) else "direct_num_workers")


def is_left_alone(beam_arguments: Sequence[str]) -> bool:
    """Whether the job only begins when this process has ended."""
    return is_dataflow(beam_arguments) and is_given(beam_arguments, TEMPLATE)


def is_dataflow(beam_arguments: Sequence[str]) -> bool:
    """Whether the job goes to Dataflow."""
    return _is_dataflow(PipelineOptions(list(beam_arguments)))


def _is_dataflow(options: PipelineOptions) -> bool:
    return (options.view_as(StandardOptions).runner or "").lower() == _DATAFLOW.lower()


def _cluster_of(options: PipelineOptions) -> str | None:
    """`--flink_master` of a job that goes to a Flink cluster."""
    master = options.view_as(FlinkRunnerOptions).flink_master
    is_flink = (options.view_as(StandardOptions).runner or "").lower() == _FLINK.lower()
    return master if is_flink and is_cluster(master) else None


def ready_to_run(given: Submission, *, has_shared_folders: bool, database: str | None, is_url_given: bool) -> Submission:
    """What was given as the runner's workers can use it. Raises `Refused` with all that they could not.

    `database` is the reference to one that was given.
    """
    options = PipelineOptions(list(given.beam_arguments))
    if _is_dataflow(options):
        unknown = option_names(_unknown_to_beam(given.beam_arguments)[1])
        return dataflow_submission.made_ready(given, unknown, has_shared_folders=has_shared_folders, database=database)
    master = _cluster_of(options)
    if master is None:
        return given
    versions = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    return flink_submission.made_ready(
        given, look_at_cluster(master), versions, has_shared_folders=has_shared_folders, is_url_given=is_url_given
    )


def unknown_arguments(arguments: Sequence[str]) -> list[str]:
    """What Beam does not know: itself it would pass over a misspelt option in silence. Raises `Refused` for what must not be chosen.

    Other runners add options of their own, so theirs are not checked.
    """
    known, unknown = _unknown_to_beam(arguments)
    of_beams_s3 = sorted({argument.partition("=")[0] for argument in arguments if argument.startswith("--s3_")})
    if of_beams_s3:
        # Beam shows its options in logs and keeps them with the job.
        message = (
            f"{', '.join(of_beams_s3)}: not taken. Credentials for S3 come from the environment, a profile or the machine's role, here and "
            "on workers; there are --endpoint_url and --aws_region for the rest"
        )
        raise Refused([message])
    if not is_local(known.runner):
        return []
    if known.direct_running_mode not in (None, "in_memory"):
        # Its log would quote items, and --direct_num_workers has processes of its own.
        raise Refused(["--direct_running_mode is not for choosing; --direct_num_workers=N starts N worker processes"])
    return unknown


def _unknown_to_beam(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)  # noqa: SLF001 - Beam's own way of adding to a parser, under this name for its subclasses
    return parser.parse_known_args(list(arguments))


def is_local(runner: str | None) -> bool:
    """Whether a runner's name means the pinned engine of this machine."""
    return runner is None or runner.lower() == _LOCAL.lower()


def run_pipeline(define: Callable[[beam.Pipeline], None], beam_arguments: Sequence[str], workers: int, name: str) -> None:
    """Define a pipeline and run it to its end; `workers` is for this machine, and `--direct_num_workers` stands above it.

    `name` is the job's on a cluster, unless `--job_name` gives another. Raises `Stopped` with the sentence of the step that stopped, for a
    worker's death and for SIGTERM, `Interrupted` for Ctrl-C. Any other exception is a bug.
    """
    if is_left_alone(beam_arguments):
        message = f"--{TEMPLATE}: this job must be waited for, and one that is written to a template begins only afterwards; leave it out"
        raise Stopped(message)
    _run(define, beam_arguments, workers, name, waits=True)


def send_pipeline(define: Callable[[beam.Pipeline], None], beam_arguments: Sequence[str], name: str) -> RemoteJob | None:
    """Define a pipeline and hand it to its service, which runs it without us. Raises as `run_pipeline`."""
    return _run(define, beam_arguments, 1, name, waits=False)


def _run(
    define: Callable[[beam.Pipeline], None], beam_arguments: Sequence[str], workers: int, name: str, *, waits: bool
) -> RemoteJob | None:
    options = PipelineOptions(list(beam_arguments), save_main_session=False)
    remote = _remote_job(options, name)
    runner = options.view_as(StandardOptions).runner
    interruption = Interruption(remote.whereabouts if remote else None)
    try:
        with interruption.awaited():
            engine = (
                _local_runner(options, None if _is_number_of_workers_given(beam_arguments) else workers) if is_local(runner) else runner
            )
            root = beam.Pipeline(runner=engine, options=options)
            define(root)
            result = root.run()
            if remote is not None:
                remote.submitted(result)
            if waits:
                result.wait_until_finish()
    except BaseException as error:
        # First, because Beam makes an exception of its own of what a signal's handler raised.
        if interruption.reason is not None:
            raise interruption.reason_told() from None
        sentence = str(error) if isinstance(error, Stopped) else stopped_on_a_worker(error) or without_memory(error)
        if sentence is None and remote is not None:
            sentence = remote.failure(error)
        if sentence is None:
            raise
        raise Stopped(without_step(sentence)) from None
    return remote


def _remote_job(options: PipelineOptions, name: str) -> RemoteJob | None:
    """The job on a Flink cluster or on Dataflow that the options mean; it gets a name there."""
    cloud = options.view_as(GoogleCloudOptions)  # where Beam keeps the names of all runners' jobs
    if _is_dataflow(options):
        cloud.job_name = cloud.job_name or job_name(name)
        return DataflowJob(cloud.job_name, cloud.project, cloud.region, cloud.template_location)
    master = _cluster_of(options)
    if master is None:
        return None
    cloud.job_name = cloud.job_name or name
    return flink_submission.FlinkJob(master, cloud.job_name)


def _is_number_of_workers_given(beam_arguments: Sequence[str]) -> bool:
    return is_given(beam_arguments, "direct_num_workers")


def _local_runner(options: PipelineOptions, workers_unless_given: int | None) -> fn_runner.FnApiRunner:
    """The pinned engine, with the pipeline's options handed on to worker processes (FnApiRunner by name would not)."""
    direct = options.view_as(DirectOptions)
    if workers_unless_given is not None:
        direct.direct_num_workers = workers_unless_given
    environment = worker_environment() if direct.direct_num_workers != 1 and direct.direct_running_mode == "in_memory" else None
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(default_environment=environment, provision_info=provision)
