"""The options of each command: one object for each command, made from its arguments and passed whole to its readers.

A field declared with `option` is an option of the command line, or with `positional` an argument; there is no other place for it. Commands
have options in common by inheritance: a class is a group of options, and each command's class is made of groups.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline import embedded
from pipeline.definitions.find import find_tables
from pipeline.engines.arguments import Submission, WorkerLimit, option_names
from pipeline.engines.runners import most_workers, planned_workers, ready_to_run, unknown_arguments, worker_limit
from pipeline.errors import Refused, meant
from pipeline.ledger.loads import Validated
from pipeline.ledger.threshold import USUAL, Threshold, parse_threshold
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder, Storage
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import CHUNK_BYTES, CHUNK_ITEMS, MOST_SPLITS, SPLIT_ITEMS, ChunkSize, SplitSize
from pipeline.source.given import ExportArgument
from pipeline.source.windows import LONGEST, SHORTEST
from pipeline.target.database_url import DatabaseReference, keep_given_url
from pipeline.target.fates import Conflicts
from transforms.lines import View
from transforms.table import Table, Unmapped

_DEFAULT_DATABASE: Final = DatabaseReference("env:DATABASE_URL")
AnyOptions = TypeVar("AnyOptions", bound="Options")
AnyJobOptions = TypeVar("AnyJobOptions", bound="JobOptions")


# -- what an option is ---------------------------------------------------------------------------------------------------------------------


def option(flag: str, help_text: str, *, default: Any = None, **settings: Any) -> Any:
    """A field that is an option; `settings` as `ArgumentParser.add_argument` takes them."""
    return field(default=default, metadata={"flags": [flag], "settings": {"help": help_text, "default": default, **settings}})


def switch(flag: str, help_text: str) -> Any:
    """A field that is true where the option is given."""
    return option(flag, help_text, default=False, action="store_true")


def positional(name: str, help_text: str, **settings: Any) -> Any:
    """A field that is an argument without a name."""
    return field(default=None, metadata={"flags": [], "settings": {"metavar": name, "help": help_text, **settings}})


def add_options(parser: argparse.ArgumentParser, kind: type[Options]) -> None:
    """Let a parser take the options of a class."""
    for option_field in fields(kind):
        if "settings" in option_field.metadata:
            flags, settings = option_field.metadata["flags"], dict(option_field.metadata["settings"])
            if flags:
                settings["dest"] = option_field.name
            group = settings.pop("group", None)
            _group_of(parser, group).add_argument(*(flags or [option_field.name]), **settings)


def _group_of(parser: argparse.ArgumentParser, title: tuple[str, str] | None) -> argparse._ActionsContainer:
    return parser.add_argument_group(*title) if title else parser


def make_options(kind: type[AnyOptions], arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> AnyOptions:
    """The options of a class, of what its parser made of a command line; `beam_arguments` are those that it did not know."""
    given: dict[str, Any] = {"beam_arguments": tuple(beam_arguments)}
    for option_field in fields(kind):
        if "settings" in option_field.metadata:
            value = getattr(arguments, option_field.name)
            given[option_field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**given)


def flags_of(kind: type[Options]) -> list[str]:
    """The options of a class, as they are typed."""
    return [flag for option_field in fields(kind) for flag in option_field.metadata.get("flags", ())]


def refuse_unknown(arguments: Sequence[str], kind: type[Options]) -> None:
    """Raise `Refused` if there are any, naming them and what was probably meant.

    Not the value of a misspelt option, which may be a password.
    """
    names = []
    is_value = False
    for argument in arguments:
        if argument.startswith("-"):
            name, equals, _ = argument.partition("=")
            names.append(f"{name}{meant(name, flags_of(kind))}")
            is_value = not equals
        else:
            if not is_value:
                names.append(argument if "://" not in argument else "a URL")
            is_value = False
    if arguments:
        raise Refused([f"unknown argument {name}; see --help" if name[-1] != "?" else f"unknown argument {name}" for name in names])


# -- values --------------------------------------------------------------------------------------------------------------------------------


def export_argument(text: str) -> ExportArgument:
    """`[NAME=]URI`; a folder that is there under the whole of it (`dt=2026/export`) is no name."""
    named = re.fullmatch(r"([A-Za-z0-9_.-]+)=(.+)", text)
    return ExportArgument(named[1], named[2]) if named and not Path(text).exists() else ExportArgument(None, text)


def folder_to_write(text: str) -> OutputFolder:
    """On disk, in S3 or in Google Cloud Storage."""
    if "://" in text and not re.fullmatch(r"(s3|gs)://[^/]+(/[^/]+)*/?", text):
        raise argparse.ArgumentTypeError("must be a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    return OutputFolder(text.rstrip("/") if "://" in text else text)


def file_to_write(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError("must be a file on disk")
    return Path(text)


def python_file_to_write(text: str) -> Path:
    path = file_to_write(text)
    if path.suffix != ".py":
        raise argparse.ArgumentTypeError("must end in .py: it is a definition in Python")
    return path


def point_in_time(text: str) -> datetime:
    """A time with its time zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time as 2026-11-23T02:00:00Z") from None
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError("must have a time zone: add Z if it is in UTC, or else as +02:00")
    return time


