"""One reading of an export: what is left of its loads is loaded chunk by chunk, then each load is proved by itself, in their order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from pipeline.job.equation import check_source, outcome_so_far, prove
from pipeline.job.gate import pass_gates
from pipeline.job.load import LoadChunks
from pipeline.job.plan import BegunLoad
from pipeline.job.run_visits import LeftToVisit, left_to_visit, run_visits, send_visits
from pipeline.job.visit import VisitedLoad, record_folders
from pipeline.ledger.chunks import absent_attributes
from pipeline.ledger.loads import Load
from pipeline.ledger.windows import has_windows
from pipeline.options import MigrateOptions
from pipeline.outcome.outcome import Check, Outcome, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import Planned
from pipeline.preflight.sample import sample_names, told_absent
from pipeline.source.chunks import Split, plan_splits
from pipeline.target.session import Cursor, Session


@dataclass(frozen=True, slots=True)
class LeftToLoad:
    """A load, and what of its export is left to visit."""

    load: BegunLoad
    to_visit: LeftToVisit

    def visited(self, run_folder: OutputFolder) -> VisitedLoad:
        visits = LoadChunks(self.load.plan)
        return VisitedLoad(visits, record_folders(run_folder, visits))


def left_to_load(reading: Sequence[BegunLoad], options: MigrateOptions) -> list[LeftToLoad]:
    """What is left of each load of a reading. Raises `Stopped` as `left_to_visit` does."""

    def work(cursor: Cursor) -> list[LeftToLoad]:
        return [LeftToLoad(load, _left_to_visit(cursor, load)) for load in reading]

    with Session(options.database) as session:
        return session.transact(work)


def _left_to_visit(cursor: Cursor, load: BegunLoad) -> LeftToVisit:
    """Nothing where windows follow: the target is not as the export has it any more."""
    if has_windows(cursor, load.plan.load):
        return LeftToVisit([], load.export.items, is_committed=True)
    return left_to_visit(cursor, load.plan, load.export)


def load_reading(reading: Sequence[BegunLoad], options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Iterator[Outcome]:
    """Load what is left, then prove and compare each load, in their order. Raises `Stopped`."""
    started = time.monotonic()
    left = left_to_load(reading, options)
    visited = [of_load for of_load in left if of_load.to_visit.data_files]
    if visited:
        run_visits(
            [of_load.visited(run_folder) for of_load in visited],
            _splits_of(visited),
            reading[0].export,
            options,
            console,
            record_format=options.dead_letter_format,
            done_before=min(of_load.to_visit.items_before for of_load in visited),
        )
    yield from prove_reading(left, options, run_folder, console, is_whole=True, loading_took=time.monotonic() - started)


def send_reading(reading: Sequence[BegunLoad], left: Sequence[LeftToLoad], options: MigrateOptions, run_folder: OutputFolder) -> str:
    """Send the job of what is left of some loads of a reading; returns how to see it and how to end it."""
    visited = [of_load.visited(run_folder) for of_load in left]
    # One name a reading, whatever is left of it: the service takes no second job of a name while the first runs.
    first = reading[0].plan
    name = f"ddb2pg-{first.folder}-{first.load.migration_microseconds}"
    return send_visits(visited, _splits_of(left), options, name, record_format=options.dead_letter_format)


def _splits_of(left: Sequence[LeftToLoad]) -> list[Split]:
    """Of each data file that any of the loads of a reading needs."""
    data_files = {data_file.name: data_file for of_load in left for data_file in of_load.to_visit.data_files}
    return plan_splits(data_files.values(), left[0].load.plan.load.split_size)


# -- proved --------------------------------------------------------------------------------------------------------------------------------


def prove_reading(
    left: Sequence[LeftToLoad],
    options: MigrateOptions,
    run_folder: OutputFolder,
    console: Console,
    *,
    is_whole: bool,
    loading_took: float = 0.0,
) -> Iterator[Outcome]:
    """The outcome of each load, with what the gate found. Unless the run `is_whole`, other runs wrote its records. Raises `Stopped`.

    `loading_took` is in seconds.
    """
    proved = [_proved(of_load, options, run_folder if is_whole else None, loading_took) for of_load in left]
    to_compare = [(one.load, one.outcome) for one in proved if one.is_to_compare]
    gated = iter(pass_gates(to_compare, options.gate, options, run_folder, console) if options.gate else [one for _, one in to_compare])
    for one in proved:
        outcome = next(gated) if one.is_to_compare else one.outcome
        if outcome.may_go_on:
            yield outcome
            continue
        with Session(options.database) as session:
            # Another run may have gone on with windows meanwhile.
            yield session.transact(partial(_followed, load=one.load.plan.load)) or outcome


@dataclass(frozen=True, slots=True)
class _Proved:
    load: BegunLoad
    outcome: Outcome
    is_followed: bool = False
    """Whether windows follow it: its target has changed since."""

    @property
    def is_to_compare(self) -> bool:
        return not self.is_followed and not self.outcome.problems


def _proved(left: LeftToLoad, options: MigrateOptions, run_folder: OutputFolder | None, loading_took: float) -> _Proved:
    started, load = time.monotonic(), left.load
    with Session(options.database) as session:

        def work(cursor: Cursor) -> Outcome:
            seconds = loading_took + time.monotonic() - started
            return prove(cursor, load.plan, load.export, run_folder, left.to_visit.items_before, seconds)

        followed = session.transact(partial(_followed, load=load.plan.load))
        if followed is not None:
            return _Proved(load, followed, is_followed=True)
        return _Proved(load, _with_absent(load, session.transact(work), session, options))


def _followed(cursor: Cursor, load: Load) -> Outcome | None:
    """The outcome of a load that windows follow, which is finished, and whose target has changed since."""
    return replace(outcome_so_far(cursor, load), done_now=0) if has_windows(cursor, load) else None


def _with_absent(load: BegunLoad, outcome: Outcome, session: Session, options: MigrateOptions) -> Outcome:
    """With a check that warns of the attributes that the definition names and no item of the export has."""
    if outcome.problems:
        return outcome
    absent = session.transact(partial(absent_attributes, load_id=load.plan.load.load_id))
    if not absent:
        return outcome
    names = sample_names(Planned(load.plan.table, load.export), options.storage)
    # Others may have them: items of another table, or dead letters.
    nobody = "no item that became a row" if any(map(names.has, absent)) else "no item of the export"
    sentence = f"{nobody} has {told_absent(absent, names)}"
    return replace(outcome, checks=(*outcome.checks, Check("attributes of the definition", Verdict.WARNING, sentence)))


def with_source(outcomes: Sequence[Outcome], loads: Sequence[BegunLoad], options: MigrateOptions) -> Outcome:
    """The last of the outcomes so far, with the check of all tables of its source if it is the last of them. Raises `Stopped`.

    `loads` are all those of the run, in the order of the outcomes.
    """
    outcome, export = outcomes[-1], loads[len(outcomes) - 1].export
    of_source = [load for load in loads if load.export == export]
    is_one = len(of_source) == 1 and not of_source[0].plan.table.others
    if is_one or any(load.export == export for load in loads[len(outcomes) :]) or not all(one.may_go_on for one in outcomes):
        return outcome
    with Session(options.database) as session:
        return replace(outcome, checks=(*outcome.checks, session.transact(partial(check_source, loads=of_source))))
