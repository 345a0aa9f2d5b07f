"""Where the job runs. `--runner=DirectRunner`, and no runner at all, mean one engine, pinned: Beam's FnApiRunner on this machine.

(Beam's own DirectRunner tries to download another engine first and then picks one of three, see Beam's `direct_runner.py`.) Small loads
run in this process; larger ones in several worker processes. A worker process that dies would leave FnApiRunner waiting for ever: here it
ends the run.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms import environments

from pipeline.errors import Refused, Stopped

_LOCAL: Final = "DirectRunner"
_WORKER_DIED: Final = "a worker process died (killed, or out of memory); what is committed stays: run the same command again to go on"
_LONGEST_FAREWELL: Final = 5.0  # seconds that Beam gets to clean up after a worker's death

# Starting worker processes takes some two seconds; below this many items one process is done sooner.
_ITEMS_WORTH_WORKERS: Final = 100_000


def worker_count(items: int, splits: int) -> int:
    """How many worker processes a load is worth on this machine."""
    if items < _ITEMS_WORTH_WORKERS:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), splits))


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what neither we nor Beam know: Beam itself would pass over a misspelt option in silence. Raises `Refused`.

    Other runners add options of their own, so theirs are not checked.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)  # noqa: SLF001 - Beam's own way of adding to a parser, under this name for its subclasses
    known, unknown = parser.parse_known_args(list(arguments))
    if unknown and known.runner in (None, _LOCAL):
        raise Refused([f"unknown arguments: {' '.join(unknown)}; see --help"])


def run_pipeline(define: Callable[[beam.Pipeline], None], beam_arguments: Sequence[str], workers: int) -> None:
    """Define a pipeline and run it to its end; `workers` is for this machine, and `--direct_num_workers` stands above it.

    Raises `Stopped` with the sentence of the step that stopped, or for a worker's death. Any other exception is a bug.
    """
    options = PipelineOptions(list(beam_arguments), save_main_session=False)
    runner = options.view_as(StandardOptions).runner or _LOCAL
    is_given = any(argument.startswith("--direct_num_workers") for argument in beam_arguments)
    try:
        with _death_of_a_worker_stops():
            engine = _local_runner(options, None if is_given else workers) if runner == _LOCAL else runner
            root = beam.Pipeline(runner=engine, options=options)
            define(root)
            result = root.run()
            result.wait_until_finish()
    except Stopped as stopped:
        raise Stopped(_without_step(str(stopped))) from None
    except Exception as error:
        sentence = _stopped_on_a_worker(error)
        if sentence is None:
            raise
        raise Stopped(sentence) from None


def _local_runner(options: PipelineOptions, workers_unless_given: int | None) -> fn_runner.FnApiRunner:
    """The pinned engine, with the pipeline's options handed on to worker processes (FnApiRunner by name would not)."""
    direct = options.view_as(DirectOptions)
    if workers_unless_given is not None:
        direct.direct_num_workers = workers_unless_given
    environment = _worker_processes() if direct.direct_num_workers != 1 and direct.direct_running_mode == "in_memory" else None
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(default_environment=environment, provision_info=provision)


def _worker_processes() -> environments.Environment:
    """Processes of this Python. Their standard error is Beam's log, which may quote items: it is shown only when asked for."""
    command = f"exec {shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main"
    if not logging.getLogger("apache_beam").isEnabledFor(logging.CRITICAL):
        command += " 2>/dev/null"
    return environments.SubprocessSDKEnvironment.from_command_string(command_string=command)


# -- a worker's death ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def _death_of_a_worker_stops() -> Iterator[None]:
    """Turn "Worker subprocess exited", which Beam raises in a thread that nobody waits for, into `Stopped` in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: Any) -> None:
        raise Stopped(_WORKER_DIED)

    def hook(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is not None and failed.thread.name == "run_worker":
            # Should Beam's own clean-up wait for the dead: the sentence has been said, so leave.
            farewell = threading.Timer(_LONGEST_FAREWELL, _leave)
            farewell.daemon = True
            farewell.start()
            os.kill(os.getpid(), signal.SIGUSR1)
        else:
            previous_hook(failed)

    previous_hook = threading.excepthook
    previous_handler = signal.signal(signal.SIGUSR1, stop)
    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = previous_hook
        signal.signal(signal.SIGUSR1, previous_handler)


def _leave() -> None:
    sys.stderr.write(f"stopped: {_WORKER_DIED}\n")
    sys.stderr.flush()
    os._exit(1)


# -- what a step said ----------------------------------------------------------------------------------------------------------------------


def _stopped_on_a_worker(error: Exception) -> str | None:
    """The sentence of a `Stopped` that came as text, in a traceback from another process."""
    found = re.findall(rf"^{Stopped.__module__}\.{Stopped.__qualname__}: (.*)$", str(error), flags=re.MULTILINE)
    return _without_step(found[-1]) if found else None


def _without_step(sentence: str) -> str:
    return re.sub(r" \[while running '.*", "", sentence, flags=re.DOTALL)
