"""What the page says of a report: its headline, the sum of the tables, windows on a time line, what to do, and what the columns got.

Each is a function of the report as `report.json` has it. No HTML here, and no value of an item.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pipeline.console import counted_in_words, counted_words
from pipeline.outcome.charts import BAR, duration, laid_out, moment
from pipeline.outcome.outcome import PartKind, Verdict
from pipeline.outcome.verdict import State
from pipeline.records.columns import OTHER_SHAPES, ColumnSource
from pipeline.records.gather import RecordCount
from pipeline.records.kinds import OF_ROWS, RecordKind

Facts = Mapping[str, Any]

_TO_REVIEW: Final = frozenset([PartKind.REVIEW, PartKind.DIFFERENT])


def percent(count: int, total: int) -> str:
    """`14.9 %`; what is there is never 0, and what lacks something never 100.

    >>> percent(1, 60_000), percent(59_999, 60_000), percent(1, 2)
    ('< 0.1 %', '> 99.9 %', '50 %')
    """
    if not total:
        return "0 %"
    share = 100 * count / total
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


def headline(report: Facts) -> str:
    """`8,953 of 60,000 items (14.9 %) need review`; the sentence of the verdict where the run did not end well, or all is well.

    An export of which several tables take counts once. Its tables do not tell which of their items are the same, so then it is `up to`.
    """
    if report["verdict"]["state"] != State.REVIEW:
        return str(report["verdict"]["sentence"])
    found = []
    for counted, tables in _by_counted(report["tables"]).items():
        exports = _by_export(tables)
        total = sum(of_export[0]["total"] for of_export in exports)
        # No more items of an export need review than it has.
        review = sum(min(sum(map(_to_review, of_export)), of_export[0]["total"]) for of_export in exports)
        up_to = "up to " if any(sum(map(bool, map(_to_review, of_export))) > 1 for of_export in exports) else ""
        if review:
            found.append((review, f"{up_to}{review:,} of {counted_in_words(total, counted)} ({percent(review, total)})"))
    if not found:
        return str(report["verdict"]["sentence"])
    needs = "needs" if [review for review, _ in found] == [1] else "need"
    return f"{' and '.join(words for _, words in found)} {needs} review"


def _to_review(table: Facts) -> int:
    return sum(part["count"] for part in table["parts"] if part["kind"] in _TO_REVIEW)


def _by_export(tables: Sequence[Facts]) -> list[list[Facts]]:
    """Those of one export together; what is of no export is by itself."""
    found: dict[object, list[Facts]] = {}
    for number, table in enumerate(tables):
        export = table.get("export_id")
        found.setdefault((table["source_table"], export) if export else number, []).append(table)
    return list(found.values())


def _by_counted(tables: Sequence[Facts]) -> dict[str, list[Facts]]:
    return {counted: [table for table in tables if table["counted"] == counted] for counted in dict.fromkeys(t["counted"] for t in tables)}


# -- the equation --------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equation:
    """`items = read = the parts`, of one table or of all, and the bar that shows them."""

    table: Facts
    bar: Sequence[tuple[str, float, float]]
    """Kind, start and width of each part."""
    holds: bool

    @property
    def alternative(self) -> str:
        """The bar in words."""
        parts = ", ".join(counted_words(part["count"], part["words"]) for part in self.table["parts"])
        return f"Of {counted_in_words(self.table['total'], self.table['counted'])}: {parts}"

    def count(self, name: str) -> int:
        """Of the part of this name; 0 where there is none."""
        return sum(part["count"] for part in self.table["parts"] if part["name"] == name)


def equations(tables: Sequence[Facts]) -> tuple[Equation, ...]:
    """Of the tables that are no windows."""
    return tuple(_equation(table) for table in tables if table.get("window") is None)


def _equation(table: Facts) -> Equation:
    widths = laid_out([part["count"] for part in table["parts"]], table["total"])
    bar = [(part["kind"], *place) for part, place in zip(table["parts"], widths, strict=True)]
    return Equation(table, bar, not table["problems"] and all(check["verdict"] != Verdict.FAIL for check in table["checks"]))


def sum_of(shown: Sequence[Equation]) -> Equation | None:
    """All tables together, where there are several that count the same."""
    tables = [equation.table for equation in shown]
    if len({table["counted"] for table in tables}) != 1 or len(tables) == 1:
        return None
    first = {part["name"]: part for table in tables for part in table["parts"]}
    parts = [{**part, "count": sum(equation.count(name) for equation in shown)} for name, part in first.items()]
    added = {name: sum(table[name] for table in tables) for name in ("total", "seen")}
    notices = sum(table.get("totals", {}).get("notices", 0) for table in tables)
    table = {**tables[0], **added, "parts": parts, "problems": [], "checks": [], "totals": {"notices": notices}}
    whole = _equation(table)
    return Equation(whole.table, whole.bar, all(equation.holds for equation in shown))


def sums_of(shown: Sequence[Equation]) -> tuple[Equation, ...]:
    """One for each kind that is counted, as items and the records of a stream, where several tables have it."""
    by_kind = (
        [equation for equation in shown if equation.table["counted"] == counted]
        for counted in dict.fromkeys(equation.table["counted"] for equation in shown)
    )
    return tuple(total for of_kind in by_kind if (total := sum_of(of_kind)))


# -- windows -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of a table."""

    number: int
    began: str
    ended: str
    equation: Equation
    took: float
    state: str
    start: float
    width: float
    """Of its bar on the time line, in the units of `BAR`."""


