"""The commands: for each its options, and what runs it."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NoReturn

from rich.console import Console

from pipeline import __version__
from pipeline.engines.ending import RESUME
from pipeline.errors import meant
from pipeline.options import (
    CheckDefinitionOptions,
    CutoverOptions,
    DeadLettersOptions,
    DraftOptions,
    ExportCommandOptions,
    FollowOptions,
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
    flags_of,
)
from pipeline.outcome.outcome import Run
from pipeline.outcome.verdict import EXIT_CODES, exit_codes_of


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    """As it is typed: `migrate`, `dead-letters show`."""
    summary: str
    example: str
    """The arguments of a usual call."""
    options: type[Options]
    function: str
    """In this folder, as `FILE.FUNCTION`: a command does not wait for what others import."""
    writes: bool = False
    """Whether it can be interrupted half-way, and resumed."""
    has_progress: bool = False
    """Whether it says on its way how far it is; with `--json` to standard error."""

    @property
    def run(self) -> Callable[[Any, Console], Run]:
        """Takes the options of that class. Raises `Refused`, `Stopped`, `StorageFailed`."""
        file, _, function = self.function.partition(".")
        run: Callable[[Any, Console], Run] = getattr(import_module(f"pipeline.commands.{file}"), function)
        return run


COMMANDS: Final = (
    # In the order of work.
    Command(
        "export",
        "ask DynamoDB for exports of tables to S3, all as of one time, or of what has changed since; wait for them, and print what migrate "
        "takes",
        "Orders --to s3://BUCKET/PREFIX",
        ExportCommandOptions,
        "exports.export",
        has_progress=True,
    ),
    Command(
        "inspect",
        "show what an export is and what its items look like, without their values; writes nothing, needs no database",
        "--export s3://BUCKET/PREFIX",
        InspectOptions,
        "exports.inspect",
    ),
    Command(
        "draft",
        "propose a table for an export: a definition with comments, and its CREATE TABLE, from all of its items; needs no database",
        "--export s3://BUCKET/PREFIX --output orders.py",
        DraftOptions,
        "draft.draft",
    ),
    Command(
        "check-definition",
        "say all that is wrong with your own table definitions, and what each column becomes; needs no export and no database",
        "orders.py",
        CheckDefinitionOptions,
        "reading.check_definition",
    ),
    Command(
        "preflight",
        "check all that migrate would, and more: exports, database, targets, rights, connections; writes nothing",
        "--export s3://BUCKET/PREFIX",
        PreflightCommandOptions,
        "reading.preflight",
    ),
    Command(
        "migrate",
        "check, load and prove; the same command resumes a broken load and does nothing to a finished one",
        "--export s3://BUCKET/PREFIX",
        MigrateOptions,
        "migrate.migrate",
        writes=True,
        has_progress=True,
    ),
    Command(
        "follow",
        "ask DynamoDB for the changes since what is applied, window after window, and apply each as migrate does; with --stream "
        "what comes after the windows, within seconds; ends when it is told to",
        "--to s3://BUCKET/PREFIX --once",
        FollowOptions,
        "follow.follow",
        writes=True,
        has_progress=True,
    ),
    Command(
        "cutover",
        "check whether all is ready for the switch to PostgreSQL; and once the writes are stopped, apply the last window and prove it",
        "--check",
        CutoverOptions,
        "cutover.cutover",
        writes=True,
        has_progress=True,
    ),
    Command(
        "status",
        "show the loads that the ledger knows: progress, counts, state; reads only",
        "",
        StatusOptions,
        "reading.status",
    ),
    Command(
        "validate",
        "compare every item of the exports with its row, and every row with the items; then run the checks of validate_migration.sql",
        "--export s3://BUCKET/PREFIX",
        ValidateOptions,
        "validate.validate",
        has_progress=True,
    ),
    Command(
        "dead-letters summary",
        "what was refused and why, by table, code and attribute; shows no value of an item",
        "RUN",
        DeadLettersOptions,
        "dead_letters.summary",
    ),
    Command(
        "dead-letters show",
        "single dead letters, with the attributes at fault marked; values are masked",
        "RUN --code invalid_uuid",
        ShowOptions,
        "dead_letters.show",
    ),
    Command(
        "dead-letters replay",
        "load dead letters again, after the table definition or a copy of their file was fixed; each exactly once",
        "RUN",
        ReplayOptions,
        "dead_letters.replay",
        writes=True,
        has_progress=True,
    ),
    Command(
        "report",
        "make the page of a run again, from its report.json and its files; needs no database",
        "ddb2pg-output/RUN",
        ReportOptions,
        "reading.report",
    ),
    Command(
        "rollback",
        "delete exactly the rows that a load wrote and nobody changed since, or take its last window back; without --yes only look",
        "--export s3://BUCKET/PREFIX --yes",
        RollbackOptions,
        "rollback.rollback",
        writes=True,
        has_progress=True,
    ),
    Command(
        "sample-export",
        "write exports of the three tables as AWS writes them, with made-up content and the truth beside it",
        "sample",
        SampleExportOptions,
        "exports.sample_export",
    ),
)

_GROUPS: Final = {"dead-letters": "look at the dead letters of a run, and load them again after their cause was fixed"}


_MISSING: Final = "the following arguments are required"


class _Parser(argparse.ArgumentParser):
    """Says which command or option was probably meant."""

    _typed: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        self._typed = [] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        found = re.fullmatch(r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL)
        if found:
            known = re.findall(r"[\w-]+", found[2])
            near = meant(found[1], known)
            message = f"there is no command {found[1]}{near or '; there are ' + ', '.join(known)}"
        elif message.startswith(_MISSING):
            message = "; ".join([message, *self._misspelt()])
        super().error(message)

    def _misspelt(self) -> list[str]:
        """What a required option was probably misspelt as."""
        known = [flag for action in self._actions for flag in action.option_strings]
        unknown = [argument.partition("=")[0] for argument in self._typed if argument.startswith("--")]
        return [f"unknown argument {flag}{near}" for flag in unknown if flag not in known and (near := meant(flag, known))]


class _Help(argparse.HelpFormatter):
    """Wraps each line of a description or an epilog for itself, so that an example can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = []
        for line in text.splitlines():
            hanging = "      " if line.startswith("  ") else ""
            lines += textwrap.wrap(line, width, initial_indent=indent, subsequent_indent=f"{indent}{hanging}") or [""]
        return "\n".join(lines)


