"""How far a load, or a check of one, is while it runs: read from the ledger, so it is the same on every runner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.errors import Stopped
from pipeline.ledger.history import count_workers
from pipeline.ledger.loads import Load
from pipeline.ledger.totals import Totals, load_totals
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, RetryLimit, Session

ReadTotals = Callable[[Cursor], Totals]

_TERMINAL_INTERVAL: Final = 0.5  # seconds
_PLAIN_INTERVAL: Final = 10.0
_CHECKING: Final = "checking the data files, nothing more is loaded yet"


@contextmanager
def shown_progress(
    console: Console,
    database: DatabaseReference,
    load: Load,
    done_before: int,
    *,
    read: ReadTotals | None = None,
    found: str = "dead letters",
) -> Iterator[None]:
    """Show the progress of a load, or of what `read` reads, while the body runs: a bar on a terminal, else a line every ten seconds.

    Until the first chunk is done, the data files are being checked. `found` is the word for what `read` gives as dead letters.
    """
    watched = _Watched(database, load, done_before, read or (lambda cursor: load_totals(cursor, load.load_id)), found, is_load=read is None)
    is_over = threading.Event()
    show = _show_bar if console.is_terminal else _show_lines
    watcher = threading.Thread(target=show, args=(console, watched, is_over), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join(timeout=5)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What is shown."""

    database: DatabaseReference
    load: Load
    done_before: int
    read: ReadTotals
    found: str
    is_load: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """What is seen at one time."""

    totals: Totals
    workers: int


def _looks(watched: _Watched, is_over: threading.Event, interval: float) -> Iterator[_Look]:
    """One at intervals. A database that does not answer is the load's to complain about, not the display's."""
    with Session(watched.database, RetryLimit(tries=1)) as session:
        while not is_over.wait(interval):
            try:
                yield session.transact(partial(_look, watched))
            except Stopped:
                continue


def _look(watched: _Watched, cursor: Cursor) -> _Look:
    return _Look(watched.read(cursor), count_workers(cursor, watched.load.load_id) if watched.is_load else 0)


def _workers(look: _Look) -> str:
    """Those of a check leave no trace in the ledger."""
    return f"{look.workers} worker{'s' if look.workers > 1 else ''}" if look.workers else ""


def _show_bar(console: Console, watched: _Watched, is_over: threading.Event) -> None:
    load = watched.load
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn(f"{{task.fields[found]:,}} {watched.found}"),
        TextColumn("{task.fields[workers]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        checking = f"{load.source_table}: {_CHECKING}"
        task = progress.add_task(checking, total=load.manifest_items, rate="", found=0, workers="")
        rate = _Rate()
        for look in _looks(watched, is_over, _TERMINAL_INTERVAL):
            totals = look.totals
            text = f"{rate.at(totals.items):,.0f} items/s"
            description = checking if totals.items == watched.done_before else load.source_table
            progress.update(
                task, description=description, completed=totals.items, rate=text, found=totals.dead_letters, workers=_workers(look)
            )


def _show_lines(console: Console, watched: _Watched, is_over: threading.Event) -> None:
    load = watched.load
    rate = _Rate()
    for look in _looks(watched, is_over, _PLAIN_INTERVAL):
        totals = look.totals
        speed = rate.at(totals.items)
        if totals.items == watched.done_before:
            console.print(f"{load.source_table}: {_CHECKING}", highlight=False)
            continue
        left = f", {(load.manifest_items - totals.items) / speed:,.0f} s left" if speed else ""
        console.print(
            f"{load.source_table}: {totals.items:,} of {load.manifest_items:,} items, {speed:,.0f} items/s{left}, "
            + ", ".join(filter(None, [f"{totals.dead_letters:,} {watched.found}", _workers(look)])),
            highlight=False,
        )


class _Rate:
    """Items a second since the first look."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def at(self, items: int) -> float:
        now = time.monotonic()
        if self._first is None:
            self._first = now, items
        seconds = now - self._first[0]
        return (items - self._first[1]) / seconds if seconds else 0.0
