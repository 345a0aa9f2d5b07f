"""`migrate` where nobody waits for its jobs: each launch proves what earlier ones loaded, and sends the next table that is not.

A launch cannot say that a run is at its end, nor that its files of dead letters are whole, for its job has only begun. That is for
`migrate` in a place that waits: once all tables are loaded it reads no more than what has dead letters or notices.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from pipeline.commands.migrate import MigrateOptions, begin, committed_before, held_against_export, splits_to_do
from pipeline.commands.run_id import new_run_id
from pipeline.engines.run import RemoteJob, send_pipeline
from pipeline.job.begun_loads import BegunLoad
from pipeline.job.equation import prove
from pipeline.job.graph import define_pipeline
from pipeline.ledger.totals import Totals
from pipeline.outcome.outcome import Outcome
from pipeline.outcome.terminal import print_not_begun, print_outcome
from pipeline.places.storage import OutputFolder
from pipeline.target.session import Session


@dataclass(frozen=True, slots=True)
class Launched:
    """What came of a launch."""

    outcomes: Sequence[Outcome]
    """Of the tables that earlier launches loaded; the last may not go on if the launch ended there."""
    sent: str | None
    """The table whose job was sent."""
    job: RemoteJob | None
    left: Sequence[str]
    """The tables that no launch has sent."""


def launch(options: MigrateOptions, console: Console) -> Launched:
    """Prove the tables that are loaded, in their order, and send the first that is not. Raises `Refused`, `Stopped`."""
    run_id = new_run_id()
    prepared, _, _ = begin(options, run_id, console)
    run_folder = options.output / run_id
    run_folder.make()
    outcomes: list[Outcome] = []
    for number, load in enumerate(prepared):
        left = [one.plan.table.source for one in prepared[number + 1 :]]
        with Session(options.database) as session:
            done = session.transact(partial(committed_before, plan=load.plan))
        if not _is_loaded(load, done):
            return Launched(outcomes, load.plan.table.source, _send(load, options, done, run_folder), left)
        outcomes.append(_proved(load, options, run_folder, console))
        print_outcome(console, outcomes[-1], "migrate")
        if not outcomes[-1].may_go_on:
            print_not_begun(console, left)
            return Launched(outcomes, None, None, left)
    return Launched(outcomes, None, None, [])


def _is_loaded(load: BegunLoad, done: dict[str, Totals]) -> bool:
    """Whether every item is committed, as a row or a dead letter. That an empty file was looked at, only `migrate` can tell."""
    return all(done.get(data_file.name, Totals()).items == data_file.items for data_file in load.export.data_files)


def _send(load: BegunLoad, options: MigrateOptions, done: dict[str, Totals], run_folder: OutputFolder) -> RemoteJob | None:
    plan = load.plan
    splits = splits_to_do(load.export, plan.load, done)
    define = partial(define_pipeline, splits=splits, plan=plan, run_folder=run_folder, record_format=options.dead_letter_format)
    # One name a load: the service takes no second job of a name while the first runs.
    return send_pipeline(define, options.beam_arguments, f"ddb2pg-{plan.table.source}-{plan.load.migration_microseconds}")


def _proved(load: BegunLoad, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    started = time.monotonic()
    with Session(options.database) as session:
        outcome = session.transact(
            lambda cursor: prove(cursor, load.plan, load.export, None, load.export.items, time.monotonic() - started),
        )
    return held_against_export(load, outcome, options, run_folder, console)