def up_to(most: int) -> Callable[[str], int]:
    """A number from 1 to `most`."""

    def bounded(text: str) -> int:
        number = positive(text)
        if number > most:
            message = f"must be at most {most}"
            raise argparse.ArgumentTypeError(message)
        return number

    return bounded


def positive(text: str) -> int:
    """A number from 1."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return number


def _window_minutes(text: str) -> int:
    minutes = positive(text)
    if not SHORTEST <= timedelta(minutes=minutes) <= LONGEST:
        raise argparse.ArgumentTypeError("must be 15 to 1440: DynamoDB exports no other windows")
    return minutes


def _threshold(text: str) -> Threshold:
    try:
        return parse_threshold(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _choice(kind: type[Enum]) -> dict[str, Any]:
    """The settings of an option that takes the values of an enum, which are text."""
    values = [member.value for member in kind]

    def member_of(text: str) -> Enum:
        if text not in values:
            message = f"invalid choice: {text!r} (choose from {', '.join(values)})"
            raise argparse.ArgumentTypeError(message)
        return kind(text)

    return {"type": member_of, "choices": list(kind), "metavar": f"{{{','.join(values)}}}"}


# -- groups of options ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes."""

    log_level: str | None = option(
        "--log_level",
        "log Beam's messages of LEVEL (INFO, DEBUG) and above, without the values in them",
        metavar="LEVEL",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
    )
    json: bool = switch("--json", "print the result as JSON, for other programs")
    quiet: bool = switch("--quiet", "print only what failed, and how it ended")
    beam_arguments: tuple[str, ...] = ()
    """What this command does not know; it is for Beam where a job is run."""


@dataclass(frozen=True, kw_only=True)
class AwsOptions(Options):
    endpoint_url: str | None = option("--endpoint_url", "an endpoint to use in place of AWS's (default: AWS_ENDPOINT_URL)", metavar="URL")
    aws_region: str | None = option("--aws_region", "AWS region (default: from AWS_REGION or the AWS configuration)", metavar="REGION")
    expected_bucket_owner: str | None = option(
        "--expected_bucket_owner", "the AWS account that must own each bucket; a bucket of another account is refused", metavar="ACCOUNT"
    )

    @property
    def aws(self) -> AwsSettings:
        return AwsSettings(self.endpoint_url, self.aws_region, self.expected_bucket_owner)

    @property
    def storage(self) -> Storage:
        return Storage(self.aws)


@dataclass(frozen=True, kw_only=True)
class ExportsOptions(AwsOptions):
    """Which exports."""

    exports: tuple[ExportArgument, ...] = option(
        "--export",
        "the folder of an export (on disk, s3:// or gs://), its manifest-summary.json, or a folder with exports below it; repeatable. NAME "
        "overrides the table's name. With NAME, the folder may hold data files without manifests, but then nothing proves that they are "
        "all of the table",
        metavar="[NAME=]URI",
        action="append",
        required=True,
        type=export_argument,
    )


