"""What each command does with its parsed arguments. Beam takes a second to import, so only what needs it does."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from rich.console import Console

from pipeline.aws import AwsSettings
from pipeline.errors import Refused
from pipeline.export.chunks import MOST_SPLITS, ChunkSize, SplitSize
from pipeline.export.given import ExportArgument, read_given_exports
from pipeline.postgres import embedded, ledger
from pipeline.postgres.database_url import DatabaseReference, keep_given_url
from pipeline.postgres.session import Cursor, Session, why_not_connected
from pipeline.report import terminal
from pipeline.report.files import write_report
from pipeline.report.result import LoadStatus, TableResult
from pipeline.sample_export import write_sample_exports
from pipeline.storage import Storage, StorageFailed
from transforms.table import Unmapped
from transforms.tables import TABLES

if TYPE_CHECKING:
    from pipeline.migrate import MigrateOptions

_DEFAULT_DATABASE: Final = DatabaseReference("env:DATABASE_URL")


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    DEAD_LETTERS = 3


# -- migrate -------------------------------------------------------------------------------------------------------------------------------


def run_migrate(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/migrate.py`."""
    from pipeline.migrate import migrate  # noqa: PLC0415

    options, psql = _migrate_options(arguments, beam_arguments)
    run_folder, results = migrate(options, console)
    exit_code = _exit_code_of(results)
    terminal.print_summary(console, results)
    report = write_report(run_folder, exit_code, results)
    has_dead_letters = any(result.totals.dead_letters for result in results)
    console.print(f"dead letters   {run_folder / 'dead_letters'}" if has_dead_letters else "no dead letters")
    console.print(f"report         {report}")
    if psql:
        console.print(f"look at it     {psql}")
    return exit_code


