"""`dead-letters`: what was refused, for the engineer who reviews it (`summary`, `show`), and loaded again after a fix (`replay`)."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import orjson
from rich.console import Console

from pipeline.errors import Refused
from pipeline.job.plan import LoadPlan, new_run_id
from pipeline.ledger.chunks import Totals, load_totals
from pipeline.options import DeadLettersOptions, ReplayOptions, ShowOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict, begin, filtered_part
from pipeline.outcome.terminal import print_outcome
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records, form_of
from pipeline.records.kinds import OF_A_LOAD, RecordFormat, RecordKind
from pipeline.records.mask import named_paths
from pipeline.records.reading import DeadLetterFiles, find_dead_letters, read_dead_letters
from pipeline.records.summary import Filter, Names, print_dead_letter, print_summary, record_to_json, summarise
from pipeline.replay.find_given import find_given_loads
from pipeline.replay.given import GivenItem, GivenLoad, batches, gather
from pipeline.replay.load_again import Replay
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session
from pipeline.target.target import count_rows, describe_database

_COMMAND: Final = "dead-letters replay"
_FILE: Final = "replayed"


def summary(options: DeadLettersOptions, console: Console) -> Run:
    """What was refused and why, by table, code and attribute."""
    tables = summarise(read_dead_letters(_find(options).uris, options.storage), _named_paths(options))
    print_summary(console, tables)
    outcomes = (_outcome(table.source_table, table.target_table, table.dead_letters) for table in tables)
    return Run("dead-letters summary", tuple(outcomes), results={"dead_letters": tables})


def show(options: ShowOptions, console: Console) -> Run:
    """Single dead letters."""
    wanted = Filter(options.table, options.code, options.attribute)
    named = _named_paths(options)
    shown = Counter[tuple[str, str]]()
    records = filter(wanted.takes, read_dead_letters(_find(options).uris, options.storage))
    for record in itertools.islice(records, options.limit):
        shown[record["source_table"], record["target_table"]] += 1
        names = Names(named.get(record["source_table"], ()), options.show_values)
        if options.json:
            sys.stdout.buffer.write(orjson.dumps(record_to_json(record, names), option=orjson.OPT_APPEND_NEWLINE))
        else:
            print_dead_letter(console, record, names)
    return Run("dead-letters show", tuple(_outcome(source, target, count) for (source, target), count in shown.items()))


def _outcome(source_table: str, target_table: str, dead_letters: int) -> Outcome:
    """Of dead letters that were read: all are to be reviewed."""
    return Outcome(
        source_table=source_table,
        target_table=target_table,
        export_id="",
        counted="dead letter",
        total=dead_letters,
        total_words="shown",
        seen=dead_letters,
        seen_words="read",
        parts=(Part("dead_letters", "to review", dead_letters, PartKind.REVIEW),),
        done_now=dead_letters,
    )


def _find(options: DeadLettersOptions) -> DeadLetterFiles:
    files = _find_quietly(options)
    if not files.is_whole_run:
        sys.stderr.write(f"ddb2pg: {files.place}: the run did not finish, so this may not be all; run its command again\n")
    return files


def _find_quietly(options: DeadLettersOptions) -> DeadLetterFiles:
    """The files; says which run the last one is, where none was named."""
    files = find_dead_letters(options.folder, str(options.output_given), options.storage)
    if options.folder is None and not options.quiet:
        sys.stderr.write(f"ddb2pg: the last run with dead letters: {files.place}\n")
    return files


def _named_paths(options: DeadLettersOptions) -> Mapping[str, Collection[str]]:
    named: dict[str, frozenset[str]] = {}
    for table in options.tables:
        named[table.source] = named.get(table.source, frozenset()) | named_paths(table)
    return named


# -- replay --------------------------------------------------------------------------------------------------------------------------------


def replay(options: ReplayOptions, console: Console) -> Run:
    """Load what can be loaded; an outcome a load.

    Raises `Refused` before anything is written, with all problems; `Stopped` when it ended early: the same command goes on.
    """
    options.output.refuse_unwritable()
    files = _find_quietly(options)
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([sentence])
    if not files.is_whole_run:
        console.print("warning: the run did not finish, so these may not be all of its dead letters", style="bold yellow")
    run_id, started_at = new_run_id(), datetime.now(UTC)
    # Read twice: first to know that all of it can be loaded, then to do it, with memory that does not grow with the items.
    given_loads = gather(files.uris, options.storage)
    with Session(options.database) as session:
        plans = session.transact(partial(find_given_loads, loads=given_loads.values(), options=options, run_id=run_id))
        begun = begin(run_id, started_at, options, session.transact(describe_database), plans.values())
        replays = {key: _LoadReplay(plan, session, begun.folder, options.dead_letter_format) for key, plan in plans.items()}
        for key, of_load in replays.items():
            for batch in batches(given_loads[key], options.storage):
                of_load.add(batch)
        outcomes = [session.transact(partial(of_load.conclude, given=given_loads[key])) for key, of_load in replays.items()]
    for outcome in outcomes:
        print_outcome(console, outcome, _COMMAND)
    return Run(_COMMAND, tuple(outcomes), begun=begun)


class _LoadReplay:
    """One load: what loads its items, the files of what is refused again, and the counts so far."""

    def __init__(self, plan: LoadPlan, session: Session, run_folder: OutputFolder, record_format: RecordFormat) -> None:
        self._plan = plan
        self._loader = Replay(plan, session)
        self._started = time.monotonic()
        self._codes = Counter[str]()
        self._filter_reasons = Counter[str]()
        self._rows = self._rows_before = self._dead_letters = self._filtered = self._notices = 0
        self._folders = {kind: run_folder / kind / plan.folder for kind in OF_A_LOAD}
        self._files = {kind: RecordFiles(folder, form_of(kind, record_format)) for kind, folder in self._folders.items()}

    def add(self, items: Sequence[GivenItem]) -> None:
        """Load a batch; records of what is refused are written only after the others are committed."""
        batch = self._loader.load(items)
        self._rows += batch.rows
        self._rows_before += batch.rows_before
        self._dead_letters += batch.dead_letters
        self._filtered += batch.filtered
        self._notices += len(batch.records[RecordKind.NOTICES])
        self._codes.update(batch.codes)
        self._filter_reasons.update(batch.filter_reasons)
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
        filtered = f" + {totals.filtered:,} filtered" if totals.filtered else ""
        loaded = f"{totals.items:,} items loaded = {totals.rows:,} rows + {totals.dead_letters:,} dead letters{filtered}"
        unread = load.manifest_items - totals.items
        return Outcome(
            source_table=self._plan.table.source,
            target_table=load.target_table,
            export_id=load.export_id,
            counted="dead letter",
            total=given.items,
            total_words="given",
            seen=self._settled,
            seen_words="tried",
            parts=(
                Part("rows", "rows now", self._rows, PartKind.GOOD),
                Part("rows_before", "rows before", self._rows_before, PartKind.BEFORE),
                Part("dead_letters", "refused again", self._dead_letters, PartKind.REVIEW),
                *filtered_part(self._filtered),
            ),
            problems=tuple(self._problems(given, totals, target_rows)),
            warnings=(f"{unread:,} items are not loaded yet: run migrate again to go on",) if unread > 0 else (),
            checks=(Check("load", Verdict.FACT, f"export {load.export_id}: {loaded}"),),
            tallies={
                "totals": dataclasses.asdict(totals),
                "dead_letter_codes": dict(self._codes.most_common()),
                "filter_reasons": dict(self._filter_reasons.most_common()),
            },
            target_rows=target_rows,
            done_now=self._rows,
            seconds=time.monotonic() - self._started,
        )

    @property
    def _settled(self) -> int:
        return self._rows + self._rows_before + self._dead_letters + self._filtered

    def _problems(self, given: GivenLoad, totals: Totals, target_rows: int) -> Iterator[str]:
        if self._settled != given.items:
            yield (
                f"{given.items:,} dead letters were given, but {self._settled:,} were brought in, refused or filtered; "
                "run the same command again"
            )
        if target_rows < totals.rows:
            target = self._plan.table.target
            yield f"{target} holds {target_rows:,} rows, fewer than the {totals.rows:,} that were loaded: rows were deleted since"
        for kind, expected in ((RecordKind.DEAD_LETTERS, self._dead_letters), (RecordKind.NOTICES, self._notices)):
            written = count_records(self._folders[kind])
            if written != expected:
                yield f"{self._folders[kind]}: holds {written:,} records, not {expected:,}; run the same command again"

    def _write(self, kind: RecordKind, records: tuple[bytes, ...], *, is_last: bool = False) -> None:
        self._files[kind].write(RecordBatch(_FILE, records, is_last))