@dataclass(frozen=True, kw_only=True)
class DatabaseOptions(Options):
    """Which database."""

    database_url: str | None = option(
        "--database",
        "postgresql://..., or embedded:DIR for a PostgreSQL that comes with pip (default: the environment variable DATABASE_URL, which "
        "keeps the password out of the process list)",
        metavar="URL",
    )
    database_secret: str | None = option(
        "--database_secret",
        "where the URL is kept: env:NAME, file:PATH, aws-secretsmanager:ARN_OR_NAME, or "
        "gcp-secretmanager:projects/P/secrets/S[/versions/V]. Each worker looks it up, and again after it was rotated. The JSON of an RDS "
        "secret will do in place of a URL",
        metavar="REF",
    )

    @property
    def database(self) -> DatabaseReference:
        """The reference to the database; an embedded one is started. Raises `Refused`."""
        return self._found_database[0]

    @property
    def psql(self) -> str | None:
        """The command to look at an embedded database."""
        return self._found_database[1]

    @cached_property
    def _found_database(self) -> tuple[DatabaseReference, str | None]:
        given, secret = self.database_url, self.database_secret
        if given and secret:
            raise Refused(["--database and --database_secret name two databases; give one of them"])
        if given and given.startswith(embedded.PREFIX):
            return embedded.start(given.removeprefix(embedded.PREFIX))
        if given:
            return keep_given_url(given), None
        reference = DatabaseReference(secret, getattr(self, "aws_region", None)) if secret else _DEFAULT_DATABASE
        reference.url()  # refuses here, not on a worker
        return reference, None


@dataclass(frozen=True, kw_only=True)
class TablesOptions(Options):
    """Whose tables it is about."""

    tables_from: str | None = option(
        "--tables", "your own table definitions: a .py or .toml file, or a module with TABLES", metavar="FILE_OR_MODULE"
    )

    @cached_property
    def tables(self) -> Sequence[Table]:
        """The tables in the order in which they are moved. Raises `Refused`."""
        return find_tables(self.tables_from)


DEFAULT_OUTPUT: Final = OutputFolder("ddb2pg-output")


@dataclass(frozen=True, kw_only=True)
class OutputOptions(TablesOptions, AwsOptions):
    """Where a run writes."""

    output_given: OutputFolder = option(
        "--output",
        "where each run makes a folder of its own: on disk, s3:// or gs:// (default: ./%(default)s)",
        metavar="DIR",
        type=folder_to_write,
        default=DEFAULT_OUTPUT,
    )
    output_kms_key: str | None = option(
        "--output_kms_key", "id or ARN of the KMS key to encrypt an --output in S3 with (default: the bucket's own setting)", metavar="KEY"
    )

    @property
    def output(self) -> OutputFolder:
        """Reached and encrypted as the options say. Raises `Refused`."""
        return reached(self.output_given, self.aws, self.output_kms_key)


def reached(folder: OutputFolder, aws: AwsSettings, kms_key: str | None) -> OutputFolder:
    """A folder to write into with the settings of its place. Raises `Refused`."""
    if folder.is_in_s3:
        return replace(folder, aws=aws, kms_key=kms_key)
    if kms_key:
        raise Refused(["--output_kms_key is for an --output in S3; elsewhere ddb2pg encrypts nothing itself"])
    return folder


_WHERE_IT_RUNS: Final = (
    "where it runs",
    "Beam's options are accepted, too. On this machine: --direct_num_workers=N. On a Flink cluster: --runner=FlinkRunner "
    "--flink_master=HOST:PORT; parallelism, retries and workers are set unless they are given. On Dataflow: --runner=DataflowRunner "
    "--project --region --temp_location=gs://... --sdk_container_image --max_num_workers. See docs/engines.md.",
)


