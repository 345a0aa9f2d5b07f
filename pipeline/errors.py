"""What ends a command early, and how.

    Ddb2pgError
      Refused           before anything was written: exit code 2. Holds all problems that were found, not just the first
        TooEarly        nothing is wrong, but it can be done later only: exit code 75
        RefusedForNow   for a reason that passes by itself: a service that cannot be reached, or is asked too often
      Stopped           after the load had begun: exit code 1. What is committed stays; the same command resumes
        StoppedForNow   for a reason that passes by itself

      Bug          on a worker, in place of an unexpected exception, whose message may hold a value of an item
    KeyboardInterrupt
      Interrupted  by Ctrl-C, while a job goes on elsewhere: exit code 130

Each message says what was wrong, where, and what to do next, and holds no value of an item. Faults of single items are no exceptions here:
they become dead letters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime, timedelta


class Ddb2pgError(Exception):
    """Ends a command; the message is for the person who typed it."""


class Refused(Ddb2pgError):
    """Nothing was written. `problems` are sentences, all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class TooEarly(Refused):
    """`at` is when it can be done, by the clock that says `now`; the sentence says so."""

    def __init__(self, at: datetime, now: datetime, sentence: str) -> None:
        super().__init__([sentence])
        self.at = at
        self.left: timedelta = at - now


class RefusedForNow(Refused):
    """The same command may go well when it is given again later."""


class Stopped(Ddb2pgError):
    """The load ended before its end; the sentence says why."""


class StoppedForNow(Stopped):
    """The same command may go on when it is given again later, with nothing changed by anybody."""


class Bug(Ddb2pgError):
    """Holds the type of what was raised, and its traceback, without its words."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended the waiting, not the job; the sentence says where the job is and how to end it."""


def meant(name: str, known: Iterable[str]) -> str:
    """For the end of a sentence about a name that is not there: `: did you mean OTHER?`, or nothing where none is near."""
    by_lower_case = {other.lower().replace("_", ""): other for other in known}
    near = difflib.get_close_matches(name.lower().replace("_", ""), by_lower_case, n=1, cutoff=0.6)
    return f": did you mean {by_lower_case[near[0]]}?" if near else ""
