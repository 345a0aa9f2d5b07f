"""Whether a table is ready for the switch: what the ledger and the target say of its chain. Each is a check; no value of an item is in one.

The names of the checks are described in docs/cutover.md; a test holds that all of them are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pipeline.console import counted_in_words
from pipeline.ledger.changes import AppliedCounts, applied_totals, count_outdated
from pipeline.ledger.chunks import load_totals
from pipeline.ledger.loads import Load, Validated
from pipeline.ledger.windows import Chain, chain_of, cut_over_at
from pipeline.outcome.outcome import Check, Verdict
from pipeline.source.windows import SHORTEST, shown_time
from pipeline.target.session import Cursor
from pipeline.target.target import Target, find_target_of
from transforms.table import Table

_LAST_WINDOWS: Final = 3
"""In which a conflict forbids the switch. Of older ones a person may have decided."""
_LONG: Final = timedelta(hours=24)
_CLOCKS: Final = "2 minutes for DynamoDB's clock"
_OF_EXPORT: Final = "2 to 20 minutes, in which DynamoDB exports the last window"


class Code(StrEnum):
    """What is checked. A code stays what it is, whatever becomes of its sentence."""

    CHAIN = "chain"
    NOTHING_BEGUN = "nothing_begun"
    OUTDATED = "outdated"
    CONFLICTS = "conflicts"
    SET_ASIDE = "set_aside"
    DEAD_LETTERS = "dead_letters"
    COMPARED = "compared"
    WHOLE_COMPARED = "whole_compared"
    LAG = "lag"
    SEQUENCES = "sequences"
    STOP = "length_of_the_stop"
    NOT_CUT_OVER = "not_cut_over"
    WRITES_STOPPED = "writes_stopped"
    RECENT_ITEMS = "recent_items"


def cutover_checks(cursor: Cursor, table: Table, now: datetime) -> Iterator[Check]:
    """All that must hold, and what is worth knowing. Reads only."""
    target = find_target_of(cursor, table)
    chain = chain_of(cursor, target.qualified) if target else None
    if target is None or chain is None or chain.full is None or chain.end is None:
        sentence = "no load of one full export, of a known time, fills it; load one first (ddb2pg migrate)"
        yield Check(Code.CHAIN, Verdict.FAIL, sentence, table.target)
        return
    for check in _of_chain(cursor, chain, chain.full, chain.end, now):
        yield Check(check.name, check.verdict, check.detail, table.target)
    for one in (target, *target.children):
        yield _sequences(cursor, one)


def _of_chain(cursor: Cursor, chain: Chain, full: Load, end: datetime, now: datetime) -> Iterator[Check]:
    cut_over = cut_over_at(cursor, full.load_id)
    problem = f"was cut over at {shown_time(cut_over)}; there is nothing left to switch" if cut_over else None
    yield _held(Code.NOT_CUT_OVER, problem, "the application writes to DynamoDB, as far as the ledger knows")
    yield _is_whole(chain, full, end)
    yield _held(Code.NOTHING_BEGUN, _begun(chain), "nothing is begun and not applied to its end")
    outdated = count_outdated(cursor, full.load_id)
    are_older = "1 row is older than its item" if outdated == 1 else f"{outdated:,} rows are older than their items"
    problem = f"{are_older}; write what is outdated again in DynamoDB (docs/windows.md)" if outdated else None
    yield _held(Code.OUTDATED, problem, "no row is older than its item")
    counts: list[AppliedCounts] = [applied_totals(cursor, window.load_id) for window in chain.windows]
    counts += [chain.stream.counts] if chain.stream else []
    yield _conflicts(counts)
    aside = sum(of_window.set_aside for of_window in counts)
    problem = f"{counted_in_words(aside, 'record')} wait to be settled; ddb2pg migrate, or follow, settles them" if aside else None
    yield _held(Code.SET_ASIDE, problem, "no record waits for others")
    yield _dead_letters(load_totals(cursor, full.load_id).dead_letters, counts)
    yield _compared(chain, full)
    yield _proved(chain, full)
    yield from (_lag(end, now), _stop(chain, end)) if chain.stream is None else _OF_STREAM


_OF_STREAM: Final = (
    Check(Code.LAG, Verdict.FACT, "its stream is followed; ddb2pg follow --stream says how far that is"),
    Check(Code.STOP, Verdict.FACT, "with ddb2pg cutover --stream some seconds, and the time until the application has stopped"),
)


def _held(code: Code, problem: str | None, good: str) -> Check:
    return Check(code, Verdict.FAIL, problem) if problem else Check(code, Verdict.PASS, good)


def _begun(chain: Chain) -> str | None:
    if chain.begun:
        return f"window {chain.begun.export_id} was begun and is not applied to its end; finish it first (ddb2pg follow, or migrate)"
    if chain.stream and chain.stream.settled_at is None:
        return "its stream is not past the end of the windows yet; go on (ddb2pg follow --stream)"
    return None


def _is_whole(chain: Chain, full: Load, end: datetime) -> Check:
    if full.rollback_started_at is not None:
        return Check(Code.CHAIN, Verdict.FAIL, "a rollback of its load was begun; finish it (ddb2pg rollback), and load anew")
    if full.finished_at is None:
        return Check(Code.CHAIN, Verdict.FAIL, f"export {full.export_id} is not loaded to its end; finish it first (ddb2pg migrate)")
    last = chain.export_time
    for window in chain.applied:
        if window.link and window.link.window.from_time != last:
            return Check(Code.CHAIN, Verdict.FAIL, f"window {window.export_id} does not begin where the one before ends; load anew")
        last = window.link.window.to_time if window.link else last
    windows = counted_in_words(len(chain.applied), "window")
    return Check(Code.CHAIN, Verdict.PASS, f"export {full.export_id} and {windows} after it, which touch, up to {shown_time(end)}")


def _conflicts(counts: Sequence[AppliedCounts]) -> Check:
    last, before = (sum(of_window.conflicts for of_window in some) for some in (counts[-_LAST_WINDOWS:], counts[:-_LAST_WINDOWS]))
    if last:
        sentence = (
            f"{counted_in_words(last, 'record')} of the last windows, or of the stream, met rows that somebody else wrote, which were "
            "kept; look at them (ddb2pg dead-letters), and at what writes to the target already"
        )
        return Check(Code.CONFLICTS, Verdict.FAIL, sentence)
    if before:
        sentence = f"{counted_in_words(before, 'record')} of earlier windows met rows that somebody else wrote, which were kept"
        return Check(Code.CONFLICTS, Verdict.WARNING, sentence)
    return Check(Code.CONFLICTS, Verdict.PASS, "no row of somebody else was kept")


def _dead_letters(of_full: int, counts: Sequence[AppliedCounts]) -> Check:
    of_windows = sum(of_window.dead_letters for of_window in counts)
    if not of_full and not of_windows:
        return Check(Code.DEAD_LETTERS, Verdict.PASS, "there are none")
    refused = f"{counted_in_words(of_full, 'item')} of the full export and {counted_in_words(of_windows, 'record')} of windows"
    sentence = (
        f"{refused} were dead letters; review them (ddb2pg dead-letters summary), because their items have no row, unless a later record "
        "brought it"
    )
    return Check(Code.DEAD_LETTERS, Verdict.WARNING, sentence)


def _compared(chain: Chain, full: Load) -> Check:
    last = chain.applied[-1] if chain.applied else full
    what = "the last window" if chain.applied else "the full export"
    if last.validated is None or last.validated_at is None:
        sentence = f"{what} was not compared with the target; give migrate, or follow, --validate=quick or full"
        return Check(Code.COMPARED, Verdict.FAIL, sentence)
    how = "every record" if last.validated is Validated.FULL else "a sample"
    sentence = f"{what} was equal to the target, {how} of it, at {shown_time(last.validated_at)}"
    return Check(Code.COMPARED, Verdict.PASS, sentence)


def _proved(chain: Chain, full: Load) -> Check:
    if full.validated_as_of is None or full.validated_at is None:
        sentence = "the target was not compared with a fresh full export; ddb2pg validate --as_of is the proof (docs/validation.md)"
        return Check(Code.WHOLE_COMPARED, Verdict.WARNING, sentence)
    sentence = f"every row was equal to a fresh full export as of {shown_time(full.validated_as_of)}, at {shown_time(full.validated_at)}"
    if chain.is_proved:
        return Check(Code.WHOLE_COMPARED, Verdict.PASS, sentence)
    since = "its stream has gone on since" if chain.stream else "more was applied since, or taken back"
    return Check(Code.WHOLE_COMPARED, Verdict.FACT, f"{sentence}; {since}")


def _lag(end: datetime, now: datetime) -> Check:
    lag = timedelta(seconds=round((now - end).total_seconds()))
    kind = Verdict.WARNING if lag > _LONG else Verdict.FACT
    return Check(Code.LAG, kind, f"what is applied ends at {shown_time(end)}, {lag} before now")


def _stop(chain: Chain, end: datetime) -> Check:
    """The duration of exports is in no ledger; that of applying is."""
    took = [(window.finished_at - window.started_at).total_seconds() for window in chain.applied[-_LAST_WINDOWS:] if window.finished_at]
    apply = f"{max(took):,.0f} seconds, the longest of the last windows, to apply it" if took else "the time to apply it"
    sentence = (
        f"{_CLOCKS}, then {_OF_EXPORT}, then {apply}. A window is 15 minutes long at least: stop the writes after "
        f"{shown_time(end + SHORTEST - timedelta(minutes=2))}, or wait for that"
    )
    return Check(Code.STOP, Verdict.FACT, sentence)


# -- sequences -----------------------------------------------------------------------------------------------------------------------------

# Of columns that PostgreSQL fills, by an identity or by nextval in the default, whosever the sequence is.
_FIND_SEQUENCES: Final = """
    SELECT DISTINCT format('%%I', a.attname), s.oid::regclass::text, format('%%I.%%I', n.nspname, c.relname), p.seqincrement
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN (
        SELECT refobjid AS relation, refobjsubid AS place, objid AS sequence FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
        UNION
        SELECT d.adrelid, d.adnum, used.refobjid FROM pg_attrdef d
        JOIN pg_depend used ON used.classid = 'pg_attrdef'::regclass AND used.objid = d.oid AND used.refclassid = 'pg_class'::regclass
    ) of_column ON of_column.relation = a.attrelid AND of_column.place = a.attnum
    JOIN pg_class s ON s.oid = of_column.sequence AND s.relkind = 'S'
    JOIN pg_sequence p ON p.seqrelid = s.oid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1
"""


def _sequences(cursor: Cursor, target: Target) -> Check:
    """A sequence that is behind its column gives the application a number that is taken."""
    cursor.execute(_FIND_SEQUENCES, [target.oid])
    found = cursor.fetchall()
    behind = []
    for column, sequence, table, increment in found:
        # The names are quoted by the server.
        extreme, beyond = ("max", ">=") if increment > 0 else ("min", "<=")
        cursor.execute(
            f"SELECT (SELECT {extreme}({column}) FROM {table}) {beyond} CASE WHEN is_called THEN last_value + %s ELSE last_value END "
            f"FROM {sequence}",
            [increment],
        )
        if cursor.fetchone()[0]:
            behind.append(f"SELECT setval('{sequence}', (SELECT {extreme}({column}) FROM {table}))")
    if behind:
        sentence = f"a sequence is behind the numbers that are there, so the application's first rows would be refused: {'; '.join(behind)}"
        return Check(Code.SEQUENCES, Verdict.FAIL, sentence, target.qualified)
    sentence = f"{counted_in_words(len(found), 'sequence')}, none behind the numbers that are there" if found else "it has no sequences"
    return Check(Code.SEQUENCES, Verdict.PASS, sentence, target.qualified)
