"""A worker looks whether its database is that of the load, before it writes anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import Stopped
from pipeline.job.plan import LoadPlan
from pipeline.ledger.loads import stop_if_not_here
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.plain_loads import plans_of
from tests.postgres_server import Database, Server


@pytest.fixture
def plan(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> LoadPlan:
    """A load that was begun."""
    write_sample_exports(tmp_path / "export", items=20, seed=7, faulty=0, odd=0, items_per_file=20)
    monkeypatch.setenv("LOADS_DATABASE", database.url)
    return next(plans_of(tmp_path / "export", DatabaseReference("env:LOADS_DATABASE")))[0]


def check(plan: LoadPlan) -> None:
    with Session(plan.database) as session:
        session.transact(lambda cursor: stop_if_not_here(cursor, plan.load))


def test_the_database_of_the_load_is_taken(plan: LoadPlan) -> None:
    check(plan)


def test_a_database_without_a_ledger_is_not(plan: LoadPlan, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADS_DATABASE", server.new_database().url)

    with pytest.raises(Stopped, match=f"not the one in which the load of {plan.table.source} was begun"):
        check(plan)


def test_a_load_of_the_same_number_in_another_database_is_not(
    plan: LoadPlan, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same export into the same target even: it began at another time."""
    monkeypatch.setenv("LOADS_DATABASE", server.new_database().url)
    other = next(plans_of(tmp_path / "export", plan.database))[0]
    assert (other.load.load_id, other.load.export_id) == (plan.load.load_id, plan.load.export_id)

    check(other)
    with pytest.raises(Stopped, match="not the one"):
        check(plan)
    with pytest.raises(Stopped, match="not the one"):
        check(replace(other, load=replace(other.load, migration_time=other.load.migration_time + timedelta(microseconds=1))))
