"""Beam's options for a job on Dataflow, where none were given, and what is wrong with those that were."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.engines.beam_arguments import given_values, is_given

MACHINE_TYPE: Final = ("machine_type", "worker_machine_type")
THREADS: Final = "number_of_worker_harness_threads"
TEMPLATE: Final = "template_location"
"""What the launcher of a flex template gives: the job is written there, and Google starts it when the launcher has ended."""

_USUAL_MACHINE_TYPE: Final = "e2-standard-2"
_IMAGE: Final = "sdk_container_image"
_CODE: Final = (_IMAGE, "setup_file", "extra_package", "extra_packages")
_NEEDED: Final = {
    "project": "the project that runs and pays for the job",
    "region": "where its machines are; take the one of the database",
    "temp_location": "gs://BUCKET/PREFIX, a folder for the job's own files",
}
# The service shows options in its console and logs, and keeps them with the job.
_SECRET: Final = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|passw(or)?d\s*[=:]|secret_?access_?key|\b(AKIA|ASIA)[0-9A-Z]{12,}|PRIVATE KEY", re.IGNORECASE
)


def with_defaults(arguments: Sequence[str]) -> list[str]:
    """The arguments, and those that a job needs beside them; what was given stands."""
    return [*arguments, *(f"--{name}={value}" for name, value in _defaults(arguments))]


def _defaults(arguments: Sequence[str]) -> Iterator[tuple[str, object]]:
    if is_given(arguments, _IMAGE) and not is_given(arguments, "sdk_location"):
        # What the image holds is what runs: nothing is staged and nothing installed when a worker starts.
        yield "sdk_location", "container"
    if not is_given(arguments, THREADS):
        # Each thread has a connection, and Python runs one at a time. Dataflow's own number is 12.
        yield THREADS, 1
    if "disable_logging_submission_environment" not in experiments(arguments):
        # Beam stages a list of what is installed here, with the URLs that it came from.
        yield "experiments", "disable_logging_submission_environment"
    if not any(is_given(arguments, name) for name in MACHINE_TYPE):
        # Dataflow's own choice depends on the job, and with it the number of processes.
        yield MACHINE_TYPE[0], _USUAL_MACHINE_TYPE


def option_problems(arguments: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    """What cannot be, each with what to do. `unknown` are the names that neither ddb2pg nor Beam knows."""
    missing = [f"--{name} ({meaning})" for name, meaning in _NEEDED.items() if not is_given(arguments, name)]
    if missing:
        yield f"a job on Dataflow needs {', '.join(missing)}"
    if not any(is_given(arguments, name) for name in _CODE):
        yield "the workers need ddb2pg: give --sdk_container_image, the image of deploy/dataflow/Dockerfile in your registry"
    if unknown and not is_given(arguments, TEMPLATE):  # a template's parameters were checked, and its launcher adds its own
        yield f"unknown arguments: {', '.join(unknown)}; Dataflow would show and keep them; see --help"
    telling = sorted({name for name, value in _values(arguments) if _SECRET.search(value)})
    if telling:
        yield (
            f"{', '.join(telling)}: looks like it holds a secret, and Dataflow shows and keeps the options of its jobs; give "
            "--database_secret for the database, and a role or a mounted secret for the rest (deploy/dataflow/README.md)"
        )
    if is_given(arguments, "streaming"):
        yield "--streaming: a load has an end; leave it out"
    if any("no_wait_until_finish" in argument for argument in arguments):
        yield "--no_wait_until_finish: give --no_wait, which knows what is still to be proved"


def _values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument with the option that it belongs to."""
    option = ""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.startswith("--"):
            option = name
            yield option, value
        else:
            yield option, argument


def experiments(arguments: Sequence[str]) -> set[str]:
    """All that were given."""
    return {one for value in given_values(arguments, "experiments", "experiment") for one in value.split(",")}
