"""`ddb2pg dead-letters replay`: its arguments, and what it does with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from pipeline.commands.arguments import add_aws, add_command, add_database, add_output
from pipeline.commands.command_objects import aws_settings, find_database, output_folder, refuse_leftovers
from pipeline.console import PlainConsole
from pipeline.errors import Refused
from pipeline.outcome.report import end_run
from pipeline.outcome.terminal import print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.places.storage import Storage
from pipeline.records.kinds import RecordFormat
from pipeline.records.reading import find_dead_letters
from pipeline.target.session import why_not_connected


def add_replay_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Beside the other commands of the group."""
    command = add_command(
        commands,
        "replay",
        "bring dead letters in, after the table definition or a copy of their file was mended; each exactly once",
        "Exit codes: 0 all of them are rows; 3 some are refused again, and are in the new run's folder; 2 refused, nothing was written; "
        "1 stopped: run it again.",
    )
    command.add_argument(
        "folder", metavar="FOLDER_OR_RUN", help="the folder of a run, a folder of dead letters, one file, or the id of a run below --output"
    )
    add_database(command)
    add_output(command)
    command.add_argument(
        "--dead_letter_format",
        type=RecordFormat,
        choices=list(RecordFormat),
        default=RecordFormat.JSONL,
        help="of the files of what is refused again (default: %(default)s)",
    )
    add_aws(command)
    command.add_argument("--json", action="store_true", help="for other programs")
    command.set_defaults(run=run_replay)


def run_replay(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `replay.py`."""
    from pipeline.commands.definitions import find_tables  # noqa: PLC0415 - it imports Beam
    from pipeline.commands.replay import ReplayOptions, replay  # noqa: PLC0415

    refuse_leftovers(beam_arguments)
    if arguments.json:
        console = PlainConsole(stderr=True)
    storage = Storage(aws_settings(arguments))
    files = find_dead_letters(arguments.folder, str(arguments.output), storage)
    tables = find_tables(arguments.tables)
    database, _ = find_database(arguments)
    sentence = why_not_connected(database)
    if sentence:
        raise Refused([sentence])
    if not files.is_whole_run:
        console.print("warning: the run did not come to its end, so these may not be all of its dead letters", style="bold yellow")
    run_folder, run = replay(ReplayOptions(files, storage, database, output_folder(arguments), tables, arguments.dead_letter_format))
    for outcome in run.outcomes:
        print_outcome(console, outcome, run.command)
    return end_run(console, run_folder, run, as_json=arguments.json)
