"""The page in one file. It may not load anything, and runs only its own script, for any data.

Three things see to that: every text goes through the template's escaping or the script's text nodes; the list's entries are base64 in a
block that is no script; and the Content-Security-Policy allows the one script and the one style by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.console import counted_in_words, noun_for, printable
from pipeline.outcome import charts
from pipeline.outcome.charts import KIND_WORDS, CountedKind, Curve, counted_kinds, curve, duration, moment, seconds_in_words
from pipeline.outcome.outcome import Verdict
from pipeline.outcome.verdict import EXIT_CODES, CommandWords, heading_of, words_of
from pipeline.outcome.views import (
    ColumnsOfTable,
    Equation,
    Facts,
    ToDo,
    WindowsOfTable,
    columns_of,
    equations,
    headline,
    sums_of,
    to_do,
    windows_of,
)
from pipeline.places.place import join
from pipeline.records.gather import Gathered
from pipeline.records.kinds import KINDS, RecordKind, folder_in_words
from pipeline.records.reading import REPORT_FILE

_FOLDER: Final = Path(__file__).parent / "template"
_SCRIPTS: Final = ("text.js", "entries.js", "selection.js", "detail.js", "list.js", "main.js")
_ENTRIES_AT_ONCE: Final = 50


def render_page(report: Facts, gathered: Gathered, run_folder: str) -> bytes:
    """The whole file; `report` is as `report.json` has it, `run_folder` a path or a URI."""
    style, script = _style(), _script()
    data = orjson.dumps({**gathered.entries, "advice": ADVICE, "page_size": _ENTRIES_AT_ONCE})
    text = (
        _environment()
        .get_template("page.html")
        .render(
            page=page_content(report, gathered, run_folder),
            policy=f"default-src 'none'; style-src {_hash_of(style)}; script-src {_hash_of(script)}; base-uri 'none'; form-action 'none'",
            # Files of this package, which hold no data.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            entries=base64.b64encode(gzip.compress(data, 6, mtime=0)).decode(),
            charts=charts,
        )
    )
    return text.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What would reorder the text around it, or break a line, is shown as its code.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["number"] = lambda number: f"{number:,}"
    environment.filters["noun_for"] = lambda words, count: noun_for(count, words)
    environment.filters["folder_in_words"] = folder_in_words
    return environment


@cache
def _style() -> str:
    return f"\n{(_FOLDER / 'page.css').read_text(encoding='utf-8')}{(_FOLDER / 'print.css').read_text(encoding='utf-8')}"


@cache
def _script() -> str:
    content = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f'\n"use strict";\n(() => {{\n{content}}})();\n'


def _hash_of(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


# -- what it shows -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadView:
    """How one table was loaded: how long, how fast over time, and by whom."""

    table: str
    facts: Sequence[tuple[str, str]]
    run: str
    """Of which run the curve and the workers are; nothing, if it is the reported one."""
    curve: Curve | None
    workers: Sequence[tuple[Facts, float]]
    """What one process did, in percent of the one that did most."""
    earlier: Sequence[str]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One row of a list of checks; `state` is how its verdict is shown."""

    name: str
    state: str
    verdict: str
    detail: str
    table: str


