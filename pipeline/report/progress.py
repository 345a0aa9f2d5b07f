"""How far a load is, while it runs: read from the ledger, so it is the same on every runner."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.errors import Stopped
from pipeline.postgres import ledger
from pipeline.postgres.database_url import DatabaseReference
from pipeline.postgres.ledger import Load, Totals
from pipeline.postgres.session import RetryLimit, Session

_TERMINAL_INTERVAL: Final = 0.5  # seconds
_PLAIN_INTERVAL: Final = 10.0
_CHECKING: Final = "checking the data files, nothing more is loaded yet"


@contextmanager
def shown_progress(console: Console, database: DatabaseReference, load: Load, loaded_before: int) -> Iterator[None]:
    """Show the load's progress while the body runs: a bar on a terminal, else a line every ten seconds.

    Until the first chunk is committed, the data files are being checked.
    """
    is_over = threading.Event()
    show = _show_bar if console.is_terminal else _show_lines
    watcher = threading.Thread(target=show, args=(console, database, load, loaded_before, is_over), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join(timeout=5)


def _totals(database: DatabaseReference, load: Load, is_over: threading.Event, interval: float) -> Iterator[Totals]:
    """The load's totals, at intervals. A database that does not answer is the load's to complain about, not the display's."""
    with Session(database, RetryLimit(tries=1)) as session:
        while not is_over.wait(interval):
            try:
                yield session.transact(lambda cursor: ledger.load_totals(cursor, load.load_id))
            except Stopped:
                continue


def _show_bar(console: Console, database: DatabaseReference, load: Load, loaded_before: int, is_over: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[dead_letters]:,} dead letters"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        checking = f"{load.source_table}: {_CHECKING}"
        task = progress.add_task(checking, total=load.manifest_items, rate="", dead_letters=0)
        rate = _Rate()
        for totals in _totals(database, load, is_over, _TERMINAL_INTERVAL):
            text = f"{rate.at(totals.items):,.0f} items/s"
            description = checking if totals.items == loaded_before else load.source_table
            progress.update(task, description=description, completed=totals.items, rate=text, dead_letters=totals.dead_letters)


def _show_lines(console: Console, database: DatabaseReference, load: Load, loaded_before: int, is_over: threading.Event) -> None:
    rate = _Rate()
    for totals in _totals(database, load, is_over, _PLAIN_INTERVAL):
        speed = rate.at(totals.items)
        if totals.items == loaded_before:
            console.print(f"{load.source_table}: {_CHECKING}", highlight=False)
            continue
        left = f", {(load.manifest_items - totals.items) / speed:,.0f} s left" if speed else ""
        console.print(
            f"{load.source_table}: {totals.items:,} of {load.manifest_items:,} items, {speed:,.0f} items/s{left}, "
            f"{totals.dead_letters:,} dead letters",
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
