"""Ctrl-C and SIGTERM end a command within seconds, with a sentence, whatever it does.

Python runs the handler of a signal only when its main thread is back from what it waits for, and a statement of PostgreSQL can take
minutes. So a thread hears of the signal, too, and after some seconds ends the process: the server rolls back what is not committed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pipeline.errors import Interrupted, Stopped

RESUME: Final = "what is committed stays: run the same command again to go on"
INTERRUPTED: Final = 130
TERMINATED: Final = f"was told to end (SIGTERM); {RESUME}"

# More than the engine gives Beam to clean up.
_LONGEST_FAREWELL: Final = 8.0  # seconds


@contextmanager
def told_to_end() -> Iterator[None]:
    """While the body runs SIGTERM raises `Stopped`. Signals reach the main thread only, so elsewhere there is nothing to hear."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: Any) -> None:
        raise Stopped(TERMINATED)

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    is_over = threading.Event()
    hearing = threading.Thread(target=_hear, args=[reading, is_over], name="Farewell", daemon=True)
    previous_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    previous_handler = signal.signal(signal.SIGTERM, stop)
    hearing.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
        signal.set_wakeup_fd(previous_descriptor)
        is_over.set()
        os.close(writing)
        hearing.join()
        os.close(reading)


def _hear(reading: int, is_over: threading.Event) -> None:
    """Until the other end is closed; each byte is a signal's number."""
    while heard := os.read(reading, 1):
        if heard[0] in (signal.SIGINT, signal.SIGTERM) and not is_over.wait(_LONGEST_FAREWELL):
            leave(KeyboardInterrupt() if heard[0] == signal.SIGINT else Stopped(TERMINATED))


def leave(reason: BaseException) -> None:
    """End at once, with the sentence and the exit code that the reason would have had."""
    sys.stderr.write(f"ddb2pg: stopped:\n  - {reason if isinstance(reason, Stopped | Interrupted) else f'interrupted; {RESUME}'}\n")
    sys.stderr.flush()
    os._exit(1 if isinstance(reason, Stopped) else INTERRUPTED)
