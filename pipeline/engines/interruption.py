"""The end before the end of a job that this process waits for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pipeline.engines.farewell import RESUME, TERMINATED, leave
from pipeline.errors import Interrupted, Stopped

_JOIN: Final = "the same command, now or later, does what is still to do, and proves the whole"
_LONGEST_FAREWELL: Final = 5.0  # seconds that Beam gets to clean up


class Interruption:
    """What ends a run from outside: Ctrl-C, SIGTERM, or the death of a worker process.

    Beam raises "Worker subprocess exited" in a thread that nobody waits for, and would wait for the dead worker for ever.
    """

    def __init__(self, whereabouts: Callable[[], str] | None = None) -> None:
        """`whereabouts` tells of a job that goes on without this process."""
        self.reason: BaseException | None = None
        """What to raise in place of whatever came of it."""
        self._whereabouts = whereabouts
        self._farewell: threading.Timer | None = None

    def reason_told(self) -> BaseException:
        """The reason, with what there is to say of a job that goes on."""
        if self._whereabouts is None:
            return self.reason or KeyboardInterrupt()
        if isinstance(self.reason, Stopped):
            return Stopped(f"was told to end (SIGTERM); {self._whereabouts()}; {_JOIN}")
        return Interrupted(f"{self._whereabouts()}; {_JOIN}")

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
                self._farewell = threading.Timer(_LONGEST_FAREWELL, self._leave)
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

    def _leave(self) -> None:
        """End at once: the workers' connections break, and those of this machine end with them."""
        leave(self.reason_told())
