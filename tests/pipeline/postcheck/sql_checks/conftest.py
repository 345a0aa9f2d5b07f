"""One clean load, made once; each test gets a copy of its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.pipeline.postcheck.sql_checks.loaded import Loaded, copy_of
from tests.postgres_server import Database, Server


@pytest.fixture(scope="session")
def clean_load(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """120 items of each table, all sound, in three files, a split and many chunks each."""
    folder = tmp_path_factory.mktemp("sql-checks")
    write_sample_exports(folder / "export", items=120, faulty=0, odd=0, seed=17, items_per_file=50)
    loaded = Loaded(server, server.new_database(), folder / "export", folder)
    loaded.load(chunk_items=7)
    loaded.spot_checks()
    return loaded


@pytest.fixture
def loaded(server: Server, clean_load: Loaded, tmp_path: Path) -> Loaded:
    return copy_of(server, clean_load, tmp_path)


@pytest.fixture
def roles() -> Iterator[Callable[[Database], None]]:
    """Makes Supabase's roles for the time of a test."""
    made: list[Database] = []

    def make(in_database: Database) -> None:
        made.append(in_database)
        in_database.execute("CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS; CREATE ROLE checker LOGIN")
        in_database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role, checker")

    yield make
    for one in made:
        one.execute("DROP OWNED BY anon, authenticated, service_role, checker CASCADE")
        one.execute("DROP ROLE anon, authenticated, service_role, checker")
