"""The rollback of loads of one export in one reading of it: passes over their chunks until nothing more is freed, then the outcomes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.job.compare import forget, record_replayed
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import VisitedLoad
from pipeline.ledger.chunks import Totals, refused_files
from pipeline.ledger.comparisons import compared_items, compared_totals
from pipeline.ledger.replays import kept_replayed
from pipeline.ledger.rollbacks import (
    RollbackTotals,
    discrepancy_counts,
    files_to_roll_back,
    finish_rollback,
    rollback_totals,
)
from pipeline.options import RollbackOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.outcome.progress import done_by_all
from pipeline.places.storage import OutputFolder
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.rollback.take_back import ReplayedRows, TakeBackChunks, look_at_replayed, next_folder, take_back_replayed
from pipeline.source.chunks import plan_splits
from pipeline.target.compare import TRIED_AGAIN, MismatchKind
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, count_rows, find_references

_HIDDEN: Final = (
    "row security applies to this role: rows that it hides count as gone here, and with --yes are left for good (not_seen); "
    "roll back as the table's owner, or as a role with BYPASSRLS, instead"
)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One of the passes over the chunks of a load."""

    load: BegunLoad
    plan: TakeBackChunks
    references: tuple[Reference, ...]
    folder: OutputFolder
    deleted_before: int

    @property
    def load_id(self) -> int:
        return self.plan.load_plan.load.load_id

    @property
    def is_deleting(self) -> bool:
        """A closed load is shown again and not tried again: by now the rows may be those of another load."""
        return not self.plan.is_dry and self.plan.load_plan.load.rolled_back_at is None


def roll_back_loads(loads: Sequence[BegunLoad], options: RollbackOptions, run_folder: OutputFolder, console: Console) -> Iterator[Outcome]:
    """Take back loads that `are_together`, each chunk in their order, or look what that would do; an outcome each. Raises `Stopped`."""
    started = time.monotonic()
    try:
        with Session(options.database) as session:
            before = [session.transact(partial(rollback_totals, load_id=load.plan.load.load_id)) for load in loads]
            firsts = [
                session.transact(partial(_first_pass, load=load, before=totals, run_folder=run_folder, is_dry=not options.yes))
                for load, totals in zip(loads, before, strict=True)
            ]
            lasts = _run_passes(firsts, session, options, console)
            for totals, last in zip(before, lasts, strict=True):
                yield session.transact(partial(_conclude, last=last, before=totals, started=started))
    finally:
        if not options.yes:
            for load in loads:
                forget(load.plan)


# -- passes --------------------------------------------------------------------------------------------------------------------------------


def _first_pass(cursor: Cursor, load: BegunLoad, before: RollbackTotals, run_folder: OutputFolder, *, is_dry: bool) -> _Pass:
    references, *of_children = (tuple(find_references(cursor, target)) for target in (load.plan.target, *load.plan.target.children))
    cascading, *of_children = (tuple(one for one in of_target if one.is_cascading) for of_target in (references, *of_children))
    number = 0 if load.plan.load.rolled_back_at is not None else before.last_pass + 1
    plan = TakeBackChunks(load.plan, number, cascading, is_dry=is_dry, child_references=tuple(of_children))
    return _Pass(load, plan, references, run_folder / RecordKind.DISCREPANCIES / load.plan.folder, before.deleted)


def _run_passes(passes: Sequence[_Pass], session: Session, options: RollbackOptions, console: Console) -> list[_Pass]:
    """A pass of each load, and another while deleted rows may have kept others from being deleted. Returns the last of each."""
    lasts = {one.load_id: one for one in passes}
    while passes:
        for one in passes:
            if one.is_deleting:
                take_back_replayed(session, one.plan)
        _visit(passes, session, options, console)
        passes = [following for one in passes if (following := session.transact(partial(_next_pass, one=one)))]
        lasts.update({one.load_id: one for one in passes})
    return list(lasts.values())


