"""The commands and their options. What several commands take is in `arguments.py`, what each does in `commands.py`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline import __version__
from pipeline.commands import check_commands
from pipeline.commands import run as commands
from pipeline.commands.arguments import (
    EPILOG,
    add_aws,
    add_command,
    add_database,
    add_dead_letters,
    add_export,
    add_output,
    add_output_key,
    add_runner,
    file_to_write,
    folder_to_write,
    point_in_time,
    positive,
    up_to,
)
from pipeline.commands.dead_letters import add_dead_letters_commands
from pipeline.commands.replay_command import add_replay_command
from pipeline.source.chunks import CHUNK_BYTES, CHUNK_ITEMS, SPLIT_ITEMS


def make_parser() -> argparse.ArgumentParser:
    """What `cli.py` parses a command line with."""
    parser = argparse.ArgumentParser(
        prog="ddb2pg",
        description="Moves DynamoDB tables, from their exports to S3, into PostgreSQL, and proves that nothing was lost.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ddb2pg {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_migrate(subparsers)
    _add_preflight(subparsers)
    _add_export_command(subparsers)
    _add_inspect(subparsers)
    _add_validate(subparsers)
    _add_rollback(subparsers)
    add_replay_command(add_dead_letters_commands(subparsers))
    _add_report(subparsers)
    _add_status(subparsers)
    _add_sample_export(subparsers)
    return parser


def _add_migrate(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers, "migrate", "check, load and prove; the same command resumes a broken load and does nothing to a finished one"
    )
    _add_load(command)
    command.add_argument(
        "--validate",
        choices=["full", "quick", "none"],
        default="quick",
        help="what must be equal to a table's export before the next table is begun: every row, or the number of rows and the content of "
        "some 2,000 (default: %(default)s)",
    )
    command.add_argument(
        "--no_wait",
        action="store_true",
        help="on Dataflow: prove what earlier jobs loaded, send the job of the next table, and end (exit code 0); a template's launcher "
        "does so without it",
    )
    command.set_defaults(run=commands.run_migrate)


def _add_preflight(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers, "preflight", "check all that migrate would, and more: exports, database, targets, rights, connections; writes nothing"
    )
    _add_load(command)
    command.add_argument(
        "--sample", metavar="N", type=positive, default=0, help="show the first N items of each table beside the rows they would become"
    )
    command.add_argument("--show_values", action="store_true", help="show the values of the sample, patient data, in place of their shapes")
    command.add_argument("--json", action="store_true", help="for other programs")
    command.set_defaults(run=commands.run_preflight, validate="none")


def _add_load(command: argparse.ArgumentParser) -> None:
    add_export(command)
    add_aws(command)
    add_database(command)
    add_output(command)
    add_runner(command)
    command.add_argument(
        "--unmapped",
        choices=["notice", "reject"],
        default="notice",
        help="an attribute that no column takes: load the item and note it, or make it a dead letter (default: %(default)s)",
    )
    command.add_argument(
        "--chunk_items",
        metavar="N",
        type=up_to(1_000_000),
        default=CHUNK_ITEMS,
        help="most items of one transaction (default: %(default)s)",
    )
    command.add_argument(
        "--chunk_bytes",
        metavar="N",
        type=up_to(256 << 20),
        default=CHUNK_BYTES,
        help="most bytes of one transaction (default: %(default)s)",
    )
    command.add_argument(
        "--split_items",
        metavar="N",
        type=up_to(1_000_000_000),
        default=SPLIT_ITEMS,
        help="a data file is cut for several workers into splits of at least N items (default: %(default)s)",
    )
    command.add_argument(
        "--most_splits",
        metavar="N",
        type=up_to(100),
        help="but into no more than N (default: the number of workers, at most 4); of all these sizes, those of a load's first run count",
    )
    add_dead_letters(command)


def _add_export_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers,
        "export",
        "ask DynamoDB for exports of tables to S3, all as of one time, wait for them, and print what migrate takes",
        "Exit codes: 0 all exports are done, or with --no_wait started; 2 refused, nothing was started; 1 failed or stopped, go on with "
        "--export_time.",
    )
    command.add_argument("table", metavar="TABLE", nargs="*", help="names or ARNs (default: the three of the mapping)")
    command.add_argument("--to", metavar="s3://BUCKET/PREFIX", required=True, help="where; each table gets a folder of its name below")
    command.add_argument(
        "--export_time",
        metavar="TIME",
        type=point_in_time,
        help="the time of which the tables are exported, as 2026-11-23T02:00:00Z, within their recovery windows (default: now, or that of "
        "exports of an earlier, interrupted run that are still in progress)",
    )
    command.add_argument("--kms_key", metavar="KEY", help="id or ARN of the KMS key to encrypt with (default: S3's own encryption)")
    command.add_argument("--wait", action="store_true", default=True, help="until all are done, some minutes to hours (the default)")
    command.add_argument("--no_wait", action="store_false", dest="wait", help="start them and end")
    add_aws(command)
    command.add_argument("--json", action="store_true", help="for other programs")
    command.set_defaults(run=commands.run_export)


def _add_inspect(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers,
        "inspect",
        "show what an export is and what its items look like, without their values; writes nothing, needs no database",
        "Exit codes: 0 nothing wrong was found; 1 a data file is not what its manifest says; 2 an export that cannot be read.",
    )
    add_export(command)
    add_aws(command)
    command.add_argument(
        "--sample",
        metavar="N",
        type=positive,
        default=10_000,
        help="items of each export to look at, from the beginnings of up to 20 data files (default: %(default)s)",
    )
    command.add_argument("--full", action="store_true", help="look at every item, and compare MD5 and count of every data file")
    command.add_argument(
        "--processes", metavar="N", type=positive, default=os.cpu_count() or 1, help="processes that --full takes (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="for other programs")
    command.set_defaults(run=commands.run_inspect)


def _add_check(command: argparse.ArgumentParser) -> None:
    add_export(command)
    add_aws(command)
    add_database(command)
    add_output(command)
    add_runner(command)
    command.add_argument(
        "--unmapped",
        choices=["notice", "reject"],
        help="as given to migrate; may be left out, for the ledger knows it",
    )
    command.add_argument("--json", action="store_true", help="for other programs")


def _add_validate(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers,
        "validate",
        "compare every item of the exports with its row, and every row with the items; then run the checks of validate_migration.sql",
        "Exit codes: 0 every row is as the export makes it; 3 there are differences, a SQL check failed, or a request was not "
        "answered as expected; 2 refused, nothing was compared; 1 stopped, or not all was compared: run it again.",
    )
    _add_check(command)
    command.add_argument("--repair", action="store_true", help="insert rows that are missing; never changes one that is there")
    command.add_argument(
        "--show_values", action="store_true", help="write the values of different columns into the mismatch files: they are patient data"
    )
    command.add_argument(
        "--requests",
        metavar="FILE",
        type=Path,
        help="requests of the application (TOML), sent when all is compared, whose answers must be as the file says; docs/validation.md",
    )
    command.add_argument(
        "--emit_sql",
        metavar="FILE",
        type=Path,
        help="compare nothing, but write validate_migration.sql with 20 rows of each table for its spot checks, to be run with psql: FILE "
        "must be new, and holds patient data",
    )
    command.set_defaults(run=check_commands.run_validate)


def _add_rollback(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers,
        "rollback",
        "delete exactly the rows that a load wrote and nobody changed since; without --yes only look",
        "Exit codes: 0 all rows of the load are gone, or without --yes would be; 3 some are left, and listed; 2 refused, nothing was "
        "deleted; 1 not at its end: run it again.",
    )
    _add_check(command)
    command.add_argument("--yes", action="store_true", help="do it")
    command.set_defaults(run=check_commands.run_rollback)


def _add_report(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers,
        "report",
        "make the page of a run again, from its report.json and its files; needs no database",
        "Exit codes: 0 the page is written; 2 refused; 1 it cannot be written.",
    )
    command.add_argument(
        "run_folder", metavar="RUN_FOLDER", type=folder_to_write, help="the folder of a run that came to its end, on disk or s3://"
    )
    command.add_argument(
        "--show_values",
        action="store_true",
        help="show the items as they are, in place of their shapes: the page then holds patient data, and says so",
    )
    command.add_argument(
        "--output",
        metavar="FILE",
        dest="page",
        type=file_to_write,
        help="a file on disk (default: report.html in the run's folder, with values report-with-values.html)",
    )
    add_output_key(command)
    add_aws(command)
    command.set_defaults(run=commands.run_report)


def _add_status(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(subparsers, "status", "show the loads that the ledger knows: progress, counts, state; reads only")
    add_database(command)
    command.add_argument("--json", action="store_true", help="for other programs")
    command.set_defaults(run=commands.run_status)


def _add_sample_export(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        subparsers, "sample-export", "write exports of the three tables as AWS writes them, with made-up content and the truth beside it"
    )
    command.add_argument("folder", type=Path, help="where; plays the part of the bucket's root")
    command.add_argument("--items", metavar="N", type=positive, default=20_000, help="items of each table (default: %(default)s)")
    command.add_argument(
        "--faulty", metavar="SHARE", type=float, default=0.005, help="share of items that must become dead letters (default: %(default)s)"
    )
    command.add_argument(
        "--odd", metavar="SHARE", type=float, default=0.02, help="share of items that are unusual, but rows (default: %(default)s)"
    )
    command.add_argument("--seed", metavar="N", type=int, default=1, help="another seed, another export (default: %(default)s)")
    command.add_argument(
        "--items_per_file", metavar="N", type=positive, default=10_000, help="items of one data file (default: %(default)s)"
    )
    command.add_argument(
        "--processes", metavar="N", type=positive, default=os.cpu_count() or 1, help="processes that write (default: %(default)s)"
    )
    command.set_defaults(run=commands.run_sample_export)
