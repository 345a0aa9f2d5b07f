"""What each command does with its parsed arguments. Beam takes a second to import, so only what needs it does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console

from pipeline.commands.command_objects import (
    aws_settings,
    export_arguments,
    find_database,
    print_json,
    reached_folder,
    refuse_leftovers,
    submission_of,
)
from pipeline.console import PlainConsole
from pipeline.errors import Refused
from pipeline.job.equation import outcome_so_far
from pipeline.ledger.loads import Load, Validated, all_loads, ledger_exists, refuse_other_version
from pipeline.outcome.outcome import Outcome
from pipeline.outcome.report import end_run, rewrite_page, table_to_json
from pipeline.outcome.terminal import print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import MOST_SPLITS, ChunkSize, SplitSize
from pipeline.source.given import read_given_exports
from pipeline.target.session import Cursor, Session, why_not_connected
from transforms.table import Unmapped
from transforms.tables.medzen import TABLES

if TYPE_CHECKING:
    from pipeline.commands.migrate import MigrateOptions

# -- migrate -------------------------------------------------------------------------------------------------------------------------------


def run_migrate(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/commands/migrate.py`."""
    from pipeline.commands.migrate import migrate  # noqa: PLC0415

    options, psql = _migrate_options(arguments, beam_arguments)
    if _is_launch(arguments, beam_arguments):
        return _run_launch(options, console)
    exit_code = end_run(console, *migrate(options, console))
    if psql:
        console.print(f"look at it     {psql}")
    return exit_code


