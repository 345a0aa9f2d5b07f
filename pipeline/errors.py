"""What ends a command early, and how.

    Ddb2pgError
      Refused      before anything was written: exit code 2. Holds all problems that were found, not just the first
      Stopped      after the load had begun: exit code 1. What is committed stays; the same command resumes

      Bug          on a worker, in place of an unexpected exception, whose message may hold a value of an item
    KeyboardInterrupt
      Interrupted  by Ctrl-C, while a job goes on elsewhere: exit code 130

Each message says what was wrong, where, and what to do next, and holds no value of an item. Faults of single items are no exceptions here:
they become dead letters.
"""

from __future__ import annotations

from collections.abc import Iterable


class Ddb2pgError(Exception):
    """Ends a command; the message is for the person who typed it."""


class Refused(Ddb2pgError):
    """Nothing was written. `problems` are sentences, all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Stopped(Ddb2pgError):
    """The load ended before its end; the sentence says why."""


class Bug(Ddb2pgError):
    """Holds the type of what was raised, and its traceback, without its words."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended the waiting, not the job; the sentence says where the job is and how to end it."""
