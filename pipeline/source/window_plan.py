"""Which windows `ddb2pg export --incremental` asks for: from the end of what is applied, one after the other, to one time for all tables.

Exports of windows that were asked for before are taken where they follow: unlike an old full export, what they hold does not become older.
So the same command finds its exports again, until they are applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.console import counted_in_words
from pipeline.errors import Refused, TooEarly
from pipeline.source.dynamodb_calls import DynamoDB, ExportStatus, SourceTable
from pipeline.source.export_plan import (
    CLOCKS_DIFFER,
    ExportOptions,
    Plan,
    Step,
    TableState,
    look_at_tables,
    make_step,
    notes_of_filtered,
    recovery_is_off,
)
from pipeline.source.manifest import ExportKind, Window
from pipeline.source.windows import FEW_DAYS, LONGEST, SHORTEST, Applied, WantedWindows, cut, shown_time
from transforms.lines import View

# Exports' times are exact to within a minute: what was written just now may be of a later time by DynamoDB's clock.
MARGIN: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class _Way:
    """A table, and the windows that were asked for before and follow what is applied of it, without a gap."""

    state: TableState
    applied: Applied
    view: View
    known: tuple[Window, ...]

    @property
    def name(self) -> str:
        return self.state.table.name

    @property
    def end(self) -> datetime:
        """To where windows were asked for, or are applied."""
        return self.known[-1].to_time if self.known else self.applied.end


def plan_windows(dynamodb: DynamoDB, options: ExportOptions, wanted: WantedWindows, bucket_owner: str | None) -> Plan:
    """Look at everything, and say which windows are to be exported. Raises `Refused` with all that forbids it, of that `TooEarly`."""

    def oldest(table: SourceTable, _: datetime) -> datetime:
        end = wanted.applied[table.name].end
        return min(end, wanted.after or end) - CLOCKS_DIFFER

    states, problems, now = look_at_tables(dynamodb, options, ExportKind.INCREMENTAL, oldest)
    problems.extend(problem for state in states for problem in _problems_of_applied(state, wanted, now))
    if problems:
        raise Refused(dict.fromkeys(problems))
    limit = wanted.until or now
    ways = [_way(state, wanted, limit) for state in states]
    problems.extend(problem for way in ways for problem in _problems_of_begun(way))
    if wanted.after:
        problems.extend(problem for way in ways for problem in _problems_of_applied_since(way, wanted.after))
    goal = wanted.until or (_goal_after(ways, wanted.after) if wanted.after else _goal(ways, now, wanted.least))
    if wanted.until:
        problems.extend(_problems_of_until(ways, wanted.until, now))
    elif not problems and wanted.after:
        _refuse_before(goal, now)
    elif not problems:
        _refuse_too_early(ways, goal, now, wanted.least)
    windows = [(way, window) for way in ways for window in (*_applied_since(way, wanted.after), *_windows_of(way, goal))]
    steps = tuple(make_step(way.state, options, bucket_owner, window, _in_ledger(way)) for way, window in windows)
    problems.extend(_problems_of_recovery(steps))
    if problems:
        raise Refused(dict.fromkeys(problems))
    return Plan(steps, tuple(_notes(ways, steps, goal, now, wanted.least)), "the same command")


def _problems_of_applied(state: TableState, wanted: WantedWindows, now: datetime) -> Iterator[str]:
    """Why windows cannot follow what is applied."""
    name, applied = state.table.name, wanted.applied[state.table.name]
    if None not in (applied.table_id, state.table.table_id) and applied.table_id != state.table.table_id:
        yield (
            f"{name}: is not the table that is applied, but one that was made under its name later, or restored; its changes do not "
            "follow. Make a new full export, and load it into a target of its own"
        )
    if applied.end.microsecond:
        yield (
            f"{name}: what is applied ends at {applied.end.isoformat()}, within a second, and windows begin at whole seconds: what changed "
            "in that second would be lost, or come twice. Make a new full export, as ddb2pg export does, and load it"
        )
    if applied.end > now:
        yield f"{name}: the windows would begin at {shown_time(applied.end)}, but DynamoDB's clock says {shown_time(now)}; correct --from"
    if applied.view and wanted.view and applied.view is not wanted.view:
        yield (
            f"{name}: the windows before are of the view {applied.view.value}, and all of a chain must be of one; leave out --view "
            f"{wanted.view.value}"
        )


# -- what is there -------------------------------------------------------------------------------------------------------------------------


def _way(state: TableState, wanted: WantedWindows, limit: datetime) -> _Way:
    """Of several exports that could be next one that is done, or else the longest; but what ends at the limit before any other.

    Before all of them comes one that was begun to be applied. One that failed is asked for again before other windows are: those after it
    may be there.
    """
    applied = wanted.applied[state.table.name]
    view = wanted.view or applied.view or View.NEW_AND_OLD_IMAGES
    # (was begun, has not failed, ends at the limit, is done, length), window: the greatest is the best.
    there = [
        (
            (
                export.export_id in applied.begun,
                export.status is not ExportStatus.FAILED,
                window.to_time == limit,
                export.is_completed,
                window.to_time - window.from_time,
            ),
            window,
        )
        for export in state.exports
        if (window := export.window) and window.view is view and window.from_time < window.to_time <= limit
    ]
    known: list[Window] = []
    while following := [one for one in there if one[1].from_time == (known[-1].to_time if known else applied.end)]:
        known.append(max(following, key=lambda one: one[0])[1])
    return _Way(state, applied, view, tuple(known))


def _problems_of_begun(way: _Way) -> Iterator[str]:
    """What was begun is finished first, and with the very export that it was begun with."""
    there = {export.export_id for export in way.state.exports if export.window in way.known}
    missing = [export_id for export_id in way.applied.begun if export_id not in there]
    if missing:
        yield (
            f"{way.name}: window {missing[0]} was begun, and its export is not among those that DynamoDB lists for this place; finish it "
            "first (ddb2pg migrate --export with its folder)"
        )


# -- what is missing -----------------------------------------------------------------------------------------------------------------------


def _goal(ways: Sequence[_Way], now: datetime, least: timedelta) -> datetime:
    """Where the windows of all tables end: shortly before now, or where those end that are there, while there are to be no further ones."""
    newest = now.replace(microsecond=0) - MARGIN
    reached = max((way.end for way in ways if way.known), default=newest)
    return newest if newest - max(way.end for way in ways) >= least else reached


def _goal_after(ways: Sequence[_Way], after: datetime) -> datetime:
    """Where the windows of all tables can end that hold all that was written before a time, give or take what clocks differ."""
    goal = _whole(after + MARGIN)
    while True:
        ends = [way.end if way.end >= goal else max(goal, way.end + SHORTEST) for way in ways]
        if max(ends) == goal:
            return goal
        goal = max(ends)


def _whole(time: datetime) -> datetime:
    """The first whole second that is not before it, in UTC."""
    floor = time.astimezone(UTC).replace(microsecond=0)
    return floor if floor == time else floor + timedelta(seconds=1)


def _refuse_before(goal: datetime, now: datetime) -> None:
    """Raise `TooEarly` where the last window cannot be had yet."""
    if goal > now:
        raise TooEarly(goal, now, f"the last window ends at {shown_time(goal)}, and can be requested then")


def _windows_of(way: _Way, goal: datetime) -> list[Window]:
    further = cut(way.end, goal) if goal > way.end else ()
    return [*way.known, *(Window(begin, end, way.view) for begin, end in further)]


def _in_ledger(way: _Way) -> set[str]:
    """The ids of the exports of windows that are applied or begun."""
    return {*way.applied.begun, *(done.export_id for done in way.applied.done)}


def _applied_since(way: _Way, after: datetime | None) -> list[Window]:
    """The applied windows that end after a time, in their order, whose exports are listed: they are there to be looked at again."""
    if after is None:
        return []
    wanted = {done.export_id for done in way.applied.done if done.end > after}
    # Of a window that each of two targets took from an export of its own there are two.
    windows = {export.window for export in way.state.exports if export.window and export.export_id in wanted}
    return sorted(windows, key=lambda window: window.to_time)


def _problems_of_applied_since(way: _Way, after: datetime) -> Iterator[str]:
    """Nothing is said of the writes after a time whose windows cannot be looked at."""
    there = {export.export_id for export in way.state.exports}
    missing = [done for done in way.applied.done if done.end > after and done.export_id not in there]
    if missing:
        yield (
            f"{way.name}: window {missing[0].export_id} is applied and ends at {shown_time(missing[0].end)}, after {shown_time(after)}, "
            "and its export is not among those that DynamoDB lists for this place, so nothing shows whether it has later writes; give --to "
            "the place that it was exported to, or wait with the stop until what is applied ends before it"
        )


def _problems_of_until(ways: Sequence[_Way], until: datetime, now: datetime) -> Iterator[str]:
    if until > now:
        yield f"--until {shown_time(until)} has not come yet: DynamoDB's clock says {shown_time(now)}; give an earlier one, or none"
    if until.microsecond:
        yield f"--until {until.isoformat()} is within a second, and windows end at whole seconds; give a whole one"
    for way in ways:
        reach = f"{'windows that were asked for before reach' if way.known else 'what is applied reaches'} to {shown_time(way.end)}"
        if until < way.end or (until == way.end and not way.known):
            yield f"{way.name}: {reach}, so there is nothing before --until {shown_time(until)}; give a later one, or none"
        elif way.end < until < way.end + SHORTEST:
            yield (
                f"{way.name}: {reach}, and a window from there to --until {shown_time(until)} would be shorter than 15 minutes, the least "
                f"that DynamoDB exports; give --until {shown_time(way.end + SHORTEST)} or later, or none"
            )


def _refuse_too_early(ways: Sequence[_Way], goal: datetime, now: datetime, least: timedelta) -> None:
    """Raise `TooEarly`: all tables wait for the one that can follow last, so that they stay as of one time."""
    short = [way for way in ways if way.end < goal < way.end + SHORTEST or (goal <= way.end and not any(other.known for other in ways))]
    is_short_of_asked = goal - max(way.end for way in ways) < least and not any(way.known for way in ways)
    if short or is_short_of_asked:
        at = _next_request(ways, least)
        reach = "; ".join(f"{way.name} to {shown_time(way.end)}" for way in ways)
        minutes = int(least.total_seconds() // 60)
        raise TooEarly(
            at,
            now,
            f"a window is {minutes} minutes at least, and ends 2 minutes before now: the next window can be requested at {shown_time(at)} "
            f"(applied or asked for is {reach})",
        )


def _next_request(ways: Sequence[_Way], least: timedelta) -> datetime:
    """When all tables can have another window."""
    return max(way.end for way in ways) + least + MARGIN


def _problems_of_recovery(steps: Sequence[Step]) -> Iterator[str]:
    """Of the first window of each table that is to be started: the recovery window must not begin later."""
    for state, window in _first_to_start(steps):
        name, earliest = state.table.name, state.recovery.earliest
        if not state.recovery.is_on:
            yield f"{recovery_is_off(name)}. What changed before cannot be exported any more: then make a new full export, and load it"
        elif earliest and window.from_time < earliest:
            yield (
                f"{name}: the changes from {shown_time(window.from_time)} on are wanted, but point-in-time recovery reaches back to "
                f"{shown_time(earliest)} only: what changed in between cannot be exported any more, so no window can follow. Make a new "
                "full export (ddb2pg export), and load it into an empty target, or after ddb2pg rollback"
            )


def _first_to_start(steps: Sequence[Step]) -> Iterator[tuple[TableState, Window]]:
    seen: set[str] = set()
    for step in steps:
        if step.taken is None and isinstance(step.request.of, Window) and step.table.name not in seen:
            seen.add(step.table.name)
            yield step.state, step.request.of


# -- what is told --------------------------------------------------------------------------------------------------------------------------


def _notes(ways: Sequence[_Way], steps: Sequence[Step], goal: datetime, now: datetime, least: timedelta) -> Iterator[str]:
    yield from notes_of_filtered(steps)
    for way in ways:
        windows = len(_windows_of(way, goal))
        told = f"{way.name}: the changes from {shown_time(way.applied.end)} to {shown_time(max(goal, way.end))}, {way.view.value}"
        more = f", in {windows} windows that touch, because one is 24 hours at most" if goal - way.end > LONGEST else ""
        yield told + (more or (f", in {windows} windows" if windows > 1 else ""))
    started = sum(step.taken is None for step in steps)
    if started:
        yield (
            f"{counted_in_words(started, 'export')} to be started. AWS bills the volume of changes that each processes, 10 MB at least, at "
            "your region's price for a GB of incremental exports (us-east-1: 0.10 USD); how much has changed is not known before"
        )
    else:
        at = shown_time(_next_request(ways, least))
        yield f"all were asked for before; the next window can be requested at {at}, or when these are applied"
    for state, window in _first_to_start(steps):
        left = window.from_time + state.recovery.length - now
        if left < FEW_DAYS:
            yield _warning(state, window, left)


def _warning(state: TableState, window: Window, left: timedelta) -> str:
    hours = max(0, int(left.total_seconds() // 3600))
    return (
        f"warning: {state.table.name}: point-in-time recovery keeps {state.recovery.length.days} days, so changes of "
        f"{shown_time(window.from_time)} can be exported for {hours // 24} days and {hours % 24} hours more; after that only a new full "
        "export helps. Export and apply windows more often"
    )
