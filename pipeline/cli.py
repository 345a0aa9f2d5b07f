"""The command line: argv -> exit code. What each of them means is in `outcome/verdict.py`."""

from __future__ import annotations

import atexit
import gc
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.commands.parser import Command, make_parser, with_underscores
from pipeline.console import PlainConsole, printable
from pipeline.core_dumps import forbid_core_dumps
from pipeline.engines.ending import INTERRUPTED, RESUME, told_to_end
from pipeline.errors import Bug, Interrupted, Refused, Stopped, TooEarly
from pipeline.logs import configure_logging
from pipeline.options import JobOptions, make_options, refuse_unknown
from pipeline.outcome.report import end_run, print_early_end
from pipeline.outcome.verdict import EARLY_ENDS, ExitCode
from pipeline.places.place import StorageFailed

_COLLECT_EVERY: Final = 50_000  # new objects


def main(argv: Sequence[str] | None = None) -> int:
    forbid_core_dumps()
    typed = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser()
    if not typed:
        parser.print_help()
        parser.exit(ExitCode.REFUSED)
    arguments, unknown = parser.parse_known_args(with_underscores(typed))
    command: Command = arguments.command
    options = make_options(command.options, arguments, unknown)
    configure_logging(options.log_level)
    code: int
    sentence = None
    # Beam brings some hundred thousand objects, and all of them stay: to go through them again and again while it is imported, and once
    # more at the end, takes half a second.
    gc.set_threshold(_COLLECT_EVERY)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    # Where programs read the output, people read the rest: how far a command is, not its result twice.
    console = PlainConsole(stderr=options.json, quiet=options.quiet or (options.json and not command.has_progress))
    try:
        _refuse_deleted_folder()
        with told_to_end():
            if isinstance(options, JobOptions):
                options = options.ready()
            else:
                refuse_unknown(unknown, type(options))
            return end_run(command.run(options, console), console, as_json=options.json, quiet=options.quiet)
    except TooEarly as early:
        code, details = ExitCode.LATER, early.problems
    except Refused as refused:
        code, details = ExitCode.REFUSED, refused.problems
    except Stopped as stopped:
        code, details = ExitCode.FAILED, tuple(str(stopped).splitlines())
    except StorageFailed as failed:
        code, details = ExitCode.FAILED, (str(failed),)
    except KeyboardInterrupt as interrupt:
        resume = (RESUME,) if command.writes else ()
        code, sentence, details = INTERRUPTED, "interrupted", (str(interrupt),) if isinstance(interrupt, Interrupted) else resume
    except Exception as error:  # noqa: BLE001 - the text of an unforeseen exception may hold a value of an item
        code, sentence = ExitCode.FAILED, "failed by a bug in ddb2pg"
        details = (f"{_kind(error)}; what a load has committed stays. Please report these places:", *_places(error))
    sentence = sentence or EARLY_ENDS[ExitCode(code)]
    _complain(sentence, details)
    if options.json:
        print_early_end(command.name, code, sentence, details)
    return code


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
        sys.stderr.write(f"  - {printable(sentence)}\n")
