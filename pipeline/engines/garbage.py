"""Where Python need not look for garbage: among what is imported, which stays, and among what is left at the end, which goes anyhow."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_beam() -> Iterator[None]:
    """Around its import. To go through all of it again and again, while more of it comes, takes a sixth of the time."""
    if "apache_beam" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def leave_it_at_the_end() -> None:
    """When this process ends, take what is left as it is. With Beam imported, to look through it takes a quarter of a second."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