@dataclass(frozen=True, kw_only=True)
class JobOptions(OutputOptions, DatabaseOptions, ExportsOptions):
    """Of a command that runs a job over exports."""

    shared_folders: bool = option(
        "--shared_folders",
        "workers on other machines find the folders of --export and --output under the same paths, as on a network disk",
        default=False,
        action="store_true",
        group=_WHERE_IT_RUNS,
    )

    def ready(self: AnyJobOptions) -> AnyJobOptions:
        """The same as the runner's workers can use it; says what is worth a warning. Raises `Refused` with all that they could not use."""
        refuse_unknown(unknown_arguments(self.beam_arguments), type(self))
        submission = ready_to_run(
            Submission(self.beam_arguments, self.exports, self.output_given),
            has_shared_folders=self.shared_folders,
            database=self.database_secret,
            is_url_given=bool(self.database_url),
        )
        for warning in submission.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        return replace(
            self,
            beam_arguments=tuple(submission.beam_arguments),
            exports=tuple(submission.exports),
            output_given=submission.output,
        )

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {
            "exports": [export.uri for export in self.exports],
            "output": str(self.output_given),
            "beam_options": option_names(self.beam_arguments),
        }


class AskFilters(StrEnum):
    """What `--ask_filters` takes."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class FilterOptions(JobOptions):
    """Of commands for which it matters whether an export is whole."""

    ask_filters: AskFilters = option(
        "--ask_filters",
        "ask DynamoDB whether an export was made with a filter (dynamodb:DescribeExport): only of exports in S3 (auto), always, or never; "
        "what these credentials may not ask stays unknown (default: %(default)s)",
        default=AskFilters.AUTO,
        **_choice(AskFilters),
    )


@dataclass(frozen=True, kw_only=True)
class LoadOptions(FilterOptions):
    """Of migrate and preflight."""

    unmapped: Unmapped = option(
        "--unmapped",
        "an item with an attribute that no column takes: load it with a notice, or make it a dead letter (default: %(default)s)",
        default=Unmapped.NOTICE,
        **_choice(Unmapped),
    )
    chunk_items: int = option(
        "--chunk_items", "most items of one transaction (default: %(default)s)", default=CHUNK_ITEMS, metavar="N", type=up_to(1_000_000)
    )
    chunk_bytes: int = option(
        "--chunk_bytes", "most bytes of one transaction (default: %(default)s)", default=CHUNK_BYTES, metavar="N", type=up_to(256 << 20)
    )
    split_items: int = option(
        "--split_items",
        "a data file is cut for several workers into splits of at least N items (default: %(default)s)",
        default=SPLIT_ITEMS,
        metavar="N",
        type=up_to(1_000_000_000),
    )
    most_splits: int | None = option(
        "--most_splits",
        "the most splits of one data file (default: the number of workers, at most 4). A load keeps the sizes of chunks and splits that "
        "its first run had",
        metavar="N",
        type=up_to(100),
    )
    dead_letter_format: RecordFormat = option(
        "--dead_letter_format",
        "the files of dead letters and notices: JSON Lines, compressed with gzip, or Parquet (default: %(default)s)",
        default=RecordFormat.JSONL,
        **_choice(RecordFormat),
    )
    threshold: Threshold = option(
        "--max_dead_letters",
        "stop when a table has more than N dead letters, or more than a share of its items, as 5%% or 0.05; what is committed stays "
        "(default: when more than half of 20,000 or more items are dead letters; 100%% is no limit)",
        default=USUAL,
        metavar="N|SHARE",
        type=_threshold,
    )

    @property
    def chunk_size(self) -> ChunkSize:
        return ChunkSize(self.chunk_items, self.chunk_bytes)

    @property
    def split_size(self) -> SplitSize:
        """No more splits than workers: each further split costs reading and skipping the ones before it."""
        return SplitSize(self.split_items, self.most_splits or min(MOST_SPLITS, most_workers(self.beam_arguments) or MOST_SPLITS))

    @property
    def limit(self) -> WorkerLimit:
        """The option that lowers the number of workers."""
        return worker_limit(self.beam_arguments)

    def workers(self, items: int, splits: int) -> int | None:
        """How many so many items in so many splits get; None where only the runner knows."""
        return planned_workers(self.beam_arguments, items, splits)

    @property
    def settings(self) -> dict[str, object]:
        return {
            **super().settings,
            "unmapped": self.unmapped,
            "chunk_items": self.chunk_items,
            "chunk_bytes": self.chunk_bytes,
            "split_items": self.split_size.items,
            "most_splits": self.split_size.most,
            "dead_letter_format": self.dead_letter_format,
            "max_dead_letters": str(self.threshold),
        }


class HowThorough(StrEnum):
    """What `migrate --validate` takes."""

    FULL = "full"
    QUICK = "quick"
    NONE = "none"


# -- commands ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MigrateOptions(LoadOptions):
    validate: HowThorough = option(
        "--validate",
        "what must be equal to a table's export before the next table is begun: every row (full), the number of rows and the content of "
        "some 2,000 (quick), or nothing (default: %(default)s)",
        default=HowThorough.QUICK,
        **_choice(HowThorough),
    )
    conflicts: Conflicts = option(
        "--conflicts",
        "a window's record of a row that somebody else wrote or changed: stop with nothing of its chunk written, keep the row and list the "
        "record with the dead letters, or overwrite the row (default: %(default)s)",
        default=Conflicts.STOP,
        **_choice(Conflicts),
    )
    no_wait: bool = switch(
        "--no_wait",
        "on Dataflow: prove what earlier jobs loaded, send the job of the next table, and end (exit code 0); a template's launcher "
        "always does so",
    )

    @property
    def gate(self) -> Validated | None:
        """How thoroughly a table that is loaded is held against its export."""
        return None if self.validate is HowThorough.NONE else Validated(self.validate)

    @property
    def settings(self) -> dict[str, object]:
        return {**super().settings, "validate": self.validate, "conflicts": self.conflicts}


@dataclass(frozen=True, kw_only=True)
class PreflightCommandOptions(LoadOptions):
    sample: int = option(
        "--sample", "show the first N items of each table beside the rows they would become", default=0, metavar="N", type=positive
    )
    show_values: bool = switch("--show_values", "show the sample's values, which are patient data, instead of their shapes")
    details: Path | None = option(
        "--details",
        "with --sample, write every item beside its row, into FILE, which must not be there yet",
        metavar="FILE",
        type=Path,
    )


@dataclass(frozen=True, kw_only=True)
class CheckOptions(JobOptions):
    """Of commands that look at what was loaded."""

    unmapped: Unmapped | None = option(
        "--unmapped", "as it was given to migrate; may be left out, because the ledger has it", **_choice(Unmapped)
    )


@dataclass(frozen=True, kw_only=True)
class ValidateOptions(CheckOptions, FilterOptions):
    as_of: bool = switch(
        "--as_of",
        "compare with a fresh full export, as of the time at which what is applied ends, whatever way the rows came: the proof before a "
        "cut-over (docs/validation.md)",
    )
    repair: bool = switch("--repair", "insert rows that are missing; never changes one that is there")
    show_values: bool = switch("--show_values", "write the values of columns that differ into the mismatch files; they are patient data")
    requests: Path | None = option(
        "--requests",
        "a TOML file of requests of the application, sent after the comparison, and of the answers that they must get (docs/validation.md)",
        metavar="FILE",
        type=Path,
    )
    emit_sql: Path | None = option(
        "--emit_sql",
        "compare nothing; write validate_migration.sql, with 20 rows of each table for its spot checks, to be run with psql. FILE must not "
        "be there yet, and will hold patient data",
        metavar="FILE",
        type=Path,
    )

    @property
    def settings(self) -> dict[str, object]:
        requests = str(self.requests) if self.requests else "none"
        return {
            **super().settings,
            "as_of": self.as_of,
            "repair": self.repair,
            "show_values": self.show_values,
            "requests": requests,
        }


@dataclass(frozen=True, kw_only=True)
class RollbackOptions(CheckOptions):
    yes: bool = switch("--yes", "delete the rows; without it nothing is deleted")

    @property
    def settings(self) -> dict[str, object]:
        return {**super().settings, "yes": self.yes}


_FOLDER_OR_RUN: Final = (
    "the folder of a run, a folder of dead letters, one file, or the id of a run below --output (default: the last run there that has dead "
    "letters)"
)


@dataclass(frozen=True, kw_only=True)
class DeadLettersOptions(OutputOptions):
    """Of commands about the dead letters of a run."""

    folder: str | None = positional("FOLDER_OR_RUN", _FOLDER_OR_RUN, nargs="?")


@dataclass(frozen=True, kw_only=True)
class ShowOptions(DeadLettersOptions):
    table: str | None = option("--table", "only those of this DynamoDB table", metavar="NAME")
    code: str | None = option("--code", "only those with this code, such as invalid_uuid", metavar="CODE")
    attribute: str | None = option(
        "--attribute",
        "only those with an error in this attribute, or inside it; with --code, that error must have the code",
        metavar="PATH",
    )
    limit: int = option("--limit", "how many to show at most (default: %(default)s)", default=10, metavar="N", type=positive)
    show_values: bool = switch("--show_values", "show values, which are patient data, instead of their shapes")


@dataclass(frozen=True, kw_only=True)
class ReplayOptions(DeadLettersOptions, DatabaseOptions):
    dead_letter_format: RecordFormat = option(
        "--dead_letter_format",
        "the form of the files of what is refused again (default: %(default)s)",
        default=RecordFormat.JSONL,
        **_choice(RecordFormat),
    )

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {"output": str(self.output_given), "dead_letter_format": self.dead_letter_format}


@dataclass(frozen=True, kw_only=True)
class RequestOptions(AwsOptions):
    """Of commands that ask DynamoDB for exports."""

    to: str = option("--to", "where to export to; each table gets a folder of its name there", metavar="s3://BUCKET/PREFIX", required=True)
    kms_key: str | None = option("--kms_key", "id or ARN of the KMS key to encrypt with (default: S3's own encryption)", metavar="KEY")


@dataclass(frozen=True, kw_only=True)
class NextChangesOptions(RequestOptions, MigrateOptions):
    """Of commands that get a table's next changes themselves, and apply them."""

    table: tuple[str, ...] = positional("TABLE", "names (default: all of the definitions that are loaded in this database)", nargs="*")
    stream: bool = switch(
        "--stream", "follow the tables' streams, from the end of the windows on: changes are applied within seconds, and no window follows"
    )
    to: str = option(
        "--to", "where to export windows to; each table gets a folder of its name there", metavar="s3://BUCKET/PREFIX", default=""
    )
    view: View | None = option(
        "--view",
        "whether changes hold the item from before as well (default: as the windows before, or NEW_AND_OLD_IMAGES)",
        **_choice(View),
    )
    exports: tuple[ExportArgument, ...] = ()
    """The windows of one cycle; no option, because DynamoDB is asked for them."""
    no_wait: bool = False
    """No option: a window must be proved before the next."""

    @property
    def settings(self) -> dict[str, object]:
        return {**super().settings, "to": self.to, "stream": self.stream}