@dataclass(frozen=True, slots=True)
class CheckList:
    """One list; what is only worth knowing can be opened."""

    heading: str
    rows: Sequence[CheckRow]
    facts: Sequence[CheckRow]

    @property
    def has_tables(self) -> bool:
        return any(row.table for row in (*self.rows, *self.facts))


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list of entries is about."""

    heading: str
    listed: int
    total: int
    missing_places: Sequence[str]
    """Where the others are, if not all are listed."""


@dataclass(frozen=True, slots=True)
class Content:
    title: str
    has_values: bool
    headline: str
    verdict: Facts
    summary: Sequence[tuple[str, str]]
    to_do: ToDo | None
    tables_heading: str
    equations: Sequence[Equation]
    totals: Sequence[Equation]
    has_notices: bool
    problems: Sequence[str]
    windows: Sequence[WindowsOfTable]
    counted: Sequence[CountedKind]
    columns: Sequence[ColumnsOfTable]
    loads: Sequence[LoadView]
    checks: Sequence[CheckList]
    listing: Listing | None
    places: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]


def page_content(report: Facts, gathered: Gathered, run_folder: str) -> Content:
    """Of a report as `report.json` has it. No HTML here."""
    tables: Sequence[Facts] = report["tables"]
    words = words_of(report["command"], is_dry=report["is_dry"])
    shown = equations(tables)
    return Content(
        title=f"{headline(report)} · ddb2pg {report['command']} {report['run_id']}",
        has_values=gathered.has_values,
        headline=headline(report),
        verdict=report["verdict"],
        summary=tuple(_summary(report)),
        to_do=to_do(report, gathered.counts, run_folder, ADVICE),
        tables_heading=f"{shown[0].table['counted'].capitalize()}s, table by table" if shown else "",
        equations=shown,
        totals=sums_of(shown),
        has_notices=words.has_notices,
        problems=tuple(f"{table['source_table']}: {problem}" for table in tables for problem in table["problems"]),
        windows=windows_of(report),
        counted=counted_kinds(gathered.counts, [table["source_table"] for table in tables]),
        columns=columns_of(tables),
        loads=tuple(_load_view(report["run_id"], table, words) for table in tables if table["runs"] and table.get("window") is None),
        checks=tuple(check_lists(report)),
        listing=_listing(gathered, run_folder),
        places=tuple(_places(gathered, run_folder)),
        facts=tuple(_facts(report)),
    )


def _summary(report: Facts) -> Iterator[tuple[str, str]]:
    yield "Command", report["command"]
    yield "Run", report["run_id"]
    yield "Began", moment(report["started_at"])
    yield "Took", duration(report["started_at"], report["finished_at"])
    database = report["database"]
    yield "Database", f"{database['name']} on {database['host'] or 'this machine'}, as {database['user']}"
    yield "Exit code", f"{report['exit_code']}: {EXIT_CODES.get(report['exit_code'], 'not known')}"


def _load_view(run_id: str, table: Facts, words: CommandWords) -> LoadView:
    newest, *earlier = table["runs"]
    most = max((worker["items"] for worker in newest["workers"]), default=0)
    return LoadView(
        table=table["source_table"],
        facts=tuple(_facts_of_load(table, newest, words)),
        run="" if newest["run_id"] == run_id else newest["run_id"],
        curve=curve(newest),
        workers=tuple((worker, round(100 * worker["items"] / most, 2) if most else 0.0) for worker in newest["workers"]),
        earlier=tuple(
            f"{run['run_id']}: {counted_in_words(run['items'], 'item')} in {counted_in_words(run['chunks'], 'chunk')}" for run in earlier
        ),
    )


def _facts_of_load(table: Facts, newest: Facts, words: CommandWords) -> Iterator[tuple[str, str]]:
    seconds, loaded = table["seconds"], table["done_now"]
    yield "Took", seconds_in_words(seconds)
    if loaded:
        yield "Loaded by this run", counted_in_words(loaded, "item")
        yield "Rate", f"{loaded / seconds:,.0f} items/s" if seconds else "not known"
    else:
        yield "Loaded by this run", "nothing" if table["problems"] else words.nothing_done
    yield "Chunks", f"{newest['chunks']:,} in {duration(newest['first_commit'], newest['last_commit'])}"
    yield "Rows in the target", f"{table['target_rows']:,}"
    yield "Export", table["export_id"]


_STATES: Final = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.WARNING: "warn"}


def check_lists(report: Facts) -> Iterator[CheckList]:
    """Those of the run, then those of its tables as one."""
    for name, checks in report["checks"].items():
        if checks:
            yield _check_list(heading_of(name), [_check_row(check, "") for check in checks])
    of_tables = [_check_row(check, table["source_table"]) for table in report["tables"] for check in table["checks"]]
    if of_tables:
        yield _check_list(words_of(report["command"], is_dry=report["is_dry"]).checks, of_tables)


def _check_list(heading: str, rows: Sequence[CheckRow]) -> CheckList:
    facts = tuple(row for row in rows if row.verdict == Verdict.FACT)
    return CheckList(heading, tuple(row for row in rows if row.verdict != Verdict.FACT), facts)


def _check_row(check: Facts, table: str) -> CheckRow:
    return CheckRow(check["name"], _STATES.get(check["verdict"], "plain"), check["verdict"], check["detail"], check["table"] or table)


def _listing(gathered: Gathered, run_folder: str) -> Listing | None:
    blocks = gathered.entries["blocks"]
    total = sum(block["total"] for block in blocks)
    if not total:
        return None
    kinds = {block["kind"] for block in blocks}
    [heading] = [KIND_WORDS[kind].listed for kind in kinds] if len(kinds) == 1 else ["Entries"]
    listed = sum(len(block["item"]) for block in blocks)
    missing = tuple(join(run_folder, block["kind"], block["table"]) for block in blocks if len(block["item"]) < block["total"])
    return Listing(heading, listed, total, missing)


def _places(gathered: Gathered, run_folder: str) -> Iterator[tuple[str, str]]:
    yield "Run", run_folder
    kinds = {count.kind for count in gathered.counts}
    for kind in RecordKind:
        if kind in kinds:
            yield kind.words.capitalize(), join(run_folder, kind)
    yield "Facts for programs", join(run_folder, REPORT_FILE)


def _facts(report: Facts) -> Iterator[tuple[str, str]]:
    names = {"ddb2pg": "ddb2pg", "python": "Python", "beam": "Apache Beam", "postgresql": "PostgreSQL"}
    for name, version in report["versions"].items():
        if version:
            yield names.get(name, name), str(version)
    for name, value in report["settings"].items():
        yield f"--{name}" if name not in ("exports", "beam_options") else name.replace("_", " "), _setting(value)


def _setting(value: object) -> str:
    """A setting as it may be typed."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