def _next_pass(cursor: Cursor, one: _Pass) -> _Pass | None:
    """None where nothing more can be done."""
    if not one.is_deleting:
        return None
    deleted = rollback_totals(cursor, one.load_id).deleted
    if deleted == one.deleted_before or TRIED_AGAIN.isdisjoint(discrepancy_counts(cursor, one.load_id)):
        return None
    number = one.plan.pass_number + 1
    return replace(one, plan=replace(one.plan, pass_number=number), folder=next_folder(one.folder, number), deleted_before=deleted)


def _visit(passes: Sequence[_Pass], session: Session, options: RollbackOptions, console: Console) -> None:
    """In one reading those that need the same data files: a file that is refused is a problem of each load that is visited with it."""
    by_files: dict[frozenset[str], list[_Pass]] = {}
    for one in passes:
        by_files.setdefault(frozenset(session.transact(partial(files_to_roll_back, load_id=one.load_id))), []).append(one)
    for files, together in by_files.items():
        export, load = together[0].load.export, together[0].plan.load_plan.load
        splits = plan_splits([file for file in export.data_files if file.name in files], load.split_size)
        visited = [VisitedLoad(one.plan, {RecordKind.DISCREPANCIES: one.folder}) for one in together]
        run_visits(visited, splits, export, options, console, read=partial(_done, passes=together), counted="discrepancies")


def _done(cursor: Cursor, passes: Sequence[_Pass]) -> Totals:
    return done_by_all([_done_of(cursor, one) for one in passes])


def _done_of(cursor: Cursor, one: _Pass) -> Totals:
    if one.plan.is_dry:
        return compared_items(cursor, one.plan.comparing)
    totals = rollback_totals(cursor, one.load_id)
    return Totals(items=totals.deleted + totals.gone + totals.kept, dead_letters=totals.kept)


# -- the end -------------------------------------------------------------------------------------------------------------------------------


def _conclude(cursor: Cursor, last: _Pass, before: RollbackTotals, started: float) -> Outcome:
    """Add up what is in the ledger, and close the load if all of it is done."""
    plan, folder = last.plan, last.folder
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    load = plan.load_plan.load
    totals = rollback_totals(cursor, load.load_id)
    kept = discrepancy_counts(cursor, load.load_id)
    deleted, gone = totals.deleted, totals.gone
    replayed = ReplayedRows()
    problems = list(refused_files(cursor, load.load_id, plan.load_plan.run_id).values())
    if plan.is_dry:
        compared = compared_totals(cursor, plan.comparing)
        different = compared.kinds.get(MismatchKind.DIFFERENT, 0)
        deleted += compared.rows - different
        gone += compared.kinds.get(MismatchKind.MISSING, 0)
        replayed = look_at_replayed(cursor, plan.load_plan)
        deleted += replayed.deletable
        gone += replayed.gone
        kept = _summed(kept, {MismatchKind.DIFFERENT.value: different + len(replayed.changed)})
    elif not problems and totals.open_items:
        problems.append(f"{totals.open_items:,} dead letters that were brought in later are not rolled back; run the same command again")
    elif not problems and totals.open_chunks:
        problems.append(f"{totals.open_chunks:,} of {totals.chunks:,} chunks are not rolled back; run the same command again")
    looked_at = deleted + gone + sum(kept.values())
    if not problems and looked_at != totals.rows:
        problems.append(f"of {totals.rows:,} rows {looked_at:,} were looked at; run the same command again")
    left = [*kept_replayed(cursor, load.load_id), *((address, MismatchKind.DIFFERENT) for address in replayed.changed)]
    record_replayed(plan.load_plan, left, folder)
    written = count_records(folder)
    if not problems and written != sum(kept.values()):
        problems.append(f"{folder}: holds {written:,} records, but {sum(kept.values()):,} were found; run the same command again")
    is_finished = load.rolled_back_at is not None
    if not plan.is_dry and not problems:
        is_finished = finish_rollback(cursor, load.load_id)
    is_to_do = plan.is_dry and not is_finished
    target_rows = count_rows(cursor, plan.load_plan.target)
    sees_all_rows = not plan.load_plan.target.hides_rows
    warnings = [] if sees_all_rows or is_finished else [_HIDDEN]
    if is_finished and target_rows:
        warnings.append(f"the load is closed, but the table still holds {target_rows:,} rows, which keep another load out")
    elif is_finished and (of_children := [name for name, rows in _child_rows(cursor, plan.load_plan) if rows]):
        warnings.append(f"the load is closed, but rows of its children are left in {', '.join(of_children)}, which keep another load out")
    elif is_finished and not sees_all_rows:
        warnings.append("the load is closed, and the table is empty, as far as this role sees: row security hides rows from it")
    return rollback_outcome(
        plan.load_plan,
        counted="row",
        total=totals.rows,
        total_words="loaded",
        seen=looked_at,
        parts=_parts(deleted, before.deleted, gone, sum(kept.values()), is_to_do=is_to_do),
        problems=problems,
        warnings=warnings,
        checks=_checks(last.references, is_to_do=is_to_do, is_emptied=is_finished and not warnings),
        kept=kept,
        target_rows=target_rows,
        done_now=deleted - before.deleted,
        started=started,
    )


