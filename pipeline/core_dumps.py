"""A process that ends by a crash leaves its memory in a core file: values of items, and the database's password."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """For this process, and what it starts from now on. First of all in each process that handles items or secrets.

    The limit is inherited, but counts for files only: a program that takes core dumps (a core_pattern that begins with |) may go on. The
    other setting stops these, too, and keeps other processes of the same user out of this one's memory; it ends where a program is
    executed, so a started process calls this itself. See core(5) and PR_SET_DUMPABLE(2const).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