@dataclass(frozen=True, kw_only=True)
class FollowOptions(NextChangesOptions):
    once: bool = switch(
        "--once", "for a timer: apply the windows that are available or exported already, or what is in the streams now, and end"
    )
    every: int = option(
        "--every",
        "the least length of a window, 15 to 1440; each is an export of its own, which AWS bills as 10 MB at least (default: %(default)s)",
        default=15,
        metavar="MINUTES",
        type=_window_minutes,
    )

    @property
    def settings(self) -> dict[str, object]:
        return {**super().settings, "every": self.every, "once": self.once}


@dataclass(frozen=True, kw_only=True)
class CutoverOptions(NextChangesOptions):
    check: bool = switch("--check", "only check whether all is ready, and write nothing")
    stopped_at: datetime | None = option(
        "--stopped_at",
        "when the last program stopped writing to DynamoDB: export and apply the last window, and see that nothing was written after that",
        metavar="TIME",
        type=point_in_time,
    )
    stream: bool = switch(
        "--stream", "in place of a last window: follow the streams, say when to stop the writes, and see that nothing is left in them"
    )
    heartbeat: bool = switch(
        "--heartbeat",
        "with --stream: write items of our own into the tables until each shard has shown one, and delete them again. Without it, that a "
        "shard has nothing left is taken from its being asked several times, which is the weaker proof",
    )
    quiet_seconds: int = option(
        "--quiet_seconds",
        "with --stream: the writes have stopped when nothing came for so long (default: %(default)s)",
        default=3,
        metavar="N",
        type=up_to(3600),
    )
    stop_within: int = option(
        "--stop_within",
        "with --stream: wait for that so long, in seconds (default: %(default)s)",
        default=600,
        metavar="N",
        type=up_to(86_400),
    )
    compare: int = option(
        "--compare",
        "with --stream: how many items of each table that were touched last are compared with DynamoDB (default: %(default)s)",
        default=1000,
        metavar="N",
        type=up_to(10_000),
    )
    to: str = option("--to", "with --stopped_at: where windows are exported to, as with follow", metavar="s3://BUCKET/PREFIX", default="")

    @property
    def settings(self) -> dict[str, object]:
        return {**super().settings, "stopped_at": str(self.stopped_at), "heartbeat": self.heartbeat}


