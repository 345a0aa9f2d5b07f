"""What of an export is left to visit, and one reading of it as a Beam job, where the options say, with its progress shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from pipeline.engines.runners import worker_count
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import VisitedLoad
from pipeline.ledger.chunks import Totals, file_totals, load_totals
from pipeline.ledger.threshold import stop_if_exceeded
from pipeline.options import JobOptions
from pipeline.outcome.progress import ReadTotals, shown_progress
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import Split
from pipeline.source.manifest import DataFile, Export
from pipeline.target.session import Cursor


@dataclass(frozen=True, slots=True)
class LeftToVisit:
    """What of an export, or a window, the ledger does not have whole."""

    data_files: Sequence[DataFile]
    """All but those that are committed whole, with no dead letters and no notices."""
    items_before: int
    """That are committed."""
    is_committed: bool
    """Whether every item is. Only a `migrate` that waits can check an empty file."""


def left_to_visit(cursor: Cursor, plan: LoadPlan, export: Export) -> LeftToVisit:
    """Raises `Stopped` if what is committed has too many dead letters for the load to go on."""
    load = plan.load
    stop_if_exceeded(cursor, plan.threshold, load, load_totals(cursor, load.load_id))
    done = dict(file_totals(cursor, load.load_id))

    def is_committed(data_file: DataFile) -> bool:
        return done.get(data_file.name, Totals()).items == data_file.items

    def is_done(data_file: DataFile) -> bool:
        # An empty file is done when it has been seen to be empty, which only a finished load says. Those of windows need no visit.
        is_seen = data_file.items > 0 or load.finished_at is not None or load.link is not None
        return is_seen and is_committed(data_file) and done.get(data_file.name, Totals()).is_clean

    return LeftToVisit(
        [data_file for data_file in export.data_files if not is_done(data_file)],
        sum(totals.items for totals in done.values()),
        all(map(is_committed, export.data_files)),
    )


def run_visits(
    loads: Sequence[VisitedLoad],
    splits: Sequence[Split],
    export: Export,
    options: JobOptions,
    console: Console,
    *,
    record_format: RecordFormat = RecordFormat.JSONL,
    done_before: int = 0,
    read: ReadTotals | None = None,
    counted: str = "dead letters",
) -> None:
    """Visit every chunk of some splits of an export for each of the loads, and wait for the end.

    `read` and `counted` are as `shown_progress` has them. Raises `Stopped`, `Interrupted`. Beam takes a second to import, so it is imported
    here, where there is something to do.
    """
    if not splits:
        return
    from pipeline.engines.run import run_pipeline  # noqa: PLC0415
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    plans = [load.plan.load_plan for load in loads]
    define = partial(define_pipeline, splits=splits, loads=loads, record_format=record_format)
    items = export.usual_items(sum(split.items for split in splits))
    with shown_progress(console, plans[0].database, [plan.load for plan in plans], done_before, read=read, counted=counted):
        run_pipeline(define, options.beam_arguments, worker_count(items, len(splits)), plans[0].job_name)


def send_visits(
    loads: Sequence[VisitedLoad], splits: Sequence[Split], options: JobOptions, name: str, *, record_format: RecordFormat
) -> str:
    """The same as a job that is sent, under this name, and not waited for; returns how to see it and how to end it."""
    from pipeline.engines.run import send_pipeline  # noqa: PLC0415 - as above
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    define = partial(define_pipeline, splits=splits, loads=loads, record_format=record_format)
    job = send_pipeline(define, options.beam_arguments, name)
    return job.whereabouts() if job else ""
