"""What became of the records of a stream so far, from the ledger.

    records read = skipped + compacted + inserted + updated + unchanged + deleted + absent + filtered + conflicts + dead letters + set aside

The ledger itself holds to it: a check of the table `ddb2pg.stream` refuses any transaction after which it would not be so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from pipeline.ledger.changes import count_outdated
from pipeline.ledger.loads import Load, all_loads
from pipeline.ledger.streams import StreamState, find_stream
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict, filtered_part
from pipeline.source.windows import shown_time
from pipeline.target.session import Cursor
from pipeline.target.target import Target, count_rows
from pipeline.windows.prove import OUTDATED

_NOT_SETTLED = "not past the end of the windows yet; go on (ddb2pg follow --stream)"
_ASIDE = "{count:,} records wait for others, or could not be applied because of other rows; go on (ddb2pg follow --stream)"


def prove_stream(cursor: Cursor, full: Load, target: Target | None, *, read_before: int = 0, seconds: float = 0.0) -> Outcome | None:
    """Of the stream after a full export's load and its windows; None where there is none. Without a target its rows are not counted."""
    state = find_stream(cursor, full.load_id)
    if state is None:
        return None
    counts = state.counts
    if target is not None:
        # Counting a large table may take long.
        cursor.execute("SET LOCAL statement_timeout = 0")
    outdated = count_outdated(cursor, full.load_id)
    checks = [Check("stream", Verdict.FACT, f"the stream after {shown_time(state.from_time)}, followed since {shown_time(state.begun_at)}")]
    if outdated:
        checks.append(Check("rows are up to date", Verdict.WARNING, OUTDATED.format(count=outdated)))
    if counts.overwritten:
        sentence = f"{counts.overwritten:,} rows of somebody else were overwritten, as --conflicts says"
        checks.append(Check("somebody else's rows", Verdict.WARNING, sentence))
    problems = [_NOT_SETTLED] if state.settled_at is None else []
    if counts.set_aside:
        problems.append(_ASIDE.format(count=counts.set_aside))
    return Outcome(
        source_table=full.source_table,
        target_table=full.target_table,
        export_id=state.arn,
        counted="record",
        total=state.read,
        total_words="of the stream",
        seen=counts.records,
        seen_words="accounted for",
        parts=tuple(_parts(state)),
        problems=tuple(problems),
        checks=tuple(checks),
        tallies={
            "totals": {"notices": sum(state.notice_codes.values())},
            "dead_letter_codes": state.dead_letter_codes,
            "notice_codes": state.notice_codes,
            "applied": dataclasses.asdict(counts),
        },
        target_rows=count_rows(cursor, target) if target else 0,
        done_now=state.read - read_before,
        seconds=seconds,
        outdated=outdated,
    )


def _parts(state: StreamState) -> Iterator[Part]:
    counts = state.counts
    yield Part("skipped", "older than the windows' end", counts.skipped, PartKind.GOOD)
    yield Part("compacted", "one with a later record", counts.compacted, PartKind.GOOD)
    for name in ("inserted", "updated", "unchanged", "deleted", "absent"):
        yield Part(name, name, getattr(counts, name), PartKind.GOOD)
    yield from filtered_part(counts.filtered)
    yield Part("conflicts", "conflicts", counts.conflicts, PartKind.REVIEW)
    yield Part("dead_letters", "dead letters", counts.dead_letters, PartKind.REVIEW)
    if counts.set_aside:
        yield Part("set_aside", "set aside", counts.set_aside, PartKind.REVIEW)


def streams_so_far(cursor: Cursor) -> list[Outcome]:
    """Of all streams that the ledger knows."""
    full = [load for load in all_loads(cursor) if load.link is None and load.rolled_back_at is None]
    return [outcome for load in full if (outcome := prove_stream(cursor, load, None))]
