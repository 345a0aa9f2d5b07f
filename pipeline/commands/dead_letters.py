"""`ddb2pg dead-letters`: the group of commands, their arguments, and what each does with them."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Collection, Mapping, Sequence

import orjson
from rich.console import Console

from pipeline.commands.arguments import add_aws, add_command, add_tables, positive
from pipeline.commands.command_objects import aws_settings, print_json, refuse_leftovers
from pipeline.outcome.verdict import ExitCode
from pipeline.places.storage import Storage
from pipeline.records.mask import named_paths
from pipeline.records.reading import DeadLetterFiles, find_dead_letters, read_dead_letters
from pipeline.records.summary import Filter, Names, print_dead_letter, print_summary, record_to_json, summarise
from transforms.table import Table
from transforms.tables.medzen import TABLES

_EPILOG = "Exit codes: 0 done; 2 there are no such files, or they cannot be read."


def add_dead_letters_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """The group, beside the other commands; returns it, for more of its kind."""
    sentence = "look at the dead letters of a run, and bring them in after their cause was mended"
    group = subparsers.add_parser("dead-letters", help=sentence, description=sentence, allow_abbrev=False)
    commands = group.add_subparsers(dest="dead_letters_command", metavar="COMMAND", required=True)
    summary = add_command(commands, "summary", "what was refused and why, by table, code and attribute; shows no value of an item", _EPILOG)
    _add_place(summary)
    summary.set_defaults(run=run_summary)
    show = add_command(commands, "show", "single dead letters, with the attributes at fault marked; values are masked", _EPILOG)
    _add_place(show)
    show.add_argument("--table", metavar="NAME", help="of this DynamoDB table only")
    show.add_argument("--code", metavar="CODE", help="with this code, such as invalid_uuid")
    show.add_argument(
        "--attribute", metavar="PATH", help="with an error in this attribute, or inside it; the code given must be of that error"
    )
    show.add_argument("--limit", metavar="N", type=positive, default=10, help="most of them to show (default: %(default)s)")
    show.add_argument("--show_values", action="store_true", help="show values, patient data, in place of their shapes")
    show.set_defaults(run=run_show)
    return commands


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", metavar="FOLDER_OR_RUN", help="the folder of a run, a folder of dead letters, one file, or the id of a run below --output"
    )
    command.add_argument("--output", metavar="DIR", default="ddb2pg-output", help="where the runs are (default: ./%(default)s)")
    add_tables(command)
    add_aws(command)
    command.add_argument("--json", action="store_true", help="for other programs")


def run_summary(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `summary.py`."""
    refuse_leftovers(beam_arguments)
    storage, files = _find(arguments)
    tables = summarise(read_dead_letters(files.uris, storage), _named_paths(arguments))
    if arguments.json:
        print_json(tables)
    else:
        print_summary(console, tables)
    return ExitCode.DONE


def run_show(arguments: argparse.Namespace, beam_arguments: Sequence[str], console: Console) -> ExitCode:
    """See `show.py`."""
    refuse_leftovers(beam_arguments)
    storage, files = _find(arguments)
    wanted = Filter(arguments.table, arguments.code, arguments.attribute)
    named = _named_paths(arguments)
    found = filter(wanted.takes, read_dead_letters(files.uris, storage))
    is_any = False
    for record in itertools.islice(found, arguments.limit):
        is_any = True
        names = Names(named.get(record["source_table"], ()), arguments.show_values)
        if arguments.json:
            sys.stdout.buffer.write(orjson.dumps(record_to_json(record, names), option=orjson.OPT_APPEND_NEWLINE))
        else:
            print_dead_letter(console, record, names)
    if not is_any and not arguments.json:
        console.print("no dead letter is such")
    return ExitCode.DONE


def _find(arguments: argparse.Namespace) -> tuple[Storage, DeadLetterFiles]:
    storage = Storage(aws_settings(arguments))
    files = find_dead_letters(arguments.folder, arguments.output, storage)
    if not files.is_whole_run:
        sys.stderr.write(f"ddb2pg: {arguments.folder}: the run did not come to its end, so this may not be all; run its command again\n")
    return storage, files


def _named_paths(arguments: argparse.Namespace) -> Mapping[str, Collection[str]]:
    tables: Sequence[Table] = TABLES
    if arguments.tables is not None:
        from pipeline.commands.definitions import find_tables  # noqa: PLC0415 - it imports Beam

        tables = find_tables(arguments.tables)
    return {table.source: named_paths(table) for table in tables}
