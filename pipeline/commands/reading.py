"""Commands that only read and show: `preflight`, `check-definition`, `status`, `report`. They write nothing into a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import details_console, print_grid
from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from pipeline.errors import Refused
from pipeline.job.equation import outcome_so_far
from pipeline.ledger.loads import Load, all_loads, ledger_exists, refuse_other_version
from pipeline.options import DEFAULT_OUTPUT, CheckDefinitionOptions, PreflightCommandOptions, ReportOptions, StatusOptions
from pipeline.outcome.outcome import Outcome, Run
from pipeline.outcome.report import rewrite_page
from pipeline.outcome.terminal import print_outcome, print_warnings
from pipeline.places.storage import OutputFolder
from pipeline.preflight.check import check_with_sample
from pipeline.preflight.sample import print_samples
from pipeline.preflight.targets import compiled_findings
from pipeline.records.reading import REPORT_FILE, newest_run
from pipeline.stream.prove import streams_so_far
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session
from transforms.sources import OfElement, Parent, Part, Source, Whole, paths_of
from transforms.table import Column, Otherwise
from transforms.where import in_words


def preflight(options: PreflightCommandOptions, console: Console) -> Run:
    """Check all that `migrate` would, and more."""
    with details_console(options.details) as details:
        checked = check_with_sample(options, options.sample, show_values=options.show_values)
        print_samples(console, details, checked.samples)
    places = {"details": str(options.details)} if options.details else {}
    return Run("preflight", checks={"preflight": checked.findings}, results={"samples": checked.samples}, places=places)


def check_definition(options: CheckDefinitionOptions, console: Console) -> Run:
    """Show what definitions say, where nothing is wrong with them."""
    tables = find_tables(options.file)
    for table in tables:
        _print_columns(console, f"{table.source} -> {table.target}", table.columns)
        if table.where is not None:
            console.print(f"where {in_words(table.where)}", highlight=False, markup=False)
        for child in table.children:
            _print_columns(console, f"{table.source}, each of {child.path} -> {child.target}", child.columns)
    slow = [finding for table in tables for finding in compiled_findings(table)]
    print_warnings(console, slow)
    return Run("check-definition", checks={"speed": slow}, results={"definitions": describe(tables)["tables"]})


def _print_columns(console: Console, title: str, columns: Sequence[Column]) -> None:
    grid = Grid("column", "type", "from", "missing", title=title, title_justify="left")
    for column in columns:
        missing = repr(column.missing.content) if isinstance(column.missing, Otherwise) else getattr(column.missing, "name", "")
        grid.add_row(*map(Text, (column.name, str(column.pg_type), _source_in_words(column.source), missing)))
    print_grid(console, grid)


def _source_in_words(source: Source) -> str:
    match source:
        case Part(path, pattern, name):
            return f"{{{name}}} of {path}: {pattern}"
        case Whole() | OfElement() as source:
            return source.name
        case Parent(of_item):
            return f"{_source_in_words(of_item)} of the item"
    return ", ".join(paths_of(source))


def status(options: StatusOptions, console: Console) -> Run:
    """Show the loads in the ledger."""
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([sentence])
    with Session(options.database) as session:
        loads, streams = session.transact(_read_loads)
    outcomes = (*(outcome for _, outcome in loads), *streams)
    for outcome in outcomes:
        print_outcome(console, outcome, "status")
    return Run("status", outcomes, results={"loads": [load for load, _ in loads]})


def _read_loads(cursor: Cursor) -> tuple[list[tuple[Load, Outcome]], list[Outcome]]:
    if not ledger_exists(cursor):
        return [], []
    refuse_other_version(cursor)
    return [(load, outcome_so_far(cursor, load)) for load in all_loads(cursor)], streams_so_far(cursor)


def report(options: ReportOptions, _console: Console) -> Run:
    """Make the page of a run again."""
    page = str(rewrite_page(_run_folder(options), options.page, show_values=options.show_values))
    return Run("report", results={"page": page}, places={"page": page})


def _run_folder(options: ReportOptions) -> OutputFolder:
    """The folder that was given; else that of the run with this id, or of the last one, below the usual place. Raises `Refused`."""
    given = options.folder
    if given is None:
        return OutputFolder(newest_run(str(DEFAULT_OUTPUT), DEFAULT_OUTPUT.storage, REPORT_FILE))
    if given.is_local and given.name == str(given) and not Path(str(given)).exists():
        return DEFAULT_OUTPUT / given.name
    return given
