"""The commands: for each its options, its exit codes, and what runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from pipeline import __version__
from pipeline.commands.dead_letters import show, summary
from pipeline.commands.exports import export, inspect, sample_export
from pipeline.commands.migrate import migrate
from pipeline.commands.reading import preflight, report, status
from pipeline.commands.replay import replay
from pipeline.commands.rollback import rollback
from pipeline.commands.validate import validate
from pipeline.options import (
    DeadLettersOptions,
    ExportCommandOptions,
    InspectOptions,
    MigrateOptions,
    Options,
    PreflightCommandOptions,
    ReplayOptions,
    ReportOptions,
    RollbackOptions,
    SampleExportOptions,
    ShowOptions,
    StatusOptions,
    ValidateOptions,
    add_options,
)
from pipeline.outcome.verdict import ExitCode

_EXIT_CODES: Final = (
    "0 everything is a row; 3 finished, with dead letters to review; 2 refused before anything was written; 1 failed, resume by running it "
    "again."
)
_READ_EXIT_CODES: Final = "0 done; 2 there are no such files, or they cannot be read."


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    """As it is typed: `migrate`, `dead-letters show`."""
    summary: str
    options: type[Options]
    run: Callable[[Any, Console], ExitCode]
    """Takes the options of that class. Raises `Refused`, `Stopped`, `StorageFailed`."""
    exit_codes: str = _EXIT_CODES
    writes: bool = False
    """Whether it can be interrupted half-way, and resumed."""


COMMANDS: Final = (
    Command(
        "migrate",
        "check, load and prove; the same command resumes a broken load and does nothing to a finished one",
        MigrateOptions,
        migrate,
        writes=True,
    ),
    Command(
        "preflight",
        "check all that migrate would, and more: exports, database, targets, rights, connections; writes nothing",
        PreflightCommandOptions,
        preflight,
    ),
    Command(
        "export",
        "ask DynamoDB for exports of tables to S3, all as of one time, wait for them, and print what migrate takes",
        ExportCommandOptions,
        export,
        "0 all exports are done, or with --no_wait started; 2 refused, nothing was started; 1 failed or stopped, go on with --export_time.",
    ),
    Command(
        "inspect",
        "show what an export is and what its items look like, without their values; writes nothing, needs no database",
        InspectOptions,
        inspect,
        "0 nothing wrong was found; 1 a data file is not what its manifest says; 2 an export that cannot be read.",
    ),
    Command(
        "validate",
        "compare every item of the exports with its row, and every row with the items; then run the checks of validate_migration.sql",
        ValidateOptions,
        validate,
        "0 every row is as the export makes it; 3 there are differences, a SQL check failed, or a request was not answered as expected; "
        "2 refused, nothing was compared; 1 stopped, or not all was compared: run it again.",
    ),
    Command(
        "rollback",
        "delete exactly the rows that a load wrote and nobody changed since; without --yes only look",
        RollbackOptions,
        rollback,
        "0 all rows of the load are gone, or without --yes would be; 3 some are left, and listed; 2 refused, nothing was deleted; 1 not at "
        "its end: run it again.",
        writes=True,
    ),
    Command(
        "dead-letters summary",
        "what was refused and why, by table, code and attribute; shows no value of an item",
        DeadLettersOptions,
        summary,
        _READ_EXIT_CODES,
    ),
    Command(
        "dead-letters show",
        "single dead letters, with the attributes at fault marked; values are masked",
        ShowOptions,
        show,
        _READ_EXIT_CODES,
    ),
    Command(
        "dead-letters replay",
        "load dead letters again, after the table definition or a copy of their file was fixed; each exactly once",
        ReplayOptions,
        replay,
        "0 all of them are rows; 3 some are refused again, and are in the new run's folder; 2 refused, nothing was written; 1 stopped: run "
        "it again.",
        writes=True,
    ),
    Command(
        "report",
        "make the page of a run again, from its report.json and its files; needs no database",
        ReportOptions,
        report,
        "0 the page is written; 2 refused; 1 it cannot be written.",
    ),
    Command("status", "show the loads that the ledger knows: progress, counts, state; reads only", StatusOptions, status),
    Command(
        "sample-export",
        "write exports of the three tables as AWS writes them, with made-up content and the truth beside it",
        SampleExportOptions,
        sample_export,
    ),
)

_GROUPS: Final = {"dead-letters": "look at the dead letters of a run, and load them again after their cause was fixed"}


def make_parser() -> argparse.ArgumentParser:
    """What `cli.py` parses a command line with; it sets `command`, one of `COMMANDS`, and the options of that command."""
    parser = argparse.ArgumentParser(
        prog="ddb2pg",
        description="Moves DynamoDB tables, from their exports to S3, into PostgreSQL, and proves that nothing was lost.",
        epilog=f"Exit codes: {_EXIT_CODES}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ddb2pg {__version__}")
    groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for command in COMMANDS:
        group, _, name = command.name.rpartition(" ")
        if group not in groups:
            of_group = groups[""].add_parser(group, help=_GROUPS[group], description=_GROUPS[group], allow_abbrev=False)
            groups[group] = of_group.add_subparsers(metavar="COMMAND", required=True)
        subparser = groups[group].add_parser(
            name, help=command.summary, description=command.summary, epilog=f"Exit codes: {command.exit_codes}", allow_abbrev=False
        )
        add_options(subparser, command.options)
        subparser.set_defaults(command=command)
    return parser
