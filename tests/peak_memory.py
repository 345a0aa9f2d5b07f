"""How much memory a process takes at most."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any


def peak_mb(process: subprocess.Popen[Any]) -> int:
    """Peak resident memory of a process until its end, in MiB; what `wait4` tells counts that of whoever started it, too."""
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak = int(found[1]) >> 10 if found else peak
        time.sleep(0.02)  # between two looks, not for a state
    return peak
