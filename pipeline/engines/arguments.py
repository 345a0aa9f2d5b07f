"""What a command hands to a runner: Beam's options as they stand on the command line, and what the job reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline.places.storage import OutputFolder
from pipeline.source.given import ExportArgument

# -- Beam's options, before Beam reads them ------------------------------------------------------------------------------------------------


def is_given(arguments: Sequence[str], *names: str) -> bool:
    """Whether one of these options is among arguments, in either spelling."""
    return any(argument.startswith("--") and argument.partition("=")[0].removeprefix("--") in names for argument in arguments)


def given_values(arguments: Sequence[str], *names: str) -> list[str]:
    """The values of an option that has these names, in their order: `--name=value` or `--name value`."""
    values = []
    for place, argument in enumerate(arguments):
        if is_given([argument], *names):
            _, equals, value = argument.partition("=")
            values.append(value if equals else "".join(arguments[place + 1 : place + 2]))
    return values


def given_number(arguments: Sequence[str], *names: str) -> int | None:
    """The value of an option that is a number, the last if there are several; None where it is not given."""
    numbers = [int(text) for text in given_values(arguments, *names) if text.isascii() and text.isdigit()]
    return numbers[-1] if numbers else None


def option_names(arguments: Sequence[str]) -> list[str]:
    """The names of the options, without values, which may be secrets."""
    return [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]


# -- what a job reads and writes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job reads and writes, and its options."""

    beam_arguments: Sequence[str]
    exports: Sequence[ExportArgument]
    output: OutputFolder
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WorkerLimit:
    """The option of a runner that lowers its number of workers."""

    option: str = "direct_num_workers"
    each: int = 1
    """Connections that one more of it brings."""
    is_needed: bool = False
    """Whether the runner takes as many as it likes without it."""


USUAL_LIMIT: Final = WorkerLimit()


def folder_problems(given: Submission, where: str) -> Iterator[str]:
    """Folders of this machine, which workers elsewhere do not see."""
    elsewhere = (
        f"the workers {where} run on other machines; give s3://... or gs://..., or --shared_folders if they have the same folder there"
    )
    for export in given.exports:
        if _is_local(export.uri):
            yield f"--export {export.uri} is a folder of this machine, and {elsewhere}"
    if given.output.is_local:
        yield f"--output {given.output} is a folder of this machine, and {elsewhere}"


def with_absolute_paths(given: Submission) -> Submission:
    """The same for workers with another working folder."""
    exports = [replace(export, uri=str(Path(export.uri).absolute())) if _is_local(export.uri) else export for export in given.exports]
    return replace(given, exports=exports, output=given.output.absolute())


def _is_local(uri: str) -> bool:
    return "://" not in uri