def _migrate_options(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> tuple[MigrateOptions, str | None]:
    """What was asked for, and the psql command for an embedded database."""
    from pipeline.commands.definitions import find_tables  # noqa: PLC0415
    from pipeline.commands.migrate import MigrateOptions  # noqa: PLC0415
    from pipeline.engines.runners import most_workers, unknown_arguments  # noqa: PLC0415

    refuse_leftovers(unknown_arguments(beam_arguments))
    tables = find_tables(arguments.tables)
    submission = submission_of(arguments, beam_arguments)
    beam_arguments = submission.beam_arguments
    database, psql = find_database(arguments)
    options = MigrateOptions(
        exports=submission.exports,
        database=database,
        output=submission.output,
        tables=tables,
        unmapped=Unmapped(arguments.unmapped),
        chunk_size=ChunkSize(arguments.chunk_items, arguments.chunk_bytes),
        # Who has one of more splits than workers skips the others for nothing.
        split_size=SplitSize(arguments.split_items, arguments.most_splits or min(MOST_SPLITS, most_workers(beam_arguments) or MOST_SPLITS)),
        storage=Storage(aws_settings(arguments)),
        dead_letter_format=RecordFormat(arguments.dead_letter_format),
        threshold=arguments.max_dead_letters,
        beam_arguments=beam_arguments,
        gate=None if arguments.validate == "none" else Validated(arguments.validate),
    )
    return options, psql


def _is_launch(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> bool:
    """Whether nobody waits for jobs. Raises `Refused` where that cannot be."""
    from pipeline.engines.runners import is_dataflow, is_left_alone  # noqa: PLC0415

    if not (arguments.no_wait or is_left_alone(beam_arguments)):
        return False
    problems = []
    if not is_dataflow(beam_arguments):
        problems.append("--no_wait is for --runner=DataflowRunner: other runners' jobs are waited for here")
    if arguments.validate == "full":
        problems.append("--validate=full is a job that must be waited for; give quick or none here, and run ddb2pg validate afterwards")
    if problems:
        raise Refused(problems)
    return True


def _run_launch(options: MigrateOptions, console: Console) -> ExitCode:
    """See `pipeline/commands/launch.py`."""
    from pipeline.commands.launch import launch  # noqa: PLC0415
    from pipeline.engines.runners import is_left_alone  # noqa: PLC0415

    launched = launch(options, console)
    if launched.sent is not None:
        _print_sent(console, launched.sent, launched.job.whereabouts() if launched.job else "", launched.left)
        return ExitCode.DONE
    if not all(outcome.may_go_on for outcome in launched.outcomes):
        return ExitCode.FAILED
    if is_left_alone(options.beam_arguments):
        # The launcher of a template fails without a job, so it may as well say why.
        raise Refused([f"no job is left to be sent: {_CONCLUDE}"])
    console.print(f"no job is left to be sent: {_CONCLUDE}")
    return ExitCode.DONE


_CONCLUDE: Final = (
    "every table is loaded; to prove it all and to have the report, give the same command without --no_wait in a place that waits "
    "(--runner may be left out: only what has dead letters or notices is read again)"
)


def _print_sent(console: Console, table: str, whereabouts: str, left: Sequence[str]) -> None:
    """The job of a table, which nobody waits for."""
    console.print(f"{table}: sent; {whereabouts}")
    following = f"sends the next table (left: {', '.join(left)})" if left else "says what is left to do"
    console.print(f"when it has ended, give the same command again: it proves this table and {following}")


# -- preflight -----------------------------------------------------------------------------------------------------------------------------


def run_preflight(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/preflight/`."""
    from pipeline.preflight.check import make_report  # noqa: PLC0415
    from pipeline.preflight.terminal import print_report  # noqa: PLC0415

    options, _ = _migrate_options(arguments, beam_arguments)
    report = make_report(options, arguments.sample, show_values=arguments.show_values)
    if arguments.json:
        print_json(report)
    else:
        print_report(console, report)
    return ExitCode.DONE if report.is_ready else ExitCode.REFUSED


# -- export --------------------------------------------------------------------------------------------------------------------------------


def run_export(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/source/ask_dynamodb.py`."""
    from pipeline.source.ask_dynamodb import ExportsFailed, export_tables  # noqa: PLC0415
    from pipeline.source.export_plan import ExportOptions, split_target  # noqa: PLC0415

    refuse_leftovers(beam_arguments)
    bucket, prefix = split_target(arguments.to)
    tables = arguments.table or [table.source for table in TABLES]
    options = ExportOptions(tuple(tables), bucket, prefix, arguments.export_time, arguments.wait, arguments.kms_key)
    if arguments.json:
        console = PlainConsole(stderr=True)
    try:
        exports = export_tables(options, aws_settings(arguments), console)
    except ExportsFailed as failed:
        if arguments.json:
            print_json(failed.exports)
        raise
    if arguments.json:
        print_json(exports)
    return ExitCode.DONE


# -- inspect -------------------------------------------------------------------------------------------------------------------------------


def run_inspect(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/inspection/inspect_exports.py`."""
    from pipeline.inspection.inspect_exports import Depth, inspect_export  # noqa: PLC0415
    from pipeline.inspection.terminal import print_inspection  # noqa: PLC0415

    refuse_leftovers(beam_arguments)
    storage = Storage(aws_settings(arguments))
    given, problems = read_given_exports(export_arguments(arguments), storage)
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
        print_json(inspections)
    if problems:
        raise Refused(problems)
    return ExitCode.FAILED if any(inspection.problems for inspection in inspections) else ExitCode.DONE


# -- status --------------------------------------------------------------------------------------------------------------------------------


def run_status(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """Show what the ledger knows."""
    refuse_leftovers(beam_arguments)
    database, _ = find_database(arguments)
    sentence = why_not_connected(database)
    if sentence:
        raise Refused([sentence])
    with Session(database) as session:
        loads = session.transact(_read_loads)
    if arguments.json:
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


# -- report --------------------------------------------------------------------------------------------------------------------------------


def run_report(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/outcome/report.py`."""
    refuse_leftovers(beam_arguments)
    page = rewrite_page(reached_folder(arguments, arguments.run_folder), arguments.page, show_values=arguments.show_values)
    console.print(f"page           {page}")
    return ExitCode.DONE


# -- sample-export -------------------------------------------------------------------------------------------------------------------------


def run_sample_export(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """Write sample exports and say where they are."""
    from sample_export import write_sample_exports  # noqa: PLC0415

    refuse_leftovers(beam_arguments)
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
