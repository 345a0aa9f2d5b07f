"""Runs a job where its arguments say, see `runners.py`.

On this machine that is one engine, pinned: Beam's FnApiRunner. (Beam's own DirectRunner tries to download another engine first and then
picks one of three, see Beam's `direct_runner.py`.) Small loads run in this process; larger ones in several worker processes. A worker
process that dies would leave FnApiRunner waiting for ever: here it ends the run.

A job on a Flink cluster (`pipeline/flink/`) or on Dataflow (`pipeline/dataflow/`) is another's to keep alive: what ends here, by Ctrl-C or
otherwise, leaves it going. Every other runner is Beam's own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from pipeline.engines.dataflow_job import DataflowJob, job_name
from pipeline.engines.dataflow_options import TEMPLATE
from pipeline.engines.failures import stopped_on_a_worker, without_memory, without_step
from pipeline.engines.flink_submission import FlinkJob
from pipeline.engines.interruption import Interruption
from pipeline.engines.runners import Runner, RunnerKind, is_left_alone, runner_of
from pipeline.engines.submission import RemoteJob
from pipeline.engines.worker_processes import worker_environment
from pipeline.errors import Stopped


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
    runner = runner_of(beam_arguments)
    remote = _remote_job(options, runner, name)
    interruption = Interruption(remote.whereabouts if remote else None)
    try:
        with interruption.awaited():
            is_local = runner.kind is RunnerKind.LOCAL
            engine = _local_runner(options, runner, workers) if is_local else options.view_as(StandardOptions).runner
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


def _remote_job(options: PipelineOptions, runner: Runner, name: str) -> RemoteJob | None:
    """The job on a Flink cluster or on Dataflow that the options mean; it gets a name there."""
    cloud = options.view_as(GoogleCloudOptions)  # where Beam keeps the names of all runners' jobs
    if runner.kind is RunnerKind.DATAFLOW:
        cloud.job_name = cloud.job_name or job_name(name)
        return DataflowJob(cloud.job_name, cloud.project, cloud.region, cloud.template_location)
    if runner.flink_master is None:
        return None
    cloud.job_name = cloud.job_name or name
    return FlinkJob(runner.flink_master, cloud.job_name)


def _local_runner(options: PipelineOptions, runner: Runner, workers: int) -> fn_runner.FnApiRunner:
    """The pinned engine, with the pipeline's options handed on to worker processes (FnApiRunner by name would not)."""
    direct = options.view_as(DirectOptions)
    if runner.workers is None:
        direct.direct_num_workers = workers
    environment = worker_environment() if direct.direct_num_workers != 1 and direct.direct_running_mode == "in_memory" else None
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(default_environment=environment, provision_info=provision)
