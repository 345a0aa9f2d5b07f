"""The gate's quick look, below the command line: what it finds, what it lets pass, and what it notes in the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.job.equation import prove
from pipeline.job.gate import pass_gates
from pipeline.job.load import LoadChunks
from pipeline.job.plan import BegunLoad
from pipeline.job.visit import visit_plainly
from pipeline.ledger.loads import Validated, find_load
from pipeline.outcome.outcome import Outcome, Verdict, failed
from pipeline.places.storage import OutputFolder
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.pipeline.conftest import Attempt
from tests.pipeline.planted import add_rows
from tests.pipeline.source.read_splits import read_exports
from tests.plain_loads import plans_of
from tests.postgres_server import Database
from tests.truth import records
from transforms.tables.medzen import VIDEO_SESSIONS

TARGET = VIDEO_SESSIONS.target


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With dead letters, and rows that are unusual."""
    root = tmp_path_factory.mktemp("gate_sample") / "export"
    write_sample_exports(root, items=300, seed=6, faulty=0.2, odd=0.1, items_per_file=90)
    return root


class Gate:
    """A load of the sessions, and the gate before the next table."""

    def __init__(self, database: Database, export: Path, attempt: Attempt, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self._options = attempt.options(exports=export)
        self._export = read_exports(export / VIDEO_SESSIONS.source)[0]
        self._plan, splits = next(iter(plans_of(export, self._options.database)))
        list(visit_plainly(splits, LoadChunks(self._plan)))

    def __call__(self, asked: Validated = Validated.QUICK, *, row_security: bool = False) -> Outcome:
        """The load as the ledger has it now."""
        with Session(self._options.database) as session:
            found = session.transact(lambda cursor: find_load(cursor, self._export.export_id, f"public.{TARGET}"))
            target = dataclasses.replace(self._plan.target, has_row_security=row_security)
            plan = dataclasses.replace(self._plan, load=found, target=target)
            result = session.transact(lambda cursor: prove(cursor, plan, self._export, OutputFolder(str(self.folder)), 0, 1.0))
        proved = [(BegunLoad(self._export, plan), result)]
        [gated] = pass_gates(proved, asked, self._options, OutputFolder(str(self.folder)), Console(quiet=True))
        return gated

    @property
    def noted(self) -> str | None:
        return self.database.query("SELECT validated FROM ddb2pg.load WHERE source_table = %s", VIDEO_SESSIONS.source)[0][0]

    def write(self, statement: str) -> None:
        self.database.execute(statement.format(target=TARGET, one=f"(SELECT min(id::text)::uuid FROM {TARGET})"))


def is_of_before(outcome: Outcome) -> bool:
    return [check.detail for check in outcome.checks] == ["compared with the export by an earlier run"]


@pytest.fixture
def gate(database: Database, faulty: Path, attempt: Attempt, tmp_path: Path) -> Gate:
    """Among its dead letters are some that PostgreSQL refused."""
    database.execute(f"ALTER TABLE {TARGET} ADD CHECK (md5(id::text) >= '1')")
    return Gate(database, faulty, attempt, tmp_path / "run")


def test_what_is_equal_passes_and_is_not_compared_again(gate: Gate) -> None:
    """Dead letters are no mismatches. More thoroughly it is compared when that is asked for, and less thoroughly not again."""
    first = gate()
    assert not failed(first.checks)
    assert first.checks[0].detail.startswith("300 items were compared")
    assert gate.noted == "quick"
    gate.write("UPDATE {target} SET status = status || ' ' WHERE id = {one}")
    assert is_of_before(gate())
    assert not gate.database.query("SELECT 1 FROM ddb2pg.compared_chunk")


def test_equal_in_full_is_equal_at_a_glance(gate: Gate) -> None:
    gate.database.execute("UPDATE ddb2pg.load SET validated = 'quick'")
    assert not is_of_before(gate(Validated.FULL))
    assert gate.noted == "full"
    assert is_of_before(gate())
    assert gate.noted == "full"


@pytest.mark.parametrize(
    ("statement", "mismatches"),
    [
        ("UPDATE {target} SET status = status || ' ' WHERE id = {one}", {"different": 1}),
        ("DELETE FROM {target} WHERE id = {one}", {"missing": 1}),
        ("UPDATE {target} SET id = '00000000-0000-4000-8000-000000000001' WHERE id = {one}", {"missing": 1}),
    ],
)
def test_what_is_not_equal_does_not_pass(gate: Gate, statement: str, mismatches: dict[str, int]) -> None:
    """The last one does not change the number of rows. It is in the files, and not noted as equal."""
    gate.write(statement)

    found = gate()

    assert failed(found.checks)
    assert found.tallies["mismatches"] == mismatches
    assert gate.noted is None
    assert [record["kind"] for record in records(gate.folder / "mismatches" / VIDEO_SESSIONS.source)] == list(mismatches)


def test_a_row_too_many_does_not_pass(gate: Gate) -> None:
    add_rows(gate.database, TARGET, 2)

    assert gate().tallies["mismatches"] == {"row_without_item": 2}
    assert gate.noted is None


def test_where_row_security_may_hide_rows_nothing_is_noted(gate: Gate) -> None:
    """A row that is not seen does not keep the load from going on, but nobody knows whether it is there; another row does."""
    gate.write("DELETE FROM {target} WHERE id = {one}")
    found = gate(row_security=True)
    assert not failed(found.checks)
    assert [check.verdict for check in found.checks] == [Verdict.PASS, Verdict.WARNING]
    assert gate.noted is None
    gate.write("UPDATE {target} SET status = status || ' ' WHERE id = {one}")
    assert gate(row_security=True).tallies["mismatches"] == {"different": 1}


def test_a_data_file_that_cannot_be_read_does_not_pass(gate: Gate, faulty: Path) -> None:
    path = sorted((faulty / VIDEO_SESSIONS.source).glob("AWSDynamoDB/*/data/*"))[1]
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        found = gate()
    finally:
        hidden.rename(path)

    assert failed(found.checks)
    assert path.name in found.checks[0].detail
    assert gate.noted is None
