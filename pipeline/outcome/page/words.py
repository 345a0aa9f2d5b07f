"""Facts in words: times, durations, settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

_EXIT_CODES: Final = {
    0: "nothing is left to do",
    1: "stopped on the way; what is committed stays, run the same command again",
    2: "refused, nothing was written",
    3: "finished, with something to review",
}


def exit_code_words(command: str, exit_code: int) -> str:
    """`3: finished, with dead letters to review`."""
    words = {("migrate", 0): "every item is a row", ("migrate", 3): "finished, with dead letters to review"}
    words |= {("validate", 0): "every row is as the export makes it", ("validate", 3): "finished, there are differences"}
    words |= {("rollback", 0): "no row is left, or would be", ("rollback", 1): "not at its end, run the same command again"}
    words |= {("rollback", 3): "finished, rows are left or would be"}
    words |= {("dead-letters replay", 0): "every dead letter is a row", ("dead-letters replay", 3): "finished, some are refused again"}
    return f"{exit_code}: {words.get((command, exit_code), _EXIT_CODES.get(exit_code, 'not known'))}"


def moment(text: str) -> str:
    """`2026-11-23 02:00:00 UTC`, of a time in UTC as JSON has it."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def duration(began: str, ended: str) -> str:
    """Between two times as JSON has them."""
    return seconds_in_words((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def seconds_in_words(seconds: float) -> str:
    """`0.8 s`, `4 min 12 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def setting(value: object) -> str:
    """A setting as it may be typed."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