@dataclass(frozen=True, kw_only=True)
class ExportCommandOptions(RequestOptions, DatabaseOptions):
    table: tuple[str, ...] = positional("TABLE", "names or ARNs (default: the three MedZen tables)", nargs="*")
    export_time: datetime | None = option(
        "--export_time",
        "the point in time of the exports, as 2026-11-23T02:00:00Z, within their recovery windows (default: now, or that of "
        "exports of an earlier, interrupted run that are still in progress)",
        metavar="TIME",
        type=point_in_time,
    )
    incremental: bool = switch(
        "--incremental",
        "export what has changed: the next windows, from the end of what is applied, which the database's ledger knows, to 2 minutes "
        "before now; of 15 minutes to 24 hours each",
    )
    begin: datetime | None = option(
        "--from",
        "with --incremental: where the windows begin, a whole second (default: at the end of what is applied; migrate takes no other)",
        metavar="TIME",
        type=point_in_time,
    )
    until: datetime | None = option(
        "--until", "with --incremental: where they end, a whole second (default: 2 minutes before now)", metavar="TIME", type=point_in_time
    )
    view: View | None = option(
        "--view",
        "with --incremental: whether changes hold the item from before as well (default: as the windows before, or NEW_AND_OLD_IMAGES)",
        **_choice(View),
    )
    wait: bool = switch("--wait", "wait until all are done, which takes minutes to hours (the default)")
    no_wait: bool = switch("--no_wait", "start the exports, and end")


