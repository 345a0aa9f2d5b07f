"""Where worker processes of this machine come from: they are forked from one that has imported Beam once, which takes a second of CPU.

Nothing is imported here that takes long, so that a command can have this begun before it imports Beam itself.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.forkserver
import os
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Final

PRELOADED: Final = ("pipeline.engines.worker_imports",)

_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload([*PRELOADED])
_SPAWNING: Final = multiprocessing.get_context("spawn")


def get_ready() -> ForkServerContext | SpawnContext:
    """Begin to import what workers need, in another process; returns at once what starts them."""
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError:
        # Its socket is a temporary file, whose path may be too long for a socket.
        return _SPAWNING
    return _FORKING


def be_a_worker(environment: Mapping[str, str]) -> None:
    """What such a process does: what Beam's own worker does, in this environment."""
    silence()
    os.environ.clear()
    os.environ.update(environment)
    from apache_beam.runners.worker import sdk_worker_main  # noqa: PLC0415 - one that could not be forked imports it now, in silence

    # What is imported lives as long as the worker: no need to go through it at every collection.
    gc.freeze()
    gc.enable()
    sdk_worker_main.main([])


def silence() -> None:
    """From now on standard error of this process goes nowhere.

    What Beam writes there may quote items, and what it says when it is imported is no news; its log comes to the command's process anyhow.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
