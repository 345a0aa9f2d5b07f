"""Windows: the chains that they make, and which of them may follow.

A chain is the load of a full export and the windows that follow it. What it holds is the table as of the end of its last window: so the
next one must begin there, to the second. A change between two windows would be lost. A change in two of them would be lost, too, where it
was a deletion: of an item that is inserted and deleted within one window there is no record, but the earlier of the two may have inserted
its row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from pipeline.ledger.loads import LOAD_COLUMNS, Load, load_of_row
from pipeline.ledger.streams import StreamState, find_stream
from pipeline.source.manifest import ON_KEY, WHOLE, Export, Window
from pipeline.source.windows import LONGEST, SHORTEST, shown_time
from pipeline.target.session import Cursor
from transforms.lines import View


@dataclass(frozen=True, slots=True)
class Chain:
    """A full export's load, as far as there is one, and the windows after it that were begun, in order."""

    export_id: str
    """Of the full export."""
    export_time: datetime | None
    table_id: str | None
    full: Load | None
    """None before it was begun."""
    windows: tuple[Load, ...] = ()
    stream: StreamState | None = None
    """That follows its last window; with it the chain takes no more windows."""
    filter: str | None = None
    """Of the full export, as `Export.filter`."""

    @property
    def filters(self) -> list[str]:
        """Of all its exports, as far as they are known."""
        return [known for known in (self.filter, *(load.filter for load in self.windows)) if known is not None]

    @property
    def applied(self) -> list[Load]:
        return [load for load in self.windows if load.finished_at is not None]

    @property
    def begun(self) -> Load | None:
        """The window that was begun and is not applied to its end."""
        return next((load for load in self.windows if load.finished_at is None), None)

    @property
    def view(self) -> View | None:
        """That of its windows."""
        return next((load.link.window.view for load in self.windows if load.link), None)

    @property
    def end(self) -> datetime | None:
        """What is applied reaches to there, exclusive; None where that is not known."""
        ends = [load.link.window.to_time for load in self.applied if load.link]
        return ends[-1] if ends else self.export_time

    @property
    def is_proved(self) -> bool:
        """Whether the target was found equal to a fresh full export of its end (`validate --as_of`), and nothing was applied since."""
        # What was taken back and applied again was forgotten with the rollback.
        if self.full is None or self.full.validated_as_of is None or self.begun is not None or self.stream is not None:
            return False
        return self.full.validated_as_of == self.end


def chain_of(cursor: Cursor, target_table: str) -> Chain | None:
    """The chain that fills a target; None where no load into it was begun, or not only one."""
    cursor.execute(
        f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE target_table = %s AND rolled_back_at IS NULL ORDER BY load_id", [target_table]
    )
    loads = [load_of_row(row) for row in cursor.fetchall()]
    full = [load for load in loads if load.link is None]
    if len(full) != 1:
        return None
    windows = sorted((load.link.number, load) for load in loads if load.link and load.link.chain == full[0].load_id)
    first = full[0]
    stream = find_stream(cursor, first.load_id)
    return Chain(first.export_id, first.export_time, first.table_id, first, tuple(load for _, load in windows), stream, first.filter)


def is_followed(cursor: Cursor, load: Load) -> bool:
    """Whether the window after a window was begun, or the stream."""
    number = load.link.number if load.link else 0
    cursor.execute(
        "SELECT EXISTS (SELECT FROM ddb2pg.load WHERE chain = %(chain)s AND window_number > %(number)s AND rolled_back_at IS NULL) "
        "OR EXISTS (SELECT FROM ddb2pg.stream WHERE chain = %(chain)s)",
        {"chain": load.chain, "number": number},
    )
    return bool(cursor.fetchone()[0])


def has_windows(cursor: Cursor, load: Load) -> bool:
    """Whether windows or a stream after a load were begun, so that the target differs from its export."""
    return load.link is None and is_followed(cursor, load)


def cut_over_at(cursor: Cursor, chain: int) -> datetime | None:
    """Since when the application writes to the target of a chain; None while it writes to DynamoDB."""
    cursor.execute("SELECT cut_over_at FROM ddb2pg.load WHERE load_id = %s", [chain])
    return cast("datetime | None", cursor.fetchone()[0])


def note_cut_over(cursor: Cursor, chains: Collection[int]) -> None:
    """Note that from now on the application writes to the targets of these chains; of one of which that is noted, it stays."""
    # A transaction of a stream holds its row: those that have begun are waited for, and later ones see the note.
    cursor.execute("SELECT FROM ddb2pg.stream WHERE chain = ANY (%s) ORDER BY chain FOR UPDATE", [list(chains)])
    cursor.execute("UPDATE ddb2pg.load SET cut_over_at = coalesce(cut_over_at, now()) WHERE load_id = ANY (%s)", [list(chains)])


# -- the rule ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderedWindows:
    """The windows of a chain that are given."""

    pending: tuple[Export, ...]
    """To be applied, in this order; the first may have been begun."""
    done: tuple[Export, ...]
    """Applied before, or of a time that is."""
    problems: tuple[str, ...]


