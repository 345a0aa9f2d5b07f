"""How far a load, or a check of one, is while it runs: read from the ledger, so it is the same on every runner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.errors import Stopped
from pipeline.ledger.chunks import Totals, load_totals
from pipeline.ledger.history import count_workers
from pipeline.ledger.loads import Load
from pipeline.logs import tell_waiting
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, RetryLimit, Session

ReadTotals = Callable[[Cursor], Totals]

_TERMINAL_INTERVAL: Final = 0.5  # seconds
_PLAIN_INTERVAL: Final = 10.0
_SHORT_LIMIT: Final = RetryLimit(seconds=1.0)
_CHECKING: Final = "checking the data files, nothing more is loaded yet"


@contextmanager
def shown_progress(
    console: Console,
    database: DatabaseReference,
    loads: Sequence[Load],
    done_before: int,
    *,
    read: ReadTotals | None = None,
    counted: str = "dead letters",
) -> Iterator[None]:
    """Show the progress of one reading of an export, while the body runs: a bar on a terminal, else a line every ten seconds.

    It is that of its loads, or what `read` reads. An item is done when every load has it; `done_before` of them were done already. Until
    the first chunk is done, the data files are being checked. `counted` names the records that `read` counts as dead letters.
    """
    is_over = threading.Event()
    interval = _TERMINAL_INTERVAL if console.is_terminal else _PLAIN_INTERVAL
    looks = _looks(database, loads, done_before, read, is_over, interval)
    show = _show_bar if console.is_terminal else _show_lines
    watcher = threading.Thread(target=show, args=(console, loads[0], counted, looks), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join(timeout=5)


@dataclass(frozen=True, slots=True)
class _Look:
    totals: Totals
    is_checking: bool
    """Whether no chunk is done yet."""
    rate: float
    """Items a second since the first look."""
    workers: int
    """Those of a load; those of a check leave no trace in the ledger."""

    def words_of(self, counted: str) -> str:
        """`3 dead letters, 2 workers`."""
        workers = f", {self.workers} worker{'s' if self.workers > 1 else ''}" if self.workers else ""
        return f"{self.totals.dead_letters:,} {counted}{workers}"


def _looks(
    database: DatabaseReference, loads: Sequence[Load], done_before: int, read: ReadTotals | None, is_over: threading.Event, interval: float
) -> Iterator[_Look]:
    """One at intervals. Where the database does not answer, the load reports it, and the display waits."""

    def look(cursor: Cursor) -> tuple[Totals, int]:
        if read:
            return read(cursor), 0
        load_ids = [load.load_id for load in loads]
        return done_by_all([load_totals(cursor, load_id) for load_id in load_ids]), count_workers(cursor, load_ids)

    first: tuple[float, int] | None = None
    with Session(database, _SHORT_LIMIT) as session:
        while not is_over.wait(interval):
            try:
                totals, workers = session.transact(look)
            except Stopped as stopped:
                tell_waiting(str(stopped).partition(" (")[0].partition(";")[0])
                continue
            now = time.monotonic()
            began, items = first = first or (now, totals.items)
            rate = (totals.items - items) / (now - began) if now > began else 0.0
            yield _Look(totals, totals.items == done_before, rate, workers)


def done_by_all(totals: Sequence[Totals]) -> Totals:
    """Of loads that are visited in one reading: the items that all of them have, and the dead letters of each."""
    return Totals(items=min(of_load.items for of_load in totals), dead_letters=sum(of_load.dead_letters for of_load in totals))


def _show_bar(console: Console, load: Load, counted: str, looks: Iterator[_Look]) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[count]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        checking = f"{load.source_table}: {_CHECKING}"
        task = progress.add_task(checking, total=load.manifest_items, rate="", count="")
        for look in looks:
            progress.update(
                task,
                description=checking if look.is_checking else load.source_table,
                completed=look.totals.items,
                rate=f"{look.rate:,.0f} items/s",
                count=look.words_of(counted),
            )


def _show_lines(console: Console, load: Load, counted: str, looks: Iterator[_Look]) -> None:
    for look in looks:
        if look.is_checking:
            console.print(f"{load.source_table}: {_CHECKING}", highlight=False)
            continue
        items = look.totals.items
        left = f", {(load.manifest_items - items) / look.rate:,.0f} s left" if look.rate else ""
        console.print(
            f"{load.source_table}: {items:,} of {load.manifest_items:,} items, {look.rate:,.0f} items/s{left}, {look.words_of(counted)}",
            highlight=False,
        )
