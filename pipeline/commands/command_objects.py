"""What commands make of their parsed arguments, and what they give back."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from pipeline.engines.arguments import Submission, option_names
from pipeline.errors import Refused
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder
from pipeline.source.given import ExportArgument
from pipeline.target import embedded
from pipeline.target.database_url import DatabaseReference, keep_given_url

_DEFAULT_DATABASE: Final = DatabaseReference("env:DATABASE_URL")


def print_json(facts: object) -> None:
    """For other programs."""
    sys.stdout.buffer.write(orjson.dumps(facts, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def export_arguments(arguments: argparse.Namespace) -> list[ExportArgument]:
    """Of `add_export`."""
    return [_export_argument(text) for text in arguments.export]


def _export_argument(text: str) -> ExportArgument:
    """`[NAME=]URI`; a folder that is there under the whole of it (`dt=2026/export`) is no name."""
    named = re.fullmatch(r"([A-Za-z0-9_.-]+)=(.+)", text)
    return ExportArgument(named[1], named[2]) if named and not Path(text).exists() else ExportArgument(None, text)


def aws_settings(arguments: argparse.Namespace) -> AwsSettings:
    """Of `add_aws`."""
    return AwsSettings(arguments.endpoint_url, arguments.aws_region, arguments.expected_bucket_owner)


def output_folder(arguments: argparse.Namespace) -> OutputFolder:
    """Of `add_output`, reached as `add_aws` says."""
    return reached_folder(arguments, arguments.output)


def reached_folder(arguments: argparse.Namespace, folder: OutputFolder) -> OutputFolder:
    """A folder to write into, reached and encrypted as the arguments say."""
    if not folder.is_in_s3:
        if arguments.output_kms_key:
            raise Refused(["--output_kms_key is for an --output in S3; elsewhere ddb2pg encrypts nothing itself"])
        return folder
    return replace(folder, aws=aws_settings(arguments), kms_key=arguments.output_kms_key)


def submission_of(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> Submission:
    """Of `add_export`, `add_output` and `add_runner`: what the job's workers read, where they write, and Beam's options."""
    from pipeline.engines.runners import ready_to_run  # noqa: PLC0415

    given = Submission(beam_arguments, export_arguments(arguments), output_folder(arguments))
    submission = ready_to_run(
        given,
        has_shared_folders=arguments.shared_folders,
        database=arguments.database_secret,
        is_url_given=bool(arguments.database),
    )
    for warning in submission.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return submission


def refuse_leftovers(arguments: Sequence[str]) -> None:
    """By their names only: one that is misspelt may hold a password."""
    if arguments:
        raise Refused([f"unknown arguments: {', '.join(option_names(arguments)) or len(arguments)}; see --help"])


def find_database(arguments: argparse.Namespace) -> tuple[DatabaseReference, str | None]:
    """The reference to the database, and the psql command for an embedded one."""
    given, secret = arguments.database, arguments.database_secret
    if given and secret:
        raise Refused(["--database and --database_secret name two databases; give one of them"])
    if given and given.startswith(embedded.PREFIX):
        return embedded.start(given.removeprefix(embedded.PREFIX))
    if given:
        return keep_given_url(given), None
    reference = DatabaseReference(secret, getattr(arguments, "aws_region", None)) if secret else _DEFAULT_DATABASE
    reference.url()  # refuses here, not on a worker
    return reference, None
