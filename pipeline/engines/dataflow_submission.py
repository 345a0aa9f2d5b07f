"""What a command checks, and makes ready, before its job goes to Dataflow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.engines.dataflow_options import option_problems, with_defaults
from pipeline.engines.submission import Submission, folder_problems, with_absolute_paths
from pipeline.errors import Refused
from pipeline.places import secrets


def made_ready(given: Submission, unknown: Sequence[str], *, has_shared_folders: bool, database: str | None) -> Submission:
    """The same as Dataflow's workers can use it. `database` is the reference that was given, None where none was.

    Raises `Refused` with all that cannot work there.
    """
    problems = [*_package_problems(), *option_problems(given.beam_arguments, unknown), *_database_problems(database)]
    if not has_shared_folders:
        problems += folder_problems(given, "on Dataflow")
    if problems:
        raise Refused(problems)
    return replace(with_absolute_paths(given), beam_arguments=with_defaults(given.beam_arguments))


def _package_problems() -> Iterator[str]:
    try:
        is_there = importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:  # not even a part of the name
        is_there = False
    if not is_there:
        yield "DataflowRunner needs packages of Google: pip install 'ddb2pg[gcp]'"


def _database_problems(database: str | None) -> Iterator[str]:
    if database is None or not secrets.is_of_a_service(database):
        yield (
            "the workers on Dataflow have neither this machine's environment nor its files, and no job holds a URL: give --database_secret="
            "gcp-secretmanager:projects/P/secrets/S (or aws-secretsmanager:...), which each worker looks up"
        )
