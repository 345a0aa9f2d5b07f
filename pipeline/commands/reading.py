"""`preflight`, `status` and `report`: commands that only read and show. They write nothing into a database."""

from __future__ import annotations

from rich.console import Console

from pipeline.console import print_json
from pipeline.errors import Refused
from pipeline.job.equation import outcome_so_far
from pipeline.ledger.loads import Load, all_loads, ledger_exists, refuse_other_version
from pipeline.options import PreflightCommandOptions, ReportOptions, StatusOptions
from pipeline.outcome.outcome import Outcome
from pipeline.outcome.report import rewrite_page, table_to_json
from pipeline.outcome.terminal import print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.preflight.check import make_report
from pipeline.preflight.terminal import print_report
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session


def preflight(options: PreflightCommandOptions, console: Console) -> ExitCode:
    """Check all that `migrate` would, and more."""
    checked = make_report(options, options.sample, show_values=options.show_values)
    if options.json:
        print_json(checked)
    else:
        print_report(console, checked)
    return ExitCode.DONE if checked.is_ready else ExitCode.REFUSED


def status(options: StatusOptions, console: Console) -> ExitCode:
    """Show the loads in the ledger."""
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([sentence])
    with Session(options.database) as session:
        loads = session.transact(_read_loads)
    if options.json:
        print_json([{"load": load, **table_to_json(outcome)} for load, outcome in loads])
    elif not loads:
        console.print("no load was ever started in this database")
    else:
        for _, outcome in loads:
            print_outcome(console, outcome, "status")
    return ExitCode.DONE


def _read_loads(cursor: Cursor) -> list[tuple[Load, Outcome]]:
    if not ledger_exists(cursor):
        return []
    refuse_other_version(cursor)
    return [(load, outcome_so_far(cursor, load)) for load in all_loads(cursor)]


def report(options: ReportOptions, console: Console) -> ExitCode:
    """Make the page of a run again."""
    console.print(f"page           {rewrite_page(options.folder, options.page, show_values=options.show_values)}")
    return ExitCode.DONE
