"""The command line: argv -> exit code.

0    everything is a row (validate: and equal)
1    failed; what is committed stays, the same command resumes
2    refused before anything was written
3    finished, with dead letters to review (validate: with differences, or requests not answered as expected)
"""

from __future__ import annotations

import atexit
import gc
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.commands.parser import Command, make_parser
from pipeline.console import PlainConsole
from pipeline.core_dumps import forbid_core_dumps
from pipeline.engines.ending import INTERRUPTED, RESUME, told_to_end
from pipeline.errors import Bug, Interrupted, Refused, Stopped
from pipeline.logs import configure_logging
from pipeline.options import JobOptions, JsonOptions, make_options, refuse_unknown
from pipeline.outcome.verdict import ExitCode
from pipeline.places.place import StorageFailed

_COLLECT_EVERY: Final = 50_000  # new objects


def main(argv: Sequence[str] | None = None) -> int:
    forbid_core_dumps()
    arguments, unknown = make_parser().parse_known_args(argv)
    command: Command = arguments.command
    options = make_options(command.options, arguments, unknown)
    configure_logging(options.log_level)
    # Beam brings some hundred thousand objects, and all of them stay: to go through them again and again while it is imported, and once
    # more at the end, takes half a second.
    gc.set_threshold(_COLLECT_EVERY)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    # Where programs read the output, people read the rest.
    console = PlainConsole(stderr=isinstance(options, JsonOptions) and options.json)
    try:
        _refuse_deleted_folder()
        with told_to_end():
            if isinstance(options, JobOptions):
                options = options.ready()
            else:
                refuse_unknown(unknown)
            return int(command.run(options, console))
    except Refused as refused:
        _complain("refused, nothing was written", refused.problems)
        return ExitCode.REFUSED
    except Stopped as stopped:
        _complain("stopped", str(stopped).splitlines())
        return ExitCode.FAILED
    except StorageFailed as failed:
        _complain("stopped", [str(failed)])
        return ExitCode.FAILED
    except KeyboardInterrupt as interrupt:
        here = [RESUME] if command.writes else []
        _complain("interrupted", [str(interrupt)] if isinstance(interrupt, Interrupted) else here)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the text of an unforeseen exception may hold a value of an item
        _complain(
            "failed by a bug in ddb2pg",
            [f"{_kind(error)}; what a load has committed stays. Please report these places:", *_places(error)],
        )
        return ExitCode.FAILED


def _refuse_deleted_folder() -> None:
    """Raise `Refused` where the working directory is gone: nobody knows then what a relative path means."""
    try:
        Path.cwd()
    except OSError:
        raise Refused(["the working directory is not there any more; cd to one that is"]) from None


def _kind(error: BaseException) -> str:
    """The type of an exception, or of the one that a step met."""
    kind = re.search(rf"\b{Bug.__name__}: (\w+)", f"{type(error).__name__}: {error}")
    return kind[1] if kind else type(error).__name__


def _places(error: BaseException) -> list[str]:
    """Where an exception came from, without its words; those of a worker process are in the text of the exception."""
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    places += re.findall(r'^  (File "[^"\n]+", line \d+, in \S+)$', str(error), flags=re.MULTILINE)
    return places[-12:]


def _complain(problem: str, sentences: Sequence[str]) -> None:
    sys.stderr.write(f"ddb2pg: {problem}:\n")
    for sentence in sentences:
        # A name may hold what would draw on a terminal.
        sys.stderr.write(f"  - {''.join(character if character.isprintable() else repr(character)[1:-1] for character in sentence)}\n")
