"""A sample export that is loaded, and the verdicts on it: by psql, and by validate's own way of running the script."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from pipeline.commands.migrate import migrate
from pipeline.commands.validate import validate
from pipeline.job.find_loads import find_begun_loads
from pipeline.ledger.loads import find_load
from pipeline.ledger.threshold import UNLIMITED
from pipeline.options import HowThorough, MigrateOptions, ValidateOptions
from pipeline.outcome.outcome import Check, Verdict
from pipeline.postcheck.sql_checks import SpotChecks, pick_spot_checks, run_script, write_script
from pipeline.sql import read_sql
from tests.made_options import made_options
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database, Server
from transforms.table import Table
from transforms.tables.medzen import TABLES

SESSIONS, NOTES, AUDIT = (f"public.{table.target}" for table in TABLES)
Verdicts = dict[tuple[str, str | None], list[str]]
"""By check and table, in the script's order."""


WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.WARNING: "WARN", Verdict.SKIP: "SKIP"}
"""As the script says them."""


def verdicts_of(checks: list[Check]) -> Verdicts:
    verdicts: Verdicts = {}
    for check in checks:
        verdicts.setdefault((check.name, check.table), []).append(WORDS[check.verdict])
    return verdicts


def changed(before: Verdicts, after: Verdicts) -> dict[tuple[str, str | None], list[str]]:
    """The verdicts that are others than they were."""
    return {key: after[key] for key in after if after[key] != before.get(key)}


_numbers = itertools.count(1)


@dataclass
class Loaded:
    """Exports that are loaded, and their spot checks, picked when they are first asked for."""

    server: Server
    database: Database
    export: Path
    folder: Path
    tables: tuple[Table, ...] = TABLES
    picked: list[SpotChecks] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reference = reference_to(self.database.url)

    @property
    def options(self) -> ValidateOptions:
        return made_options(ValidateOptions, [self.export], self.reference, self.folder / "out", tables=self.tables)

    def load(self, *, chunk_items: int = 40) -> None:
        options = made_options(
            MigrateOptions,
            [self.export],
            self.reference,
            self.folder / "out",
            tables=self.tables,
            chunk_items=chunk_items,
            split_items=60,
            most_splits=4,
            threshold=UNLIMITED,
            validate=HowThorough.NONE,
            beam_arguments=("--direct_num_workers=1",),
        )
        migrate(options, Console(quiet=True))

    def emit(self, path: Path) -> Path:
        options = made_options(ValidateOptions, [self.export], self.reference, self.folder / "out", tables=self.tables, emit_sql=path)
        validate(options, Console(quiet=True))
        return path

    def emit_from(self, spot_checks: list[SpotChecks]) -> Path:
        """The script with rows that were picked before."""
        path = self.folder / "checks.sql"
        write_script(path, spot_checks)
        return path

    @staticmethod
    def elsewhere(spot_checks: SpotChecks, schema: str) -> SpotChecks:
        """The same rows, of tables in another schema."""
        return replace(spot_checks, target_table=spot_checks.target_table.replace("public", schema))

    def spot_checks(self) -> list[SpotChecks]:
        if not self.picked:
            begun = find_begun_loads(self.options, "run", find_load, lambda *_: iter(()))
            self.picked = [of_table for load in begun for of_table in pick_spot_checks(load)]
        return self.picked

    def checks(self) -> list[Check]:
        """As validate runs them."""
        return run_script(self.reference, self.spot_checks())

    def verdicts(self) -> Verdicts:
        return verdicts_of(self.checks())

    def details(self, check: str, table: str | None) -> list[str]:
        return [one.detail for one in self.checks() if (one.name, one.table) == (check, table)]


def copy_of(server: Server, loaded: Loaded, folder: Path) -> Loaded:
    name = f"sql_checks_{next(_numbers)}"
    original = loaded.database.value("SELECT current_database()")
    loaded.database.leave()
    server.copy(original, name)
    return replace(loaded, database=Database(server.url(name), keeps_session=True), folder=folder)


def psql(server: Server, url: str, script: str | Path, *settings: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real psql, without the user's own settings; what it prints is unaligned, and only rows."""
    path = script if isinstance(script, Path) else server.folder / "plain.sql"
    if not isinstance(script, Path):
        path.write_text(script)
    command = [server.bin_path / "psql", url, "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", *settings, "-f", path]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def verdicts_of_psql(finished: subprocess.CompletedProcess[str]) -> Verdicts:
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    rows = [line.split("\t") for line in finished.stdout.splitlines()]
    verdict_of = {words: verdict for verdict, words in WORDS.items()}
    return verdicts_of(
        [Check(name, verdict_of[verdict], detail, table or None) for name, table, verdict, detail in (row for row in rows if len(row) == 4)]
    )


PLAIN = read_sql("validate_migration.sql")
