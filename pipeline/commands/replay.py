"""`dead-letters replay`: brings the dead letters of a run in again, with the guarantees of a load."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.commands.run_id import new_run_id
from pipeline.errors import Stopped
from pipeline.job.given_items import GivenItem, LoadKey, read_items
from pipeline.job.loading import LoadPlan
from pipeline.job.replay_loader import ReplayLoader
from pipeline.job.replay_loads import GivenLoad, find_plans, gather
from pipeline.ledger.totals import Totals, load_totals
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict, begin_run
from pipeline.places.storage import OutputFolder, Storage
from pipeline.records.files import RecordBatch, RecordFiles, count_records, form_of
from pipeline.records.kinds import OF_A_LOAD, RecordFormat, RecordKind
from pipeline.records.reading import DeadLetterFiles
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session
from pipeline.target.target import count_rows
from transforms.table import Table

COMMAND: Final = "dead-letters replay"
_BATCH_ITEMS: Final = 2_000
_BATCH_BYTES: Final = 8 << 20
_FILE: Final = "replayed"
_CHANGED: Final = "the files of dead letters were changed while they were read; what was brought in stays: run the same command again"


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `dead-letters replay` was asked for."""

    files: DeadLetterFiles
    storage: Storage
    database: DatabaseReference
    output: OutputFolder
    tables: Sequence[Table]
    dead_letter_format: RecordFormat

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {"output": str(self.output), "dead_letter_format": self.dead_letter_format}


def replay(options: ReplayOptions) -> tuple[OutputFolder, Run]:
    """Bring in what can be; returns the run's folder, and what came of it, an outcome a load.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped` when it ended early: the same command goes on.
    """
    run_id, started_at = new_run_id(), datetime.now(UTC)
    # Read twice: first to know that all of it can be brought in, then to do it, with memory that does not grow with the items.
    loads = gather(options.files.uris, options.storage)
    with Session(options.database) as session:
        plans = session.transact(
            lambda cursor: find_plans(cursor, loads.values(), options.tables, run_id, options.database, options.storage)
        )
        run = begin_run(COMMAND, run_id, started_at, session, options.settings, [plan.table for plan in plans.values()])
        run_folder = options.output / run_id
        run_folder.make()
        replays = {key: _LoadReplay(plan, session, run_folder, options.dead_letter_format) for key, plan in plans.items()}
        for key, one in replays.items():
            for batch in _batches(key, read_items(loads[key].uris, options.storage)):
                one.bring_in(batch)
        outcomes = [
            session.transact(lambda cursor, key=key, one=one: one.conclude(cursor, loads[key]))  # type: ignore[misc]
            for key, one in replays.items()
        ]
        return run_folder, run.with_outcomes(outcomes)


def _batches(load: LoadKey, items: Iterator[GivenItem | str]) -> Iterator[list[GivenItem]]:
    """Those of one load, in their order."""
    batch: list[GivenItem] = []
    bytes_ = 0
    for item in items:
        if isinstance(item, str):
            raise Stopped(_CHANGED)
        if item.load != load:
            continue
        if batch and (len(batch) == _BATCH_ITEMS or bytes_ + len(item.line) > _BATCH_BYTES):
            yield batch
            batch, bytes_ = [], 0
        batch.append(item)
        bytes_ += len(item.line)
    if batch:
        yield batch


class _LoadReplay:
    """One load: what brings its items in, the files of what is refused again, and what it came to so far."""

    def __init__(self, plan: LoadPlan, session: Session, run_folder: OutputFolder, record_format: RecordFormat) -> None:
        self._plan = plan
        self._loader = ReplayLoader(plan, session)
        self._started = time.monotonic()
        self._codes = Counter[str]()
        self._rows = self._rows_before = self._dead_letters = self._notices = 0
        self._folders = {kind: run_folder / kind / plan.table.source for kind in OF_A_LOAD}
        self._files = {kind: RecordFiles(folder, form_of(kind, record_format)) for kind, folder in self._folders.items()}

    def bring_in(self, items: Sequence[GivenItem]) -> None:
        """A batch; what is refused is told only after the others are committed."""
        batch = self._loader.load(items)
        self._rows += batch.rows
        self._rows_before += batch.rows_before
        self._dead_letters += len(batch.dead_letters)
        self._notices += len(batch.notices)
        self._codes.update(batch.codes)
        self._write(RecordKind.DEAD_LETTERS, batch.dead_letters)
        self._write(RecordKind.NOTICES, batch.notices)

    def conclude(self, cursor: Cursor, given: GivenLoad) -> Outcome:
        """Close the files, and hold what was done against what was given, the ledger and the target."""
        for kind in OF_A_LOAD:
            self._write(kind, (), is_last=True)
        # Counting a large table takes what it takes.
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
