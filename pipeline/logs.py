"""What is logged, by us and by libraries: where and what, never with which values.

Beam's log quotes elements, options and the words of exceptions, and clients of AWS and Google theirs: tokens, answers, secrets. Nobody can
tell a value from other text, so what is shown is only what is in the source: the place and, where it is a literal there, the message
before anything is filled in.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Final

# Children of these with a level of their own are named, too.
_CLIENTS: Final = ("boto3", "botocore", "s3transfer", "urllib3", "google", "google.auth", "google.cloud.secretmanager_v1")
# They log the trace of what they then raise, such as an expired login; for that there is a sentence (`pipeline/places/aws.py`).
_TOLD_BY_US: Final = ("botocore.credentials", "botocore.tokens")


def configure_logging(level: str | None) -> None:
    """For the process of a command; None is the usual: nothing of Beam, and warnings of others."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ValueFreeFormatter())
    logging.basicConfig(level=level or "WARNING", handlers=[handler])
    silence_clients()
    if level is None:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)
        logging.getLogger("root").setLevel(logging.CRITICAL + 1)
        logging.getLogger("PrismJobServer").disabled = True  # which sets a level of its own


def silence_clients() -> None:
    """For each process that makes clients, a worker's too, whose log a runner keeps: they log requests and answers, as a secret."""
    for name in _CLIENTS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


_TOLD_AGAIN_AFTER: Final = 60.0  # seconds
_told: Final[dict[str, float]] = {}
_telling: Final = threading.Lock()


def tell_waiting(reason: str) -> None:
    """A line on standard error for a person who sees nothing happen; the same reason at most once a minute in a process.

    What a progress bar is drawn on takes it above the bar; forked workers have no standard error, and the progress display tells for them.
    """
    with _telling:
        now = time.monotonic()
        if now - _told.get(reason, -_TOLD_AGAIN_AFTER) < _TOLD_AGAIN_AFTER:
            return
        _told[reason] = now
    sys.stderr.write(f"ddb2pg: waiting: {reason}; trying again\n")


class ValueFreeFormatter(logging.Formatter):
    """`WARNING apache_beam.runners.x worker.py:123: Failed to %s`; of an exception its type and places."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.msg if isinstance(record.msg, str) and _is_literal(record.pathname, record.msg) else "..."
        line = f"{record.levelname} {record.name} {Path(record.pathname).name}:{record.lineno}: {text}"
        if record.exc_info and record.exc_info[0] is not None:
            places = (f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(record.exc_info[2]))
            line = "\n".join([line, f"  {record.exc_info[0].__name__}", *places])
        return line


def _is_literal(path: str, message: str) -> bool:
    return any(f"{quote}{message}{quote}" in _source(path) for quote in "\"'")


@functools.cache
def _source(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
