"""Memory of blocks that are done with is used again by those that come."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# How many pages the system gives for the same 16 MiB in blocks, again and again, once they were there for the first time.
PAGES = """
import resource, sys
from pipeline.source import streams
if sys.argv[1] == "kept":
    streams.keep_freed_memory()
given = []
for _ in range(11):
    blocks = [b"x" * (1 << 20) for _ in range(16)]
    del blocks
    given.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(given[-1] - given[0], resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere nothing is asked for")
@pytest.mark.parametrize("is_kept", [True, False])
def test_blocks_get_the_memory_of_those_before_them(*, is_kept: bool) -> None:
    """Less than a tenth of it is new; without asking for it nearly all is, else there would be nothing to ask for."""
    done = subprocess.run([sys.executable, "-c", PAGES, "kept" if is_kept else ""], capture_output=True, text=True, check=True)
    pages, page_bytes = map(int, done.stdout.split())

    share = pages * page_bytes / (10 * (16 << 20))
    assert share < 0.1 if is_kept else share > 0.5