@dataclass(frozen=True, slots=True)
class WindowsOfTable:
    """The windows that a run applied to one table, in order."""

    source_table: str
    target_table: str
    rows: Sequence[WindowRow]
    parts: Sequence[tuple[str, str]]
    """Name and words of what became of the records."""
    total: Equation | None
    conflicts: int
    outdated: int
    lag: str
    """From the end of the last window to the end of the run."""
    as_of: str

    @property
    def alternative(self) -> str:
        """The time line in words."""
        return f"{counted_in_words(len(self.rows), 'window')} from {self.rows[0].began} to {self.rows[-1].ended}"


def windows_of(report: Facts) -> tuple[WindowsOfTable, ...]:
    """By table, on one scale of time; nothing where no window was applied."""
    windows = [table for table in report["tables"] if table.get("window") is not None and table.get("changes_to")]
    if not windows:
        return ()
    first = min(datetime.fromisoformat(table["changes_from"]) for table in windows)
    length = (max(datetime.fromisoformat(table["changes_to"]) for table in windows) - first).total_seconds() or 1.0
    pairs = dict.fromkeys((table["source_table"], table["target_table"]) for table in windows)
    return tuple(
        _windows_of_table([table for table in windows if (table["source_table"], table["target_table"]) == pair], report, first, length)
        for pair in pairs
    )


def _windows_of_table(windows: Sequence[Facts], report: Facts, first: datetime, length: float) -> WindowsOfTable:
    rows = []
    for table in windows:
        equation = _equation(table)
        began, ended = (datetime.fromisoformat(table[name]) for name in ("changes_from", "changes_to"))
        is_review = any(part["count"] for part in table["parts"] if part["kind"] in _TO_REVIEW)
        state = "lost" if not equation.holds else "review" if is_review else "good"
        start = BAR * (began - first).total_seconds() / length
        # A small gap tells windows that touch from one another.
        width = max(2.0, BAR * (ended - began).total_seconds() / length - 2.0)
        times = moment(table["changes_from"]), moment(table["changes_to"])
        rows.append(WindowRow(table["window"], *times, equation, table["seconds"], state, round(start, 2), round(width, 2)))
    last = windows[-1]
    return WindowsOfTable(
        source_table=last["source_table"],
        target_table=last["target_table"],
        rows=rows,
        parts=tuple({part["name"]: part["words"] for table in windows for part in table["parts"]}.items()),
        total=sum_of([row.equation for row in rows]),
        conflicts=sum(row.equation.count("conflicts") for row in rows),
        # Each window counts all that are outdated at its end.
        outdated=last["outdated"],
        lag=duration(last["changes_to"], report["finished_at"]),
        as_of=moment(last["changes_to"]),
    )


# -- what to do ----------------------------------------------------------------------------------------------------------------------------