@dataclass(frozen=True, kw_only=True)
class InspectOptions(ExportsOptions):
    sample: int = option(
        "--sample",
        "how many items of each export to look at, from the beginnings of up to 20 data files (default: %(default)s)",
        default=10_000,
        metavar="N",
        type=positive,
    )
    full: bool = switch("--full", "look at every item, and compare MD5 and count of every data file")
    details: Path | None = option(
        "--details",
        "write all that is known of each attribute and its members, into FILE, which must not be there yet",
        metavar="FILE",
        type=Path,
    )
    processes: int = option(
        "--processes", "how many processes --full uses (default: %(default)s)", default=os.cpu_count() or 1, metavar="N", type=positive
    )


@dataclass(frozen=True, kw_only=True)
class CheckDefinitionOptions(Options):
    file: str = positional("FILE_OR_MODULE", "a .py or .toml file, or a module with TABLES")


@dataclass(frozen=True, kw_only=True)
class DraftOptions(ExportsOptions):
    output: Path | None = option(
        "--output",
        "the definition, a new file; its CREATE TABLE gets the same name with .sql (default: the DynamoDB table's name with .py)",
        metavar="FILE",
        type=python_file_to_write,
    )
    target: str | None = option(
        "--target",
        "the table in PostgreSQL, NAME or SCHEMA.NAME; of a single-table design the beginning of each table's name (default: the DynamoDB "
        "table's name in snake case, in the schema public)",
        metavar="NAME",
    )
    enum_values: bool = switch("--enum_values", "where an attribute has few values, list them in the definition: they are content of items")
    supabase: bool = switch(
        "--supabase", "write the SQL as a migration, with row security on, into supabase/migrations in the folder of --output"
    )
    processes: int = option(
        "--processes", "processes that read (default: %(default)s)", default=os.cpu_count() or 1, metavar="N", type=positive
    )


