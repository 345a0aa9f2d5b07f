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
from pipeline.farewell import RESUME, TERMINATED, leave

_LOCAL: Final = "DirectRunner"
_LONGEST_FAREWELL: Final = 5.0  # seconds that Beam gets to clean up

# Starting worker processes takes some two seconds; below this many items one process is done sooner.
_ITEMS_WORTH_WORKERS: Final = 100_000


def worker_count(items: int, splits: int) -> int:
    """How many worker processes a load is worth on this machine."""
    if items < _ITEMS_WORTH_WORKERS:
        return 1
    return max(1, min(_cores(), splits))


def most_workers(beam_arguments: Sequence[str]) -> int | None:
    """How many worker processes a run may have here; None for another machine's, which nobody knows before."""
    options = PipelineOptions(list(beam_arguments))
    if not is_local(options.view_as(StandardOptions).runner):
        return None
    is_given = any(argument.startswith("--direct_num_workers") for argument in beam_arguments)
    return (is_given and options.view_as(DirectOptions).direct_num_workers) or _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def planned_workers(beam_arguments: Sequence[str], items: int, splits: int) -> int | None:
    """How many worker processes a load would get; None where a runner decides that we know nothing of."""
    options = PipelineOptions(list(beam_arguments))
    if not is_local(options.view_as(StandardOptions).runner):
        return None
    if not _is_number_of_workers_given(beam_arguments):
        return worker_count(items, splits)
    return options.view_as(DirectOptions).direct_num_workers or os.cpu_count() or 1  # Beam takes 0 for all


def unknown_arguments(arguments: Sequence[str]) -> list[str]:
    """What Beam does not know: itself it would pass over a misspelt option in silence. Raises `Refused` for what must not be chosen.

    Other runners add options of their own, so theirs are not checked.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)  # noqa: SLF001 - Beam's own way of adding to a parser, under this name for its subclasses
    known, unknown = parser.parse_known_args(list(arguments))
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


def is_local(runner: str | None) -> bool:
    """Whether a runner's name means the pinned engine of this machine."""
    return runner is None or runner.lower() == _LOCAL.lower()


def run_pipeline(define: Callable[[beam.Pipeline], None], beam_arguments: Sequence[str], workers: int) -> None:
    """Define a pipeline and run it to its end; `workers` is for this machine, and `--direct_num_workers` stands above it.

    Raises `Stopped` with the sentence of the step that stopped, for a worker's death and for SIGTERM. Any other exception is a bug.
    """
    options = PipelineOptions(list(beam_arguments), save_main_session=False)
    runner = options.view_as(StandardOptions).runner
    is_given = _is_number_of_workers_given(beam_arguments)
    interruption = _Interruption()
    try:
        with interruption.awaited():
            engine = _local_runner(options, None if is_given else workers) if is_local(runner) else runner
            root = beam.Pipeline(runner=engine, options=options)
            define(root)
            result = root.run()
            result.wait_until_finish()
    except BaseException as error:
        # First, because Beam makes an exception of its own of what a signal's handler raised.
        if interruption.reason is not None:
            raise interruption.reason from None
        sentence = str(error) if isinstance(error, Stopped) else _stopped_on_a_worker(error) or _without_memory(error)
        if sentence is None:
            raise
        raise Stopped(_without_step(sentence)) from None


def _is_number_of_workers_given(beam_arguments: Sequence[str]) -> bool:
    return any(argument.startswith("--direct_num_workers") for argument in beam_arguments)


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


# -- the end before the end ----------------------------------------------------------------------------------------------------------------


class _Interruption:
    """What ends a run from outside: Ctrl-C, SIGTERM, or the death of a worker process.

    Beam raises "Worker subprocess exited" in a thread that nobody waits for, and would wait for the dead worker for ever.
    """

    def __init__(self) -> None:
        self.reason: BaseException | None = None
        """What to raise in place of whatever came of it."""
        self._farewell: threading.Timer | None = None

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Listen while the body runs. Signals reach the main thread only, so elsewhere there is nothing to listen to."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        reasons = {
            signal.SIGINT: KeyboardInterrupt(),
            signal.SIGTERM: Stopped(TERMINATED),
            signal.SIGUSR1: Stopped(f"a worker process died (killed, or out of memory); {RESUME}"),
        }

        def interrupt(number: int, _frame: Any) -> None:
            if self.reason is None:
                self.reason = reasons[signal.Signals(number)]
                # Should Beam's own clean-up wait for what does not come.
                self._farewell = threading.Timer(_LONGEST_FAREWELL, leave, [self.reason])
                self._farewell.daemon = True
                self._farewell.start()
                raise self.reason

        def hook(failed: threading.ExceptHookArgs) -> None:
            if failed.thread is not None and failed.thread.name == "run_worker":
                os.kill(os.getpid(), signal.SIGUSR1)
            else:
                # Its words may hold a value of an item.
                name = failed.thread.name if failed.thread is not None else "?"
                sys.stderr.write(f"ddb2pg: {failed.exc_type.__name__} in thread {name}\n")

        previous_hook, threading.excepthook = threading.excepthook, hook
        previous_handlers = {number: signal.signal(number, interrupt) for number in reasons}
        try:
            yield
        finally:
            if self._farewell is not None:
                self._farewell.cancel()
            threading.excepthook = previous_hook
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)


# -- what a step said ----------------------------------------------------------------------------------------------------------------------


def _stopped_on_a_worker(error: BaseException) -> str | None:
    """The sentence of a `Stopped` that came as text, in a traceback from another process."""
    found = re.findall(rf"^{Stopped.__module__}\.{Stopped.__qualname__}: (.*)$", str(error), flags=re.MULTILINE)
    return found[-1] if found else None


def _without_memory(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or re.search(r"^MemoryError\b", str(error), flags=re.MULTILINE):
        return f"a worker process got no more memory; {RESUME}, with more memory or a smaller --direct_num_workers"
    return None


def _without_step(sentence: str) -> str:
    return re.sub(r" \[while running '.*", "", sentence, flags=re.DOTALL)
