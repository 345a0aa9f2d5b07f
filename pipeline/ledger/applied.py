"""How far tables of DynamoDB are in this database: the end of what is applied, where the next window of changes must begin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Final

from pipeline.errors import Refused
from pipeline.ledger.loads import ledger_exists, refuse_other_version
from pipeline.ledger.windows import Chain, chain_of
from pipeline.source.windows import Applied, AppliedWindow, shown_time
from pipeline.target.session import Cursor

_OR_FROM: Final = "or say with --from where the windows begin"


def loaded_tables(cursor: Cursor) -> set[str]:
    """The tables of which something was loaded, and not rolled back."""
    if not ledger_exists(cursor):
        return set()
    refuse_other_version(cursor)
    cursor.execute("SELECT DISTINCT source_table FROM ddb2pg.load WHERE rolled_back_at IS NULL")
    return {name for (name,) in cursor.fetchall()}


def applied_tables(cursor: Cursor, source_tables: Iterable[str], *, takes_begun: bool = False) -> dict[str, Applied]:
    """By table. Raises `Refused` with all tables of which it cannot be told.

    Whoever `takes_begun` finishes first what was begun: `Applied.begun`.
    """
    if not ledger_exists(cursor):
        raise Refused([f"nothing was ever loaded into this database; load a full export first (ddb2pg migrate), {_OR_FROM}"])
    refuse_other_version(cursor)
    applied: dict[str, Applied] = {}
    problems: list[str] = []
    for name in source_tables:
        try:
            applied[name] = _applied_table(cursor, name, takes_begun=takes_begun)
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(problems)
    return applied


def _applied_table(cursor: Cursor, source_table: str, *, takes_begun: bool) -> Applied:
    """The chains of all targets that it fills must be of one time, because a window is for all of them; or come to be of one."""
    cursor.execute(
        "SELECT DISTINCT target_table FROM ddb2pg.load WHERE source_table = %s AND rolled_back_at IS NULL ORDER BY target_table",
        [source_table],
    )
    chains = [(target, chain_of(cursor, target)) for (target,) in cursor.fetchall()]
    if not chains:
        raise Refused([f"{source_table}: no load of it is in this database; load a full export first (ddb2pg migrate), {_OR_FROM}"])
    problems = [
        f"{source_table}: {problem}" for target, chain in chains if (problem := _why_no_end(target, chain, takes_begun=takes_begun))
    ]
    if problems:
        raise Refused(problems)
    found = {target: chain for target, chain in chains if chain}
    ends = {target: chain.end for target, chain in found.items() if chain.end}
    tables = {chain.table_id for chain in found.values() if chain.table_id}
    views = {chain.view for chain in found.values() if chain.view}
    if len(set(ends.values())) > 1 and not takes_begun:
        reached = ", ".join(f"{target} to {shown_time(end)}" for target, end in ends.items())
        raise Refused(
            [
                f"{source_table}: its targets are not of one time ({reached}); apply to those that are behind what was applied to the "
                f"others, {_OR_FROM}"
            ]
        )
    if len(tables) > 1 or len(views) > 1:
        raise Refused([f"{source_table}: its targets follow different tables of that name, or windows of different views; {_OR_FROM}"])
    end = min(ends.values())
    windows = {(load.link.window.to_time, load.export_id) for chain in found.values() for load in chain.windows if load.link}
    # Those after the end were begun in one of the chains, or are applied there.
    begun = tuple(export_id for to_time, export_id in sorted(windows) if to_time > end) if takes_begun else ()
    done = tuple(AppliedWindow(export_id, to_time.astimezone(UTC)) for to_time, export_id in sorted(windows) if to_time <= end)
    return Applied(end.astimezone(UTC), next(iter(tables), None), next(iter(views), None), begun, done)


def _why_no_end(target: str, chain: Chain | None, *, takes_begun: bool) -> str | None:
    """Why a window cannot be asked for yet."""
    if chain is None or chain.full is None:
        return f"several exports were loaded into {target}, so no window can follow one of them"
    since = shown_time(chain.stream.begun_at) if chain.stream else ""
    begun = chain.begun.export_id if chain.begun else ""
    reasons = (
        (
            chain.full.finished_at is None,
            f"export {chain.export_id} is not loaded into {target} to its end; finish it first (ddb2pg migrate)",
        ),
        (
            any(window.rollback_started_at for window in chain.windows),
            f"a rollback of the last window in {target} was begun; finish it first: ddb2pg rollback with --yes",
        ),
        (
            chain.begun is not None and not takes_begun,
            f"window {begun} is not applied to {target} to its end; finish it first (ddb2pg migrate)",
        ),
        (
            chain.stream is not None,
            f"the stream of {target} is followed since {since}, so no window can follow any more (ddb2pg follow --stream)",
        ),
        (
            chain.end is None,
            f"nothing tells as of what time {chain.export_id} is, which was loaded into {target} without manifests; load a full export "
            "with its manifests",
        ),
    )
    return next((sentence for is_so, sentence in reasons if is_so), None)
