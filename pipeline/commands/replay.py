"""`dead-letters replay`: loads the dead letters of a run again, with the guarantees of a load."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.errors import Refused
from pipeline.job.find_loads import find_given_loads
from pipeline.job.plan import LoadPlan, new_run_id
from pipeline.job.replay import GivenItem, GivenLoad, Replay, batches, gather
from pipeline.ledger.chunks import Totals, load_totals
from pipeline.options import ReplayOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict, begin_run
from pipeline.outcome.report import end_run
from pipeline.outcome.terminal import print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records, form_of
from pipeline.records.kinds import OF_A_LOAD, RecordFormat, RecordKind
from pipeline.records.reading import find_dead_letters
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session
from pipeline.target.target import count_rows

_COMMAND: Final = "dead-letters replay"
_FILE: Final = "replayed"


def replay(options: ReplayOptions, console: Console) -> ExitCode:
    """Load what can be loaded; an outcome a load.

    Raises `Refused` before anything is written, with all problems; `Stopped` when it ended early: the same command goes on.
    """
    options.output.refuse_unwritable()
    files = find_dead_letters(options.folder, str(options.output_given), options.storage)
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([sentence])
    if not files.is_whole_run:
        console.print("warning: the run did not come to its end, so these may not be all of its dead letters", style="bold yellow")
    run_id, started_at = new_run_id(), datetime.now(UTC)
    # Read twice: first to know that all of it can be loaded, then to do it, with memory that does not grow with the items.
    given_loads = gather(files.uris, options.storage)
    with Session(options.database) as session:
        plans = session.transact(partial(find_given_loads, loads=given_loads.values(), options=options, run_id=run_id))
        run = begin_run(_COMMAND, run_id, started_at, session, options.settings, plans.values())
        run_folder = options.output / run_id
        run_folder.make()
        replays = {key: _LoadReplay(plan, session, run_folder, options.dead_letter_format) for key, plan in plans.items()}
        for key, of_load in replays.items():
            for batch in batches(given_loads[key], options.storage):
                of_load.add(batch)
        outcomes = [session.transact(partial(of_load.conclude, given=given_loads[key])) for key, of_load in replays.items()]
    for outcome in outcomes:
        print_outcome(console, outcome, _COMMAND)
    return end_run(console, run_folder, run.with_outcomes(outcomes), as_json=options.json)


class _LoadReplay:
    """One load: what loads its items, the files of what is refused again, and the counts so far."""

    def __init__(self, plan: LoadPlan, session: Session, run_folder: OutputFolder, record_format: RecordFormat) -> None:
        self._plan = plan
        self._loader = Replay(plan, session)
        self._started = time.monotonic()
        self._codes = Counter[str]()
        self._rows = self._rows_before = self._dead_letters = self._notices = 0
        self._folders = {kind: run_folder / kind / plan.folder for kind in OF_A_LOAD}
        self._files = {kind: RecordFiles(folder, form_of(kind, record_format)) for kind, folder in self._folders.items()}

    def add(self, items: Sequence[GivenItem]) -> None:
        """Load a batch; records of what is refused are written only after the others are committed."""
        batch = self._loader.load(items)
        self._rows += batch.rows
        self._rows_before += batch.rows_before
        self._dead_letters += batch.dead_letters
        self._notices += len(batch.records[RecordKind.NOTICES])
        self._codes.update(batch.codes)
        for kind in OF_A_LOAD:
            self._write(kind, tuple(batch.records[kind]))

    def conclude(self, cursor: Cursor, given: GivenLoad) -> Outcome:
        """Close the files, and compare the result with the given items, the ledger and the target."""
        for kind in OF_A_LOAD:
            self._write(kind, (), is_last=True)
        # Counting a large table may take long.
        cursor.execute("SET LOCAL statement_timeout = 0")
        totals = load_totals(cursor, self._plan.load.load_id)
        target_rows = count_rows(cursor, self._plan.target)
        load = self._plan.load
        loaded = f"export {load.export_id}: {totals.items:,} items loaded = {totals.rows:,} rows + {totals.dead_letters:,} dead letters"
        unread = load.manifest_items - totals.items
        return Outcome(
            source_table=self._plan.table.source,
            target_table=load.target_table,
            export_id=load.export_id,
            counted="dead letter",
            total=given.items,
            total_words="given",
            seen=self._rows + self._rows_before + self._dead_letters,
            seen_words="tried",
            parts=(
                Part("rows", "rows now", self._rows, PartKind.GOOD),
                Part("rows_before", "rows before", self._rows_before, PartKind.BEFORE),
                Part("dead_letters", "refused again", self._dead_letters, PartKind.REVIEW),
            ),
            problems=tuple(self._problems(given, totals, target_rows)),
            warnings=(f"{unread:,} items are not loaded yet: run migrate again to go on",) if unread > 0 else (),
            checks=(Check("load", Verdict.FACT, loaded),),
            tallies={"totals": dataclasses.asdict(totals), "dead_letter_codes": dict(self._codes.most_common())},
            target_rows=target_rows,
            done_now=self._rows,
            seconds=time.monotonic() - self._started,
        )

    def _problems(self, given: GivenLoad, totals: Totals, target_rows: int) -> Iterator[str]:
        done = self._rows + self._rows_before + self._dead_letters
        if done != given.items:
            yield f"{given.items:,} dead letters were given, but {done:,} were brought in or refused; run the same command again"
        if target_rows < totals.rows:
            target = self._plan.table.target
            yield f"{target} holds {target_rows:,} rows, fewer than the {totals.rows:,} that were loaded: rows were deleted since"
        for kind, expected in ((RecordKind.DEAD_LETTERS, self._dead_letters), (RecordKind.NOTICES, self._notices)):
            written = count_records(self._folders[kind])
            if written != expected:
                yield f"{self._folders[kind]}: holds {written:,} records, not {expected:,}; run the same command again"

    def _write(self, kind: RecordKind, records: tuple[bytes, ...], *, is_last: bool = False) -> None:
        self._files[kind].write(RecordBatch(_FILE, records, is_last))
