"""The visits of one table as a Beam job, where the options say, with its progress shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from rich.console import Console

from pipeline.engines.runners import worker_count
from pipeline.job.visit import VisitPlan
from pipeline.options import JobOptions
from pipeline.outcome.progress import ReadTotals, shown_progress
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordFormat, RecordKind
from pipeline.source.chunks import Split
from pipeline.source.manifest import Export


def run_visits(
    plan: VisitPlan,
    splits: Sequence[Split],
    export: Export,
    options: JobOptions,
    folders: Mapping[RecordKind, OutputFolder],
    console: Console,
    *,
    record_format: RecordFormat = RecordFormat.JSONL,
    done_before: int = 0,
    read: ReadTotals | None = None,
    counted: str = "dead letters",
) -> None:
    """Visit every chunk of some splits of an export, and wait for the end. `read` and `counted` as `shown_progress` has them.

    Raises `Stopped`, `Interrupted`. Beam takes a second to import, so it is imported here, where there is something to do.
    """
    if not splits:
        return
    from pipeline.engines.run import run_pipeline  # noqa: PLC0415
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    load_plan = plan.load_plan
    define = partial(define_pipeline, splits=splits, plan=plan, folders=folders, record_format=record_format)
    items = export.usual_items(sum(split.items for split in splits))
    with shown_progress(console, load_plan.database, load_plan.load, done_before, read=read, counted=counted):
        run_pipeline(define, options.beam_arguments, worker_count(items, len(splits)), load_plan.job_name)
