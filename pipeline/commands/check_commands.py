"""What the commands that check a load do with their parsed arguments: validate and rollback."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.commands.command_objects import aws_settings, find_database, refuse_leftovers, submission_of
from pipeline.console import PlainConsole
from pipeline.errors import Refused
from pipeline.job.begun_loads import CheckOptions
from pipeline.outcome.report import end_run
from pipeline.outcome.verdict import ExitCode
from pipeline.places.storage import Storage
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
        _print_emitted(console, arguments.emit_sql, emit_script(options.check, arguments.emit_sql))
        return ExitCode.DONE
    return end_run(console, *validate(options, console), as_json=arguments.json)


def _print_emitted(console: Console, path: Path, rows: int) -> None:
    """Where the script is, and what it is."""
    console.print(f"checks         {path}")
    console.print(
        f"  IT HOLDS PATIENT DATA: the values of {rows:,} rows; only you can read it, delete it when it has been run", style="bold yellow"
    )
    console.print(f'run it         psql "$DATABASE_URL" -q -f {shlex.quote(str(path))}')


# -- rollback ------------------------------------------------------------------------------------------------------------------------------


def run_rollback(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `pipeline/commands/rollback.py`."""
    from pipeline.commands.rollback import RollbackOptions, roll_back  # noqa: PLC0415

    if arguments.json:
        console = PlainConsole(stderr=True)
    options = RollbackOptions(_check_options(arguments, beam_arguments), is_dry=not arguments.yes)
    return end_run(console, *roll_back(options, console), as_json=arguments.json)


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
