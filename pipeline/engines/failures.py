"""What a step said, as it comes back from a worker: a text with a traceback in it."""

from __future__ import annotations

import re

from pipeline.engines.farewell import RESUME
from pipeline.errors import Bug, Stopped


def stopped_on_a_worker(error: BaseException) -> str | None:
    """The sentence of a `Stopped` that came as text, in a traceback from another process."""
    found = re.findall(rf"^{Stopped.__module__}\.{Stopped.__qualname__}: (.*)$", str(error), flags=re.MULTILINE)
    return found[-1] if found else None


def bug_on_a_worker(error: BaseException) -> str:
    """The kind of the last exception of Python in a text; its words may hold a value of an item."""
    text = str(error)
    found = re.findall(rf"^{Bug.__module__}\.{Bug.__qualname__}: (\w+)", text, flags=re.MULTILINE) or re.findall(
        r"^(?:[a-z_0-9]+\.)*([A-Z][A-Za-z]*(?:Error|Exception)): ", text, flags=re.MULTILINE
    )
    return f" by a bug in ddb2pg ({found[-1]})" if found else ""


def without_step(sentence: str) -> str:
    """Without what Beam adds to an exception's words."""
    return re.sub(r" \[while running '.*", "", sentence, flags=re.DOTALL)


def without_memory(error: BaseException) -> str | None:
    """The sentence of a process that got no more memory, this one or a worker."""
    if isinstance(error, MemoryError) or re.search(
        rf"^(?:{Bug.__module__}\.{Bug.__qualname__}: )?MemoryError\b", str(error), flags=re.MULTILINE
    ):
        return f"a worker process got no more memory; {RESUME}, with more memory or a smaller --direct_num_workers"
    return None
