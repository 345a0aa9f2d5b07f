"""The command line: argv -> exit code.

0    everything is a row (validate: and equal)
1    failed; what is committed stays, the same command resumes
2    refused before anything was written
3    finished, with dead letters to review (validate: with differences, or requests not answered as expected)
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Sequence

from pipeline.command_objects import ExitCode
from pipeline.errors import Refused, Stopped
from pipeline.farewell import INTERRUPTED, RESUME, told_to_end
from pipeline.parser import make_parser
from pipeline.storage import StorageFailed
from pipeline.terminal import PlainConsole


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    arguments, beam_arguments = make_parser().parse_known_args(argv)
    _configure_logging(arguments.log_level)
    console = PlainConsole()
    try:
        with told_to_end():
            return int(arguments.run(arguments, beam_arguments, console))
    except Refused as refused:
        _complain("refused, nothing was written", refused.problems)
        return ExitCode.REFUSED
    except Stopped as stopped:
        _complain("stopped", str(stopped).splitlines())
        return ExitCode.FAILED
    except StorageFailed as failed:
        _complain("stopped", [str(failed)])
        return ExitCode.FAILED
    except KeyboardInterrupt:
        writes = arguments.command in ("migrate", "rollback", "dead-letters")
        _complain("interrupted", [RESUME] if writes else [])
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the text of an unforeseen exception may hold a value of an item
        _complain(
            "failed by a bug in ddb2pg",
            [f"{type(error).__name__}; what a load has committed stays. Please report these places:", *_places(error)],
        )
        return ExitCode.FAILED


def _places(error: BaseException) -> list[str]:
    """Where an exception came from, without its words; those of a worker process are in the text of the exception."""
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    places += re.findall(r'^  (File "[^"\n]+", line \d+, in \S+)$', str(error), flags=re.MULTILINE)
    return places[-12:]


def _complain(what: str, sentences: Sequence[str]) -> None:
    sys.stderr.write(f"ddb2pg: {what}:\n")
    for sentence in sentences:
        # A name may hold what would draw on a terminal.
        sys.stderr.write(f"  - {''.join(one if one.isprintable() else repr(one)[1:-1] for one in sentence)}\n")


def _configure_logging(level: str | None) -> None:
    """Beam logs exceptions with their words, so by default it does not log."""
    logging.basicConfig(level=level or "WARNING", stream=sys.stderr)
    for library in ("boto3", "botocore", "s3transfer", "urllib3"):  # they log requests with their tokens
        logging.getLogger(library).setLevel(logging.WARNING)
    if level is None:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)
        logging.getLogger("root").setLevel(logging.CRITICAL + 1)
