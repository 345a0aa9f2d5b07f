"""Arguments that several commands take, and the types of their values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from pipeline.job.threshold import USUAL, Threshold, parse_threshold
from pipeline.places.storage import OutputFolder

EPILOG: Final = (
    "Exit codes: 0 everything is a row; 3 finished, with dead letters to review; 2 refused before anything was written; "
    "1 failed, resume by running it again."
)


def add_command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, epilog: str = EPILOG
) -> argparse.ArgumentParser:
    """A command, with what every command takes."""
    command = subparsers.add_parser(name, help=summary, description=summary, epilog=epilog, allow_abbrev=False)
    command.add_argument(
        "--log_level",
        metavar="LEVEL",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="log what Beam does, from LEVEL (INFO, DEBUG), without the values in its messages",
    )
    return command


def add_database(command: argparse.ArgumentParser) -> None:
    """Which database."""
    command.add_argument(
        "--database",
        metavar="URL",
        help="postgresql://..., or embedded:DIR for a PostgreSQL that comes with pip (default: the environment variable DATABASE_URL, "
        "which keeps the password out of the process list)",
    )
    command.add_argument(
        "--database_secret",
        metavar="REF",
        help="where the URL is, looked up by each worker and again when it was rotated: env:NAME, file:PATH, "
        "aws-secretsmanager:ARN_OR_NAME, or gcp-secretmanager:projects/P/secrets/S[/versions/V]; JSON as RDS has it will do for a URL",
    )


def add_export(command: argparse.ArgumentParser) -> None:
    """Which exports."""
    command.add_argument(
        "--export",
        metavar="[NAME=]URI",
        action="append",
        required=True,
        help="the folder of an export, on disk, s3:// or gs://, its manifest-summary.json, or a folder with exports below it; repeatable. "
        "NAME overrides the table's name; with it, a folder of data files without manifests will do, but its counts cannot be proved",
    )


def add_output(command: argparse.ArgumentParser) -> None:
    """Where a run writes, and whose tables it is about."""
    command.add_argument(
        "--output",
        metavar="DIR",
        type=folder_to_write,
        default=OutputFolder("ddb2pg-output"),
        help="where each run gets a folder, on disk, s3:// or gs:// (default: ./%(default)s)",
    )
    add_output_key(command)
    add_tables(command)


def add_output_key(command: argparse.ArgumentParser) -> None:
    """How what is written to S3 is encrypted."""
    command.add_argument(
        "--output_kms_key", metavar="KEY", help="id or ARN of the KMS key to encrypt an --output in S3 with (default: as the bucket says)"
    )


def add_runner(command: argparse.ArgumentParser) -> None:
    """Where the job runs, as far as Beam has no option for it."""
    group = command.add_argument_group(
        "where it runs",
        "Options of Beam are taken, too. On this machine: --direct_num_workers=N. On a Flink cluster: --runner=FlinkRunner "
        "--flink_master=HOST:PORT; parallelism, retries and workers are set unless they are given. On Dataflow: --runner=DataflowRunner "
        "--project --region --temp_location=gs://... --sdk_container_image --max_num_workers. See docs/engines.md.",
    )
    group.add_argument(
        "--shared_folders",
        action="store_true",
        help="folders of --export and --output are the same for workers on other machines, as on a network disk",
    )


def add_tables(command: argparse.ArgumentParser) -> None:
    """Whose tables it is about."""
    command.add_argument("--tables", metavar="FILE_OR_MODULE", help="your own table definitions: a .py file or a module with TABLES")


def file_to_write(text: str) -> Path:
    """On disk only."""
    if "://" in text:
        raise argparse.ArgumentTypeError("must be a file on disk")
    return Path(text)


def folder_to_write(text: str) -> OutputFolder:
    """On disk, in S3 or in Google Cloud Storage."""
    if "://" not in text:
        return OutputFolder(str(Path(text)))
    if re.fullmatch(r"(s3|gs)://[^/]+(/[^/]+)*/?", text):
        return OutputFolder(text.rstrip("/"))
    raise argparse.ArgumentTypeError("must be a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")


def add_dead_letters(command: argparse.ArgumentParser) -> None:
    """What becomes of items that do not become rows."""
    command.add_argument(
        "--dead_letter_format",
        choices=["jsonl", "parquet"],
        default="jsonl",
        help="the files of dead letters and notices: JSON Lines, compressed with gzip, or Parquet (default: %(default)s)",
    )
    command.add_argument(
        "--max_dead_letters",
        metavar="N|SHARE",
        type=_threshold,
        default=USUAL,
        help="stop when a table has more than N dead letters, or more than a share of its items, as 5%% or 0.05; what is committed stays "
        "(default: when more than half of 20,000 or more items are dead letters; 100%% is no limit)",
    )


def _threshold(text: str) -> Threshold:
    try:
        return parse_threshold(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_aws(command: argparse.ArgumentParser) -> None:
    """How AWS is reached."""
    command.add_argument("--endpoint_url", metavar="URL", help="another endpoint than AWS's (default: as AWS_ENDPOINT_URL says)")
    command.add_argument("--aws_region", metavar="REGION", help="AWS region (default: as AWS_REGION or the AWS configuration says)")
    command.add_argument(
        "--expected_bucket_owner", metavar="ACCOUNT", help="the AWS account that must own each bucket; another's bucket is refused"
    )


def point_in_time(text: str) -> datetime:
    """A time with its time zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time as 2026-11-23T02:00:00Z") from None
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError("must have a time zone; add Z for UTC")
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
