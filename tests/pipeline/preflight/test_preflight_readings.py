"""What preflight says of tables that take from one export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.made_readings import FOREIGN_KEY, TARGETS, definitions, lines
from tests.postgres_server import Database

pytestmark = pytest.mark.plain


@pytest.fixture
def export(tmp_path: Path, database: Database) -> Path:
    database.execute(TARGETS)
    return write_export(tmp_path / "export", "App", lines())


def found_by(run: CommandLine, export: Path, tables: str) -> dict[tuple[str, str], str]:
    """The sentences of what is read together and again, by code and target."""
    checked = run("preflight", "--json", "--export", export, tables, "--output", run.output)
    found = {(finding["name"], finding["table"]): finding["detail"] for finding in json.loads(checked.stdout)["checks"]["preflight"]}
    return {pair: sentence for pair, sentence in found.items() if pair[0] in ("read_together", "read_again")}


def test_it_says_what_is_read_together_and_why_not(tmp_path: Path, export: Path, database: Database, run: CommandLine) -> None:
    """Nothing of it once all is loaded."""
    database.execute(FOREIGN_KEY)
    tables = definitions(tmp_path, "EVERYTHING, CUSTOMER, ORDER")

    assert found_by(run, export, tables) == {
        ("read_together", "everything"): "is loaded in one reading of its export with customer",
        ("read_together", "customer"): "is loaded in one reading of its export with everything",
        ("read_again", "customer_order"): (
            "is loaded in another reading of its export than the table before it: foreign key customer_order_customer_fkey leads from "
            "customer_order to customer, where all rows must be first; to have one reading, drop it for the load, and add it again "
            "afterwards"
        ),
    }
    assert run.migrate(export, tables).exit_code == 0
    assert found_by(run, export, tables) == {}


def test_it_says_nothing_of_a_table_that_is_alone(tmp_path: Path, export: Path, run: CommandLine) -> None:
    assert found_by(run, export, definitions(tmp_path, "EVERYTHING,")) == {}
