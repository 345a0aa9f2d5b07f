"""Options of commands as the command line makes them, for tests that call a command within the process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.options import JobOptions
from pipeline.places.storage import OutputFolder
from pipeline.source.given import ExportArgument
from pipeline.target.database_url import DatabaseReference
from transforms.table import Table
from transforms.tables.medzen import TABLES

AnyJobOptions = TypeVar("AnyJobOptions", bound=JobOptions)


def made_options(
    kind: type[AnyJobOptions],
    exports: Sequence[Path | str],
    database: DatabaseReference,
    output: Path,
    *,
    tables: Sequence[Table] = TABLES,
    **others: Any,
) -> AnyJobOptions:
    options = kind(
        exports=tuple(ExportArgument(None, str(export)) for export in exports),
        database_secret=database.text,
        output_given=OutputFolder(str(output)),
        **others,
    )
    # Definitions that are in no file.
    vars(options)["tables"] = tables
    return options
