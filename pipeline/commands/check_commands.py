"""What the commands that check a load do with their parsed arguments: validate and rollback."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from pipeline.commands.command_objects import ExitCode, aws_settings, find_database, print_json, refuse_leftovers, submission_of
from pipeline.console import PlainConsole
from pipeline.errors import Refused
from pipeline.job.begun_loads import CheckOptions
from pipeline.outcome import check_terminal
from pipeline.outcome.files import print_report, write_report
from pipeline.places import Storage
from pipeline.records.kinds import RecordKind
from transforms.table import Unmapped

# -- validate ------------------------------------------------------------------------------------------------------------------------------


def run_validate(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/commands/validate.py`."""
    from pipeline.commands.validate import ValidateOptions, emit_script, validate  # noqa: PLC0415

    if arguments.json:
        console = PlainConsole(stderr=True)
    options = ValidateOptions(_check_options(arguments, beam_arguments), arguments.repair, arguments.show_values, arguments.requests)
    if arguments.emit_sql:
        if arguments.repair or arguments.show_values or arguments.requests:
            raise Refused(["--emit_sql writes a script and compares nothing; leave out --repair, --show_values and --requests"])
        check_terminal.print_emitted(console, arguments.emit_sql, emit_script(options.check, arguments.emit_sql))
        return ExitCode.DONE
    validated = validate(options, console)
    results, requests = validated.tables, validated.requests
    if not all(result.is_whole for result in results):
        exit_code = ExitCode.FAILED
    else:
        is_all_well = (
            all(result.is_equal for result in results)
            and not any(check.is_failed for check in validated.checks)
            and all(request.is_as_expected for request in requests or ())
        )
        exit_code = ExitCode.DONE if is_all_well else ExitCode.DIFFERENCES
    check_terminal.print_validation_summary(console, results)
    check_terminal.print_sql_checks(console, validated.checks)
    write_report(validated.run_folder, exit_code, results, validated.facts, checks=validated.checks, requests=requests)
    console.print(
        f"mismatches     {validated.run_folder / RecordKind.MISMATCHES}"
        if any(result.mismatches for result in results)
        else "no mismatches"
    )
    print_report(console, validated.run_folder)
    if arguments.json:
        print_json(results if requests is None else {"tables": results, "requests": requests})
    return exit_code


# -- rollback ------------------------------------------------------------------------------------------------------------------------------


def run_rollback(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/commands/rollback.py`."""
    from pipeline.commands.rollback import RollbackOptions, roll_back  # noqa: PLC0415

    if arguments.json:
        console = PlainConsole(stderr=True)
    options = RollbackOptions(_check_options(arguments, beam_arguments), is_dry=not arguments.yes)
    run_folder, results, facts = roll_back(options, console)
    if any(result.problems for result in results):
        exit_code = ExitCode.FAILED
    else:
        exit_code = ExitCode.DIFFERENCES if any(result.kept for result in results) else ExitCode.DONE
    write_report(run_folder, exit_code, results, facts)
    console.print(
        f"discrepancies  {run_folder / RecordKind.DISCREPANCIES}" if any(result.kept for result in results) else "no discrepancies"
    )
    print_report(console, run_folder)
    if all(result.is_finished for result in results):
        console.print("all of it is rolled back: there is nothing left to do")
    elif not arguments.yes:
        console.print("nothing was deleted: the same command with --yes does it", style="bold yellow")
    if arguments.json:
        print_json(results)
    return exit_code


# -- of both -------------------------------------------------------------------------------------------------------------------------------


def _check_options(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> CheckOptions:
    from pipeline.commands.definitions import find_tables  # noqa: PLC0415
    from pipeline.engines.runners import unknown_arguments  # noqa: PLC0415

    refuse_leftovers(unknown_arguments(beam_arguments))
    tables = find_tables(arguments.tables)
    submission = submission_of(arguments, beam_arguments)
    database, _ = find_database(arguments)
    return CheckOptions(
        exports=submission.exports,
        database=database,
        output=submission.output,
        tables=tables,
        unmapped=arguments.unmapped and Unmapped(arguments.unmapped),
        storage=Storage(aws_settings(arguments)),
        beam_arguments=submission.beam_arguments,
    )
