"""What hangs on the target of windows: told before they are applied, and what is said of it is what a window then does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.options import HowThorough, MigrateOptions
from pipeline.outcome.outcome import Check, Verdict
from pipeline.preflight.check import check
from tests.histories import SECOND, History, Operation, write_history
from tests.made_options import made_options
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.pipeline.windows.test_windows import ORDER_TABLES, ORDERS, Chain, order
from tests.plain_windows import use_plain_visits
from tests.postgres_server import Database

CODES = {
    *("triggers_change_rows", "triggers_on_changes", "webhooks", "publications", "no_replica_identity", "cascades", "referenced_by_others"),
    "next_window",
}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_visits(monkeypatch)


@pytest.fixture
def chain(bare: Database, tmp_path: Path) -> Chain:
    """A load, and a window that updates a row, deletes one and inserts one."""
    bare.execute(PLAIN)
    chain = Chain(bare, tmp_path, {1: "a", 2: "a"}, {1: "b", 2: None, 3: "b"})
    chain.begin()
    return chain


def look(chain: Chain, *exports: Path) -> list[Check]:
    migration = chain.migration
    given = exports or (chain.windows[0],)
    options = made_options(MigrateOptions, given, migration.reference, migration.output.parent / "look", tables=migration.tables)
    return [finding for finding in check(options).findings if finding.name in CODES and finding.name != "next_window"]


def told(chain: Chain) -> list[tuple[str, str]]:
    return [(finding.verdict.value, finding.name) for finding in look(chain)]


def trigger(database: Database, when: str, body: str, name: str = "hook", schema: str = "public") -> None:
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    database.execute(f"CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    database.execute(f"CREATE TRIGGER hook {when} ON thing FOR EACH ROW EXECUTE FUNCTION {schema}.{name}()")


KEEPS_ALL = "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW"


def test_of_a_plain_target_nothing_is_told(chain: Chain) -> None:
    assert told(chain) == []


@pytest.mark.parametrize(
    ("when", "body", "codes"),
    [
        ("BEFORE UPDATE", "NEW.kind := now(); RETURN NEW", ["triggers_change_rows"]),
        ("BEFORE INSERT OR UPDATE", 'new . "kind" = now(); RETURN NEW', ["triggers_change_rows"]),
        ("BEFORE UPDATE", "PERFORM 1 WHERE NEW.kind = 'a'; RETURN NEW", ["triggers_on_changes"]),
        ("AFTER UPDATE", "RETURN NULL", ["triggers_on_changes"]),
        ("BEFORE DELETE", "RETURN OLD", ["triggers_on_changes"]),
        ("AFTER INSERT", "RETURN NULL", []),
        ("AFTER INSERT OR UPDATE OR DELETE", "PERFORM net.http_post('x'); RETURN NULL", ["webhooks"]),
    ],
)
def test_triggers_are_told_by_what_they_do(chain: Chain, when: str, body: str, codes: list[str]) -> None:
    trigger(chain.database, when, body)
    assert told(chain) == [("warning", code) for code in codes]
    assert all("hook" in finding.detail for finding in look(chain))
    chain.database.execute("ALTER TABLE thing DISABLE TRIGGER hook")
    assert told(chain) == []


def test_those_of_supabase_are_known_by_their_names(chain: Chain) -> None:
    trigger(chain.database, "BEFORE UPDATE", "RETURN NEW", name="moddatetime", schema="extensions")
    assert told(chain) == [("warning", "triggers_change_rows")]
    chain.database.execute("DROP TRIGGER hook ON thing")
    trigger(chain.database, "AFTER UPDATE", "RETURN NULL", name="http_request", schema="supabase_functions")
    assert told(chain) == [("warning", "webhooks")]


def test_what_is_said_of_a_trigger_that_changes_rows_is_so(chain: Chain) -> None:
    """The comparison fails, and a rollback leaves the row."""
    trigger(chain.database, "BEFORE UPDATE", "NEW.kind := 'changed'; RETURN NEW")
    assert chain.run(1).exit_code == 1
    chain.run(1, validate=HowThorough.NONE)
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, report.kept()) == (3, [("different", ["kind"])])
    chain.database.execute("ALTER TABLE thing DISABLE TRIGGER hook")
    assert chain.names() == {1: "b", 2: "a"}


def test_a_publication_is_told_and_one_without_identity_refused(bare: Database, tmp_path: Path) -> None:
    """A key that is no primary key is no replica identity; what is refused would fail at its first row."""
    bare.execute(PLAIN.replace("id uuid PRIMARY KEY", "id uuid NOT NULL UNIQUE"))
    chain = Chain(bare, tmp_path, {1: "a", 2: "a"}, {1: "b", 2: None})
    chain.begin()
    bare.execute("CREATE PUBLICATION realtime FOR TABLE thing WITH (publish = 'insert')")
    assert told(chain) == [("warning", "publications")]
    bare.execute("ALTER PUBLICATION realtime SET (publish = 'insert, update')")
    assert told(chain) == [("warning", "publications"), ("fail", "no_replica_identity")]
    with pytest.raises(Exception, match="does not have a replica identity"):
        bare.execute("UPDATE thing SET name = 'c'")
    for statement in ("REPLICA IDENTITY FULL", "REPLICA IDENTITY USING INDEX thing_id_key"):
        bare.execute(f"ALTER TABLE thing {statement}")
        assert told(chain) == [("warning", "publications")]
    assert chain.run(1).exit_code == 0
    assert chain.names() == {1: "b"}


def test_rows_of_others_that_refer_to_it_are_told(chain: Chain) -> None:
    """A deletion that would take them along is a dead letter, as is one that PostgreSQL refuses."""
    chain.database.execute("CREATE TABLE theirs (thing uuid REFERENCES thing ON DELETE CASCADE)")
    assert told(chain) == [("warning", "cascades")]
    chain.database.execute("CREATE TABLE too (thing uuid REFERENCES thing)")
    assert told(chain) == [("warning", "cascades"), ("warning", "referenced_by_others")]
    assert ["public.theirs" in look(chain)[0].detail, "public.too" in look(chain)[1].detail] == [True, True]
    chain.database.execute("INSERT INTO theirs VALUES (%s)", uuid(2))
    report = chain.run(1)
    assert [code for code, _ in report.dead_letters()] == ["foreign_key_violation"]
    assert chain.outdated() == 1


def test_its_own_child_rows_are_none_of_others(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES.replace("REFERENCES orders", "REFERENCES orders ON DELETE CASCADE"))
    chain = Chain(bare, tmp_path, {1: order("a", "x")}, {1: order("b", "y")}, table=ORDERS)
    chain.begin()
    assert told(chain) == []
    bare.execute("CREATE TABLE theirs (o uuid, p text, FOREIGN KEY (o, p) REFERENCES order_line ON DELETE SET NULL)")
    assert [(finding.name, finding.table) for finding in look(chain)] == [("cascades", "order_line")]


@pytest.mark.parametrize(("days", "verdict", "words"), [(2, "fact", "33 days"), (30, "warning", "5 days"), (40, "warning", "cannot be")])
def test_until_when_the_next_window_can_be_had(bare: Database, tmp_path: Path, days: int, verdict: str, words: str) -> None:
    bare.execute(PLAIN)
    end = int((datetime.now(UTC) - timedelta(days=days) + timedelta(hours=1)).timestamp())
    key: dict[str, Any] = {"id": {"S": uuid(1)}}
    operations = [Operation((end - 3600 * hours - 1) * SECOND, key, {**key, "name": {"S": f"in {hours}"}}) for hours in (1, 0)]
    full, windows = write_history(tmp_path, "things", History(operations, [end - 3600, end]))
    chain = Chain(bare, tmp_path / "other", {})
    options = made_options(MigrateOptions, [full, *windows], chain.migration.reference, tmp_path / "look", tables=(THING,))
    [found] = [finding for finding in check(options).findings if finding.name == "next_window"]
    assert (found.verdict, words in found.detail) == (Verdict(verdict), True), found.detail


@pytest.mark.parametrize(("view", "is_told"), [("NEW_IMAGE", True), ("NEW_AND_OLD_IMAGES", False)])
def test_that_a_window_cannot_be_taken_back_is_told_before_it_is_applied(bare: Database, tmp_path: Path, view: str, is_told: bool) -> None:
    bare.execute(PLAIN)
    chain = Chain(bare, tmp_path, {1: "a"}, {1: "b"}, view=view)
    options = made_options(
        MigrateOptions, [chain.full, chain.windows[0]], chain.migration.reference, tmp_path / "look", tables=chain.migration.tables
    )
    found = [finding.verdict for finding in check(options).findings if finding.name == "window_cannot_be_taken_back"]
    assert found == [Verdict.FACT] * is_told
