"""How a command ends early: by Ctrl-C, by SIGTERM, by the death of a worker process, or by an exception of a step.

A signal ends a command within seconds, with a sentence. Its handler raises in the main thread, but Python runs it only when that thread
returns from a wait; a statement of PostgreSQL can take minutes, and Beam would wait for a dead worker for ever. So another thread gets the
signal, too, and after some seconds ends the process: the server rolls back what is not committed.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pipeline.errors import Bug, Interrupted, Stopped, StoppedForNow

RESUME: Final = "what is committed stays: run the same command again to go on"
INTERRUPTED: Final = 130

_TERMINATED: Final = "was told to end (SIGTERM)"
_JOIN: Final = "the same command, now or later, does what is still to do, and proves the whole"
_LONGEST_CLEANUP: Final = 6.0  # seconds from a signal to the end of the process


class Ending:
    """What has ended a command from outside, if anything has."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The first that came; those after it change nothing."""
        self.whereabouts: Callable[[], str] | None = None
        """Describes the job that goes on without this process, while there is one."""
        self.died_of = ""
        """How a worker process ended, where that is known: the name of a signal, a number, or an exception that kept it from starting."""

    def reason(self) -> BaseException:
        """The exception for the signal, in place of the one that it caused."""
        if self.whereabouts is None:
            return self._plain_reason()
        if self.signal is signal.SIGTERM:
            return Stopped(f"{_TERMINATED}; {self.whereabouts()}; {_JOIN}")
        return Interrupted(f"{self.whereabouts()}; {_JOIN}")

    def stopped_by_a_step(self, error: BaseException) -> Stopped | None:
        """What a step raised before the workers died: Beam ends them all when one of them stops."""
        stopped = None
        while self.signal is signal.SIGUSR1 and error.__context__ is not None:
            error = error.__context__
            stopped = stop_of_a_step(error) or stopped  # the innermost was first
        return stopped

    def _plain_reason(self) -> BaseException:
        match self.signal:
            case signal.SIGTERM:
                return Stopped(f"{_TERMINATED}; {RESUME}")
            case signal.SIGUSR1:
                how = f": {self.died_of}" if self.died_of else ""
                return StoppedForNow(f"a worker process died (killed, or out of memory{how}); {RESUME}")
        return KeyboardInterrupt()

    def _interrupt(self, number: int, _frame: Any) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            raise self._plain_reason()

    def _leave_in_time(self, reading: int, is_over: threading.Event) -> None:
        """Until the other end of the pipe is closed; Python writes the number of each signal into it."""
        while heard := os.read(reading, 1):
            if heard[0] in _SIGNALS and not is_over.wait(_LONGEST_CLEANUP):
                self.signal = self.signal or signal.Signals(heard[0])
                reason = self.reason()
                words = reason if isinstance(reason, Stopped | Interrupted) else f"interrupted; {RESUME}"
                sys.stderr.write(f"ddb2pg: stopped:\n  - {words}\n")
                sys.stderr.flush()
                os._exit(1 if isinstance(reason, Stopped) else INTERRUPTED)


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_listening: Ending | None = None


def _forget_in_child() -> None:
    """A process that was forked from a command hears its own signals: the pipe that it inherits is the command's."""
    global _listening  # noqa: PLW0603 - as below
    if _listening is not None:
        _listening = None
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_forget_in_child)


@contextmanager
def told_to_end() -> Iterator[Ending]:
    """While the body runs a signal ends it; within another one's body, it is that one's.

    Signals reach the main thread only, so elsewhere there is nothing to hear.
    """
    global _listening  # noqa: PLW0603 - signals are of the process, and so is who listens to them
    if threading.current_thread() is not threading.main_thread():
        yield Ending()
        return
    if _listening is not None:
        yield _listening
        return
    ending = _listening = Ending()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    is_over = threading.Event()
    thread = threading.Thread(target=ending._leave_in_time, args=[reading, is_over], name="Ending", daemon=True)  # noqa: SLF001
    previous_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    previous_handlers = {number: signal.signal(number, ending._interrupt) for number in _SIGNALS}  # noqa: SLF001
    previous_hook, threading.excepthook = threading.excepthook, _thread_failed
    thread.start()
    try:
        yield ending
    finally:
        threading.excepthook = previous_hook
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_descriptor)
        _listening = None
        is_over.set()
        os.close(writing)
        thread.join()
        os.close(reading)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Beam raises "Worker subprocess exited" in a thread that it never joins."""
    name = failed.thread.name if failed.thread is not None else "?"
    if name == "run_worker":
        code = re.search(r"return code (-?[0-9]+)$", str(failed.exc_value))
        if _listening is not None:
            _listening.died_of = _in_words(int(code[1])) if code else failed.exc_type.__name__
        os.kill(os.getpid(), signal.SIGUSR1)
    else:
        # Its words may hold a value of an item.
        sys.stderr.write(f"ddb2pg: {failed.exc_type.__name__} in thread {name}\n")


def _in_words(exit_code: int) -> str:
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"exit code {exit_code}"


# -- what a step raised, as it comes back from a worker: a text with a traceback in it -----------------------------------------------------

_BUG: Final = rf"{Bug.__module__}\.{Bug.__qualname__}"


def stop_of_a_step(error: BaseException) -> Stopped | None:
    """What a step or its process stopped with, by a `Stopped` or for want of memory, here or in a worker; None for any other exception."""
    text = str(error)
    kinds = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (Stopped, StoppedForNow)}
    if isinstance(error, Stopped):
        kind, sentence = type(error), text
    elif found := re.findall(rf"^({'|'.join(map(re.escape, kinds))}): (.*)$", text, flags=re.MULTILINE):
        kind, sentence = kinds[found[-1][0]], found[-1][1]
    elif isinstance(error, MemoryError) or re.search(rf"^(?:{_BUG}: )?MemoryError\b", text, flags=re.MULTILINE):
        return Stopped(f"a worker process got no more memory; {RESUME}, with more memory or a smaller --direct_num_workers")
    else:
        return None
    return kind(re.sub(r" \[while running '.*", "", sentence, flags=re.DOTALL))  # which Beam adds


def bug_on_a_worker(error: BaseException) -> str:
    """The kind of the last exception of Python in a text; its words may hold a value of an item."""
    text = str(error)
    kinds = re.findall(rf"^{_BUG}: (\w+)", text, flags=re.MULTILINE) or re.findall(
        r"^(?:[a-z_0-9]+\.)*([A-Z][A-Za-z]*(?:Error|Exception)): ", text, flags=re.MULTILINE
    )
    return f" by a bug in ddb2pg ({kinds[-1]})" if kinds else ""