def _epilog(command: Command) -> str:
    codes = "\n".join(f"  {code:<4}{' / '.join(meanings)}" for code, meanings in exit_codes_of(command.name).items())
    resume = f"\n\n{RESUME.capitalize()}." if command.writes else ""
    return f"example:\n  ddb2pg {command.name} {command.example}".rstrip() + f"\n\nexit codes:\n{codes}{resume}"


def _examples() -> str:
    """Of every command in the order of work, then what the exit codes mean."""
    examples = "\n".join(f"  ddb2pg {command.name} {command.example}".rstrip() for command in COMMANDS)
    codes = "\n".join(f"  {code:<4}{words}" for code, words in EXIT_CODES.items())
    return f"examples, in the order of work:\n{examples}\n\nexit codes (those of one command: ddb2pg COMMAND --help):\n{codes}"


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Our options as they are declared, also where they were typed with hyphens: `--dead-letter-format`."""
    flags = {flag for command in COMMANDS for flag in flags_of(command.options)}

    def declared(argument: str) -> str:
        name, equals, value = argument.partition("=")
        flag = f"--{name[2:].replace('-', '_')}"
        return f"{flag}{equals}{value}" if name.startswith("--") and flag in flags else argument

    return [declared(argument) for argument in arguments]


def make_parser() -> argparse.ArgumentParser:
    """What `cli.py` parses a command line with; it sets `command`, one of `COMMANDS`, and the options of that command."""
    parser = _Parser(
        prog="ddb2pg",
        description="Moves DynamoDB tables, from their exports to S3, into PostgreSQL, and proves that nothing was lost.",
        epilog=_examples(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
            name,
            help=command.summary,
            description=command.summary,
            epilog=_epilog(command),
            formatter_class=_Help,
            allow_abbrev=False,
        )
        add_options(subparser, command.options)
        subparser.set_defaults(command=command)
    return parser