@dataclass(frozen=True, kw_only=True)
class ReportOptions(AwsOptions):
    given: OutputFolder | None = positional(
        "FOLDER_OR_RUN",
        "the folder of a run that finished, on disk or s3://, or its id below ./ddb2pg-output (default: the last run there)",
        type=folder_to_write,
        nargs="?",
    )
    show_values: bool = switch(
        "--show_values", "show the items' values instead of their shapes; the page then holds patient data, and says so"
    )
    page: Path | None = option(
        "--output",
        "a file on disk (default: report.html in the run's folder, with values report-with-values.html)",
        metavar="FILE",
        type=file_to_write,
    )
    output_kms_key: str | None = option(
        "--output_kms_key",
        "id or ARN of the KMS key to encrypt what is written to S3 with (default: the bucket's own setting)",
        metavar="KEY",
    )

    @property
    def folder(self) -> OutputFolder | None:
        """Reached and encrypted as the options say; None is the last run. Raises `Refused`."""
        return reached(self.given, self.aws, self.output_kms_key) if self.given else None


@dataclass(frozen=True, kw_only=True)
class StatusOptions(DatabaseOptions):
    pass


@dataclass(frozen=True, kw_only=True)
class SampleExportOptions(Options):
    folder: Path = positional("FOLDER", "where to write them; it stands for the root of a bucket", type=Path)
    tables_from: str | None = option(
        "--tables", "for your own table definitions: a .py or .toml file, or a module with TABLES", metavar="FILE_OR_MODULE"
    )
    items: int = option("--items", "items of each table (default: %(default)s)", default=20_000, metavar="N", type=positive)
    faulty: float = option(
        "--faulty", "share of items that must become dead letters (default: %(default)s)", default=0.005, metavar="SHARE", type=float
    )
    odd: float = option(
        "--odd", "share of items that are unusual, but become rows (default: %(default)s)", default=0.02, metavar="SHARE", type=float
    )
    seed: int = option("--seed", "each number gives another export (default: %(default)s)", default=1, metavar="N", type=int)
    items_per_file: int = option(
        "--items_per_file", "items of one data file (default: %(default)s)", default=10_000, metavar="N", type=positive
    )
    processes: int = option(
        "--processes", "how many processes write (default: %(default)s)", default=os.cpu_count() or 1, metavar="N", type=positive
    )
    windows: int | None = option(
        "--windows", "a full export and so many incremental ones after it, with the truth after each", metavar="N", type=positive
    )
    view: str = option(
        "--view",
        "with --windows: what the incremental exports hold (default: %(default)s)",
        default=View.NEW_AND_OLD_IMAGES.value,
        choices=[view.value for view in View],
    )
    fresh: Path | None = option(
        "--fresh_export",
        "with --windows: where to write full exports of the end of the last windows, to be compared by validate --as_of; another folder, "
        "because migrate takes one full export of a table",
        metavar="FOLDER",
        type=Path,
    )
    changes: int | None = option(
        "--changes", "with --windows: changes of each window and table (default: a tenth of the items)", metavar="N", type=positive
    )