# -- what to do about each code ------------------------------------------------------------------------------------------------------------

_AT_THE_SOURCE: Final = "Fix the item at the source, or widen the definition."
_WIDER_TYPE: Final = "Fix the item at the source, or give the column a wider type; numeric takes every number."
_NOT_FROM_DYNAMODB: Final = "The line is not what DynamoDB writes: how was the export made or changed?"

ADVICE: Final = {
    "invalid_json": _NOT_FROM_DYNAMODB,
    "not_an_item": _NOT_FROM_DYNAMODB,
    "not_a_change": f"{_NOT_FROM_DYNAMODB} If its keys are not those of the definition, correct `key` there.",
    "missing_required": "The column is NOT NULL: supply the value at the source, or relax the column and its definition.",
    "wrong_type": _AT_THE_SOURCE,
    "invalid_uuid": _AT_THE_SOURCE,
    "invalid_enum": _AT_THE_SOURCE,
    "invalid_number": _AT_THE_SOURCE,
    "not_an_integer": _WIDER_TYPE,
    "number_out_of_range": _WIDER_TYPE,
    "precision_lost": "The column cannot hold every digit: give it a larger scale or numeric, or for a float rounded=True.",
    "text_too_long": "Give the column a greater length, or make it text.",
    "invalid_boolean": _AT_THE_SOURCE,
    "invalid_timestamp": "The message says what the column takes, no finer than a microsecond: fix the item at the source.",
    "timestamp_out_of_range": "The message says what the column takes, and if another unit would fit.",
    "invalid_date": _AT_THE_SOURCE,
    "invalid_time": _AT_THE_SOURCE,
    "invalid_interval": _AT_THE_SOURCE,
    "invalid_base64": _AT_THE_SOURCE,
    "invalid_inet": _AT_THE_SOURCE,
    "nul_character": "PostgreSQL stores U+0000 neither in text nor in jsonb: remove it at the source.",
    "pattern_mismatch": "The text does not match the pattern of the column's Part: fix the item, or the pattern.",
    "function_failed": "A function of the definition raised an exception, or returned what its column cannot take: fix the function.",
    "no_table": "No definition takes the item: write one for it, or an Ignore that says that it is for no table.",
    "unmapped_attribute": "No column takes it: give it one, or load with --unmapped=notice.",
    "primary_key_conflict": "Another item with this key is the row. If both must be kept, the target's primary key has to be wider.",
    "unique_conflict": "Another item with this value is the row: is the index meant?",
    "foreign_key_violation": "The row that it refers to is not there: load that first, or fix the item.",
    "check_violation": "The constraint that is named forbids it: fix the item, or the check.",
    "not_null_violation": "Supply the value at the source, or relax the column.",
    "database_rejected": "SQLSTATE and the constraint's name say how.",
    "row_changed_by_others": "Whose row counts? --conflicts=overwrite takes the window's.",
    **{str(kind): text.advice for kind, text in KINDS.items()},
}