def order_windows(chain: Chain, given: Iterable[Export]) -> OrderedWindows:
    """Put windows of a chain into their order, and say what is wrong with them. The one place with the rule that windows must touch."""
    unique = {export.export_id: export for export in given}.values()
    begun = chain.begun
    windows = [(export.window, export) for export in unique if export.window]
    windows.sort(key=lambda pair: _place(pair[0], pair[1], begun))
    if windows and (of_chain := tuple(_problems_of_chain(chain))):
        return OrderedWindows((), (), of_chain)
    problems: list[str] = []
    end, view, filters = chain.end, chain.view, chain.filters
    pending: list[Export] = []
    done: list[Export] = []
    if begun is not None and begun.link and windows and all(export.export_id != begun.export_id for _, export in windows):
        problems.append(_not_given(begun))
        end = begun.link.window.to_time
    for window, export in windows:
        if chain.table_id is not None and export.table_id != chain.table_id:
            problems.append(
                f"{export.uri}: is of another table than export {chain.export_id}: of one that was deleted and made again under its name, "
                "or restored. That one needs a full export and a target of its own"
            )
            continue
        if end is None or window.to_time <= end:
            done.append(export)
            continue
        view = view or window.view
        if window.view is not view:
            problems.append(
                f"{export.uri}: is of the view {window.view.value}, and the windows before it are of {view.value}; export the window again "
                f"with ExportViewType {view.value}"
            )
        elif (sentence := _why_filtered(export, filters)) or (sentence := _why_not_next(export, window, end)):
            problems.append(sentence)
        else:
            pending.append(export)
        filters = filters or ([] if export.filter is None else [export.filter])
        # One sentence about a gap is enough: what follows is held against what is given.
        end = max(end, window.to_time)
    if pending and chain.stream is not None:
        return OrderedWindows((), tuple(done), (_streamed(chain.stream),))
    return OrderedWindows(tuple(pending), tuple(done), tuple(problems))


def _place(window: Window, export: Export, begun: Load | None) -> tuple[datetime, datetime, bool, str]:
    """Of two exports of one window the one that was begun comes first."""
    return window.from_time, window.to_time, begun is None or export.export_id != begun.export_id, export.export_id


def _problems_of_chain(chain: Chain) -> Iterable[str]:
    if chain.export_time is None:
        yield f"export {chain.export_id} does not say as of what time it is, so windows cannot follow it; export the table again"
    elif chain.export_time.microsecond:
        yield (
            f"export {chain.export_id} is as of {chain.export_time.astimezone(UTC).isoformat()}, which is no whole second. Windows begin "
            "at whole seconds, so what changed within that second would be lost, or come twice. Export the table again as of a whole "
            "second (ddb2pg export does), load that, and let the windows begin there"
        )
    if any(not known.startswith((WHOLE, ON_KEY)) for known in chain.filters):
        yield (
            f"export {chain.export_id}, or a window after it, was made with a filter that looks at more than the key, so windows cannot "
            f"follow: {_LEAVES}. Export the table again without that filter, and load that"
        )
    if chain.table_id is None:
        yield f"the manifest of export {chain.export_id} has no tableId, so nothing proves that windows are of its table; export it again"


_LEAVES: Final = "of an item that leaves the filter there is no record, so its row would stay"


def _why_filtered(export: Export, filters: Sequence[str]) -> str | None:
    """What is wrong with a window's filter, where that and those of exports before it are known."""
    if export.filter is None:
        return None
    if not export.filter.startswith((WHOLE, ON_KEY)):
        return (
            f"{export.uri}: was made with a filter that looks at more than the key: {_LEAVES}. Export the window again without "
            "FilterExpression and ProjectionExpression"
        )
    if filters and filters[0] != export.filter:
        return (
            f"{export.uri}: was made {'without a filter' if export.filter == WHOLE else 'with a filter'}, and the exports before it "
            f"{'without any' if filters[0] == WHOLE else 'with another one, or one on the key'}; all of a chain must have the same. Export "
            "the window again as those before it were"
        )
    return None


def _not_given(begun: Load) -> str:
    return f"window {begun.export_id} was begun and is not applied to its end; give it as well, it is finished first"


def _streamed(stream: StreamState) -> str:
    return (
        f"the stream of its table is followed since {shown_time(stream.begun_at)}, from the end of the last window on, so no window can "
        "follow any more: it would put older items in the place of newer ones. Go on with ddb2pg follow --stream"
    )


def _why_not_next(export: Export, window: Window, end: datetime) -> str | None:
    """What is wrong with a window as the next one after `end`."""
    if window.from_time == end:
        return None
    if window.from_time < end:
        return (
            f"{export.uri}: begins at {shown_time(window.from_time)}, before the end of what is applied or given, {shown_time(end)}: of an "
            "item that was inserted before and deleted after that there may be no record, so its row would stay. Export the window "
            f"{_asked(end, window.to_time)} in its place"
        )
    return (
        f"{export.uri}: begins at {shown_time(window.from_time)}, but what is applied or given ends at {shown_time(end)}: the changes in "
        f"between would be lost. Export the window {_asked(end, window.from_time, window.to_time)}"
    )


def _asked(begin: datetime, end: datetime, otherwise: datetime | None = None) -> str:
    """The window to ask DynamoDB for, in words; up to `otherwise` where it would be too short."""
    if end - begin < SHORTEST:
        if otherwise is None:
            return f"from {shown_time(begin)} to {shown_time(begin + SHORTEST)} or later (15 minutes are the least)"
        times = f"from {shown_time(begin)} to {shown_time(otherwise)}"
        return f"{times}, which takes the place of this one (15 minutes are the least), and give that"
    several = "" if end - begin <= LONGEST else ", in windows of at most 24 hours each,"
    return f"from {shown_time(begin)} to {shown_time(end)}{several}" + ("" if otherwise is None else " and give it as well")
