"""What a command hands to workers on other machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from pipeline.places.output import OutputFolder
from pipeline.source.given import ExportArgument


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
"""On this machine."""


class RemoteJob(Protocol):
    """A job that goes on without us."""

    @property
    def name(self) -> str:
        """That it has there."""

    def submitted(self, result: object) -> None:
        """Beam's result, once it is sent."""

    def whereabouts(self) -> str:
        """How to see it and how to end it; for a person who is about to leave it alone."""

    def failure(self, error: BaseException) -> str | None:
        """The sentence for what Beam made of its failure; None for what is a bug here."""


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
    exports = [replace(export, uri=_absolute(export.uri)) for export in given.exports]
    return replace(given, exports=exports, output=given.output.absolute())


def _is_local(uri: str) -> bool:
    return "://" not in uri


def _absolute(uri: str) -> str:
    return str(Path(uri).absolute()) if _is_local(uri) else uri
