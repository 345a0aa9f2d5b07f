"""A faulty export, loaded once, with its records in both formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.records.kinds import RecordFormat
from sample_export import write_sample_exports
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import load_into_files
from tests.postgres_server import Database, Server


@dataclass(frozen=True, slots=True)
class LoadedExport:
    """Where it is, and where its runs' folders are."""

    root: Path
    database: Database
    run_folders: dict[RecordFormat, Path]


@pytest.fixture(scope="session")
def loaded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> LoadedExport:
    folder = tmp_path_factory.mktemp("dead_letters")
    write_sample_exports(folder / "export", items=1_500, seed=21, faulty=0.3, odd=0.3, items_per_file=400)
    database = server.new_database()
    run_folders = {record_format: folder / f"run-{record_format}" for record_format in RecordFormat}
    load_into_files(folder / "export", reference_to(database.url), run_folders)
    return LoadedExport(folder / "export", database, run_folders)