def _migrate_options(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> tuple[MigrateOptions, str | None]:
    """What was asked for, and the psql command for an embedded database."""
    from pipeline.definitions import find_tables  # noqa: PLC0415
    from pipeline.engine import most_workers, unknown_arguments  # noqa: PLC0415
    from pipeline.migrate import MigrateOptions  # noqa: PLC0415

    _refuse_leftovers(unknown_arguments(beam_arguments))
    tables = find_tables(arguments.tables)
    exports = _export_arguments(arguments)
    database, psql = _find_database(arguments)
    options = MigrateOptions(
        exports=exports,
        database=database,
        output=arguments.output,
        tables=tables,
        unmapped=Unmapped(arguments.unmapped),
        chunk_size=ChunkSize(arguments.chunk_items, arguments.chunk_bytes),
        # Who has one of more splits than workers skips the others for nothing.
        split_size=SplitSize(arguments.split_items, arguments.most_splits or min(MOST_SPLITS, most_workers(beam_arguments) or MOST_SPLITS)),
        storage=Storage(_aws_settings(arguments)),
        beam_arguments=beam_arguments,
    )
    return options, psql


def _exit_code_of(results: Sequence[TableResult]) -> ExitCode:
    if not all(result.is_proved for result in results):
        return ExitCode.FAILED
    return ExitCode.DEAD_LETTERS if any(result.totals.dead_letters for result in results) else ExitCode.DONE


# -- preflight -----------------------------------------------------------------------------------------------------------------------------


def run_preflight(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/checks/preflight/`."""
    from pipeline.checks.preflight.report import make_report  # noqa: PLC0415
    from pipeline.checks.preflight.terminal import print_report  # noqa: PLC0415

    options, _ = _migrate_options(arguments, beam_arguments)
    report = make_report(options.preflight, arguments.sample, show_values=arguments.show_values)
    if arguments.json:
        _print_json(report)
    else:
        print_report(console, report)
    return ExitCode.DONE if report.is_ready else ExitCode.REFUSED


# -- export --------------------------------------------------------------------------------------------------------------------------------


def run_export(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/dynamodb/export_tables.py`."""
    from pipeline.dynamodb import ExportOptions, ExportsFailed, export_tables, split_target  # noqa: PLC0415

    _refuse_leftovers(beam_arguments)
    bucket, prefix = split_target(arguments.to)
    tables = arguments.table or [table.source for table in TABLES]
    options = ExportOptions(tuple(tables), bucket, prefix, arguments.export_time, arguments.wait, arguments.kms_key)
    if arguments.json:
        console = Console(stderr=True, highlight=False)
    try:
        exports = export_tables(options, _aws_settings(arguments), console)
    except ExportsFailed as failed:
        if arguments.json:
            _print_json(failed.exports)
        raise
    if arguments.json:
        _print_json(exports)
    return ExitCode.DONE


# -- inspect -------------------------------------------------------------------------------------------------------------------------------


def run_inspect(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/inspection/inspect_exports.py`."""
    from pipeline.inspection.inspect_exports import Depth, inspect_export  # noqa: PLC0415
    from pipeline.inspection.print_inspection import print_inspection  # noqa: PLC0415

    _refuse_leftovers(beam_arguments)
    storage = Storage(_aws_settings(arguments))
    given, problems = read_given_exports(_export_arguments(arguments), storage)
    inspections = []
    for one in given:
        try:
            inspections.append(inspect_export(one, Depth(arguments.sample, arguments.full, arguments.processes), storage))
        except StorageFailed as failed:
            problems.append(str(failed))
            continue
        if not arguments.json:
            print_inspection(console, inspections[-1])
    if arguments.json:
        _print_json(inspections)
    if problems:
        raise Refused(problems)
    return ExitCode.FAILED if any(inspection.problems for inspection in inspections) else ExitCode.DONE


# -- status --------------------------------------------------------------------------------------------------------------------------------


def run_status(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """Show what the ledger knows."""
    _refuse_leftovers(beam_arguments)
    database, _ = _find_database(arguments)
    sentence = why_not_connected(database)
    if sentence:
        raise Refused([sentence])
    with Session(database) as session:
        loads = session.transact(_read_loads)
    if arguments.json:
        _print_json(loads)
    elif loads:
        terminal.print_status(console, loads)
    else:
        console.print("no load was ever started in this database")
    return ExitCode.DONE


def _read_loads(cursor: Cursor) -> list[LoadStatus]:
    if not ledger.exists(cursor):
        return []
    return [
        LoadStatus(load, ledger.load_totals(cursor, load.load_id), *ledger.code_counts(cursor, load.load_id))
        for load in ledger.all_loads(cursor)
    ]


# -- sample-export -------------------------------------------------------------------------------------------------------------------------


def run_sample_export(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """Write sample exports and say where they are."""
    _refuse_leftovers(beam_arguments)
    try:
        exports = write_sample_exports(
            arguments.folder,
            items=arguments.items,
            faulty=arguments.faulty,
            odd=arguments.odd,
            seed=arguments.seed,
            items_per_file=arguments.items_per_file,
            processes=arguments.processes,
        )
    except (FileExistsError, ValueError) as error:
        raise Refused([str(error)]) from None
    for export in exports:
        console.print(f"{export.source_table}: {export.items:,} items in {export.data_files} data files, {export.folder}")
    console.print(f"the truth (what each item must become): {exports[0].truth.parent}")
    return ExitCode.DONE


# -- of several ---------------------------------------------------------------------------------------------------------------------------


def _print_json(facts: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(facts, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _export_arguments(arguments: argparse.Namespace) -> list[ExportArgument]:
    return [_export_argument(text) for text in arguments.export]


def _export_argument(text: str) -> ExportArgument:
    """`[NAME=]URI`; a folder that is there under the whole of it (`dt=2026/export`) is no name."""
    named = re.fullmatch(r"([A-Za-z0-9_.-]+)=(.+)", text)
    return ExportArgument(named[1], named[2]) if named and not Path(text).exists() else ExportArgument(None, text)


def _aws_settings(arguments: argparse.Namespace) -> AwsSettings:
    return AwsSettings(arguments.endpoint_url, arguments.aws_region, arguments.expected_bucket_owner)


def _refuse_leftovers(arguments: Sequence[str]) -> None:
    """By their names only: one that is misspelt may hold a password."""
    if arguments:
        names = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
        raise Refused([f"unknown arguments: {', '.join(names) or len(arguments)}; see --help"])


def _find_database(arguments: argparse.Namespace) -> tuple[DatabaseReference, str | None]:
    """The reference to the database, and the psql command for an embedded one."""
    given, secret = arguments.database, arguments.database_secret
    if given and secret:
        raise Refused(["--database and --database_secret name two databases; give one of them"])
    if given and given.startswith(embedded.PREFIX):
        return embedded.start(given.removeprefix(embedded.PREFIX))
    if given:
        return keep_given_url(given), None
    reference = DatabaseReference(secret) if secret else _DEFAULT_DATABASE
    reference.url()  # refuses here, not on a worker
    return reference, None