_MOST_CAUSES: Final = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """One code, over all tables, and what to do about it."""

    code: str
    count: int
    advice: str


@dataclass(frozen=True, slots=True)
class ToDo:
    """The most frequent causes, and what to type."""

    causes: Sequence[Cause]
    more: int
    """Codes that are not among them."""
    commands: Sequence[tuple[str, str]]
    """What for, and the command."""


def to_do(report: Facts, counts: Sequence[RecordCount], run_folder: str, advice: Mapping[str, str]) -> ToDo | None:
    """None where there is nothing to review."""
    by_code: Counter[str] = Counter()
    for count in counts:
        if count.kind != RecordKind.NOTICES:
            by_code[count.code] += count.count
    if not by_code:
        return None
    causes = [Cause(code, count, advice.get(code, "")) for code, count in by_code.most_common(_MOST_CAUSES)]
    kinds = {count.kind for count in counts}
    return ToDo(causes, len(by_code) - len(causes), tuple(_commands(kinds, run_folder, causes[0].code, report["command"])))


def _commands(kinds: set[RecordKind], run_folder: str, code: str, command: str) -> Iterator[tuple[str, str]]:
    run = shlex.quote(run_folder)
    if RecordKind.DEAD_LETTERS in kinds:
        yield "Look at the items of one code, with their values masked", f"ddb2pg dead-letters show {run} --code {code}"
        yield (
            "After you fix the definition, or items in a copy of the files, load them again",
            f"ddb2pg dead-letters replay {run}",
        )
    if kinds & set(OF_ROWS) and command == "validate":
        yield "See the rows with their values (patient data)", f"ddb2pg report {run} --show_values"


# -- columns -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShapeSegment:
    """Values of one kind among those of a column."""

    words: str
    share: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """What one column got; a figure is a dash where it means nothing."""

    name: str
    type: str
    source: str
    present: str
    null: str
    defaulted: str
    refused: str
    shapes: Sequence[ShapeSegment]
    remark: str
    """What is striking about it, else nothing."""


@dataclass(frozen=True, slots=True)
class ColumnsOfTable:
    source_table: str
    target_table: str
    items: int
    rows: Sequence[ColumnRow]

    @property
    def striking(self) -> Sequence[ColumnRow]:
        return [row for row in self.rows if row.remark]


_SOURCES: Final = {
    ColumnSource.ITEM: "the whole item",
    ColumnSource.REST: "what no other column takes",
    ColumnSource.NOTHING: "no attribute",
}
_NOTHING: Final = "\u2013"


def columns_of(tables: Sequence[Facts]) -> tuple[ColumnsOfTable, ...]:
    """Of the tables that have a sample."""
    return tuple(
        ColumnsOfTable(
            table["source_table"],
            table["target_table"],
            table["sample"]["items"],
            [_column_row(column, table["sample"]["items"], table["sample"]["rows"]) for column in table["sample"]["columns"]],
        )
        for table in tables
        if table.get("sample")
    )


def _column_row(column: Facts, items: int, rows: int) -> ColumnRow:
    present = column["present"]
    return ColumnRow(
        column["name"],
        column["type"],
        ", ".join(column["attributes"]) or _SOURCES[ColumnSource(column["source"])],
        _NOTHING if present is None else percent(present, items),
        percent(column["null"], rows) if rows else _NOTHING,
        percent(column["defaulted"], rows) if rows else _NOTHING,
        percent(column["refused"], items),
        tuple(_segments(column["shapes"])),
        _remark(column, items),
    )


def _remark(column: Facts, items: int) -> str:
    if column["present"] == 0:
        return "in no item of the sample: is the attribute spelt as in the items?"
    if column["refused"] * 2 > items:
        return "refused in most items: is the type right?"
    return ""


def _segments(shapes: Mapping[str, int]) -> Iterator[ShapeSegment]:
    total, start = sum(shapes.values()), 0.0
    for words, count in shapes.items():
        width = 100 * count / total
        shown = "other kinds" if words == OTHER_SHAPES else words
        yield ShapeSegment(shown, percent(count, total), round(start, 2), round(width, 2))
        start += width
