"""What the page shows, made of the facts of `report.json` and the records that were gathered. No HTML here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.outcome.page.checks import CheckList, check_lists
from pipeline.outcome.page.counts import CountedKind, counted_kinds
from pipeline.outcome.page.loads import LoadView, load_views
from pipeline.outcome.page.tables import Equation, equations
from pipeline.outcome.page.words import duration, exit_code_words, moment, setting
from pipeline.places import join
from pipeline.records.gather import Gathered
from pipeline.records.kinds import RecordKind

Facts = Mapping[str, Any]
_LISTED: Final = {
    RecordKind.DEAD_LETTERS: "Dead letters",
    RecordKind.MISMATCHES: "Mismatches",
    RecordKind.DISCREPANCIES: "Rows that are left",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list of entries is about."""

    heading: str
    listed: int
    total: int
    missing_places: tuple[str, ...]
    """Where the others are, if not all are listed."""


@dataclass(frozen=True, slots=True)
class Content:
    """The page, from top to bottom."""

    title: str
    has_values: bool
    state: str
    verdict: str
    verdict_details: tuple[str, ...]
    summary: tuple[tuple[str, str], ...]
    equations: tuple[Equation, ...]
    problems: tuple[str, ...]
    loads: tuple[LoadView, ...]
    counted: tuple[CountedKind, ...]
    checks: tuple[CheckList, ...]
    listing: Listing | None
    places: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


def page_content(report: Facts, gathered: Gathered, run_folder: str) -> Content:
    """Of a report as `report.json` has it. Fields that are not there are not shown."""
    verdict = report.get("verdict") or {"state": "review", "sentence": f"Exit code {report.get('exit_code')}", "details": []}
    tables: Sequence[Facts] = report.get("tables", ())
    command = report.get("command", "run")
    return Content(
        title=f"{verdict['sentence']} · ddb2pg {command} {report['run_id']}",
        has_values=gathered.has_values,
        state=verdict["state"],
        verdict=verdict["sentence"],
        verdict_details=tuple(verdict.get("details", ())),
        summary=tuple(_summary(report, command)),
        equations=tuple(equations(tables)),
        problems=tuple(f"{table.get('source_table')}: {problem}" for table in tables for problem in table.get("problems", ())),
        loads=tuple(load_views(report["run_id"], tables)),
        counted=counted_kinds(gathered.counts, [table.get("source_table") for table in tables]),
        checks=check_lists(report),
        listing=_listing(gathered, run_folder),
        places=tuple(_places(gathered, run_folder)),
        facts=tuple(_facts(report)),
    )


def _summary(report: Facts, command: str) -> Iterator[tuple[str, str]]:
    yield "Command", command
    yield "Run", report["run_id"]
    if report.get("started_at"):
        yield "Began", moment(report["started_at"])
    if report.get("started_at") and report.get("finished_at"):
        yield "Took", duration(report["started_at"], report["finished_at"])
    database = report.get("database")
    if database:
        yield "Database", f"{database['name']} on {database['host'] or 'this machine'}, as {database['user']}"
    yield "Exit code", exit_code_words(command, report["exit_code"])


def _listing(gathered: Gathered, run_folder: str) -> Listing | None:
    blocks = gathered.entries["blocks"]
    total = sum(block["total"] for block in blocks)
    if not total:
        return None
    kinds = {block["kind"] for block in blocks}
    [heading] = [_LISTED[kind] for kind in kinds] if len(kinds) == 1 else ["Entries"]
    listed = sum(len(block["item"]) for block in blocks)
    missing = tuple(join(run_folder, block["kind"], block["table"]) for block in blocks if len(block["item"]) < block["total"])
    return Listing(heading, listed, total, missing)


def _places(gathered: Gathered, run_folder: str) -> Iterator[tuple[str, str]]:
    yield "Run", run_folder
    there = {count.kind for count in gathered.counts}
    for kind in RecordKind:
        if kind in there:
            yield kind.words.capitalize(), join(run_folder, kind)
    yield "Facts for programs", join(run_folder, "report.json")


def _facts(report: Facts) -> Iterator[tuple[str, str]]:
    names = {"ddb2pg": "ddb2pg", "python": "Python", "beam": "Apache Beam", "postgresql": "PostgreSQL"}
    for name, version in report.get("versions", {}).items():
        if version:
            yield names.get(name, name), str(version)
    for name, value in report.get("settings", {}).items():
        yield f"--{name}" if name not in ("exports", "beam_options") else name.replace("_", " "), setting(value)