def rollback_outcome(
    plan: LoadPlan,
    *,
    counted: str,
    total: int,
    total_words: str,
    seen: int,
    parts: Iterable[Part],
    kept: Mapping[str, int],
    target_rows: int,
    done_now: int,
    started: float,
    problems: Iterable[str] = (),
    warnings: Iterable[str] = (),
    checks: Iterable[Check] = (),
) -> Outcome:
    """Of a load, a window or a chain that is taken back, or looked at; `kept` counts what is left by kind, `started` is monotonic."""
    return Outcome(
        source_table=plan.table.source,
        target_table=plan.load.target_table,
        export_id=plan.load.export_id,
        counted=counted,
        total=total,
        total_words=total_words,
        seen=seen,
        seen_words="looked at",
        parts=tuple(parts),
        problems=tuple(problems),
        warnings=tuple(warnings),
        checks=tuple(checks),
        tallies={"kept": kept},
        target_rows=target_rows,
        done_now=done_now,
        seconds=time.monotonic() - started,
        window=plan.load.link.number if plan.load.link else None,
    )


def _child_rows(cursor: Cursor, plan: LoadPlan) -> Iterator[tuple[str, int]]:
    """The tables of child rows, and how many rows each holds."""
    yield from ((target.qualified, count_rows(cursor, target)) for target in plan.target.children)


def _parts(deleted: int, deleted_before: int, gone: int, kept: int, *, is_to_do: bool) -> Iterator[Part]:
    """What became of the rows, or would."""
    if is_to_do:
        yield Part("to_delete", "would be deleted", deleted - deleted_before, PartKind.GOOD)
        if deleted_before:
            yield Part("deleted", "are deleted already", deleted_before, PartKind.BEFORE)
    else:
        yield Part("deleted", "deleted", deleted, PartKind.GOOD)
    yield Part("gone", "gone before", gone, PartKind.BEFORE)
    yield Part("kept", "would be left" if is_to_do else "left", kept, PartKind.DIFFERENT)


def _checks(references: Sequence[Reference], *, is_to_do: bool, is_emptied: bool) -> Iterator[Check]:
    if is_to_do and references:
        names = ", ".join(qualified(references))
        yield Check("references", Verdict.FACT, f"not looked at: rows that {names} refer to then may have to be left, too")
    if is_emptied:
        yield Check("load", Verdict.FACT, "the load is closed, and the table is empty")


def _summed(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    summed = {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *more)}
    return {name: count for name, count in summed.items() if count}


def qualified(references: Sequence[Reference]) -> list[str]:
    """The tables that they are of."""
    return sorted({reference.qualified for reference in references})
