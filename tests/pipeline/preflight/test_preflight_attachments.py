"""What hangs on a target: told by name, and what is said of it is what a load then does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.conftest import Look
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import begin_loads
from tests.postgres_server import Database

pytestmark = pytest.mark.plain

NOTES = "clinical_notes"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def session(number: int, **attributes: object) -> bytes:
    names = ("appointmentId", "providerId", "patientId")
    item = {"id": {"S": uuid(number)}, "status": {"S": "ACTIVE"}, **{name: {"S": uuid(1)} for name in names}, **attributes}
    return json.dumps({"Item": item}).encode()


def trigger(database: Database, name: str, when: str, body: str = "RETURN NEW", table: str = NOTES) -> None:
    database.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    database.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


# -- triggers and rules --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("BEFORE INSERT", "triggers_before_rows"),
        ("BEFORE INSERT OR UPDATE", "triggers_before_rows"),
        ("AFTER INSERT", "triggers"),
        ("AFTER UPDATE", None),
        ("BEFORE DELETE", None),
    ],
)
def test_a_trigger_on_insert_is_named(database: Database, look: Look, when: str, code: str | None) -> None:
    """One before each row may change it or keep it out; of updates there are none in a load."""
    trigger(database, "stamp", when)

    assert look.beyond_facts() == [("warning", code, NOTES)] * (code is not None)
    if code:
        assert "trigger stamp" in look.of(code)[0].detail


@pytest.mark.parametrize(("state", "fires"), [("DISABLE", False), ("ENABLE REPLICA", False), ("ENABLE ALWAYS", True)])
def test_a_trigger_that_does_not_fire_is_none(database: Database, look: Look, state: str, fires: bool) -> None:
    """A replica's fires for replication only."""
    trigger(database, "stamp", "AFTER INSERT")
    database.execute(f"ALTER TABLE {NOTES} {state} TRIGGER stamp")

    assert len(look.of("triggers")) == fires


def test_triggers_of_partitions_and_of_the_statement_are_named(database: Database, look: Look) -> None:
    """They all run."""
    database.execute(
        "ALTER TABLE clinical_notes RENAME TO old; CREATE TABLE clinical_notes (LIKE old INCLUDING DEFAULTS) PARTITION BY HASH (id)"
    )
    database.execute("CREATE TABLE notes_0 PARTITION OF clinical_notes FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    trigger(database, "of_partition", "BEFORE INSERT", table="notes_0")
    trigger(database, "of_all", "AFTER INSERT")
    database.execute("CREATE TRIGGER of_statement BEFORE INSERT ON clinical_notes FOR EACH STATEMENT EXECUTE FUNCTION of_all()")

    assert "trigger of_partition" in look.of("triggers_before_rows")[0].detail
    assert "triggers of_all, of_statement:" in look.of("triggers")[0].detail


@pytest.mark.parametrize(
    ("when", "body", "is_told"),
    [
        ("BEFORE INSERT", "INSERT  INTO elsewhere VALUES (NEW.*); RETURN NULL", True),
        ("BEFORE INSERT", "INSERT INTO elsewhere VALUES (NEW.*); RETURN NEW", False),
        ("AFTER INSERT", "DELETE\nFROM clinical_notes WHERE id = NEW.id; RETURN NULL", True),
        ("AFTER INSERT", "INSERT INTO elsewhere VALUES (NEW.*); RETURN NULL", False),
    ],
)
def test_a_trigger_whose_text_puts_rows_elsewhere_is_named(database: Database, look: Look, when: str, body: str, is_told: bool) -> None:
    trigger(database, "routes", when, body)

    assert ["trigger routes: by the text" in found.detail for found in look.of("triggers_elsewhere")] == [True] * is_told


def test_a_rule_on_insert_is_refused(database: Database, look: Look) -> None:
    """COPY passes over it, and what isolates bad rows cannot work with it."""
    database.execute(
        "CREATE TABLE shadow (id uuid); CREATE RULE copied AS ON INSERT TO clinical_notes DO ALSO INSERT INTO shadow VALUES (NEW.id)"
    )

    assert look.beyond_facts() == [("fail", "insert_rules", NOTES)]
    assert "rule copied" in look.of("insert_rules")[0].detail


# -- indexes and checks --------------------------------------------------------------------------------------------------------------------


def test_secondary_indexes_are_named_the_unique_ones_apart(database: Database, look: Look) -> None:
    """The primary key's is no secondary one."""
    database.execute("CREATE INDEX slow ON clinical_notes (session_id); CREATE INDEX slower ON clinical_notes USING gin (plan)")
    database.execute("ALTER TABLE clinical_notes ADD CONSTRAINT single UNIQUE (appointment_id)")

    assert look.beyond_facts() == [("warning", "unique_indexes", NOTES), ("warning", "indexes", NOTES)]
    assert "secondary indexes slow, slower:" in look.of("indexes")[0].detail
    assert "unique index single " in look.of("unique_indexes")[0].detail


def test_checks_are_facts(database: Database, look: Look) -> None:
    """They refuse single rows, which is what they are there for."""
    database.execute("ALTER TABLE clinical_notes ADD CONSTRAINT sane CHECK (status <> 'NO')")

    [found] = look.of("checks")
    assert (found.verdict, found.table) == ("fact", NOTES)
    assert "check constraint sane" in found.detail


# -- foreign keys --------------------------------------------------------------------------------------------------------------------------


def test_a_foreign_key_to_a_table_that_is_loaded_before_is_a_warning(database: Database, look: Look) -> None:
    """Its rows will be there."""
    database.execute("ALTER TABLE clinical_notes ADD CONSTRAINT of_session FOREIGN KEY (session_id) REFERENCES video_call_sessions")

    assert look.beyond_facts() == [("warning", "foreign_key", NOTES)]
    assert "foreign key of_session (session_id) to video_call_sessions" in look.of("foreign_key")[0].detail


def test_a_foreign_key_to_a_table_that_is_loaded_later_is_refused(database: Database, look: Look, run: CommandLine, tmp_path: Path) -> None:
    """Each row that refers would be a dead letter; with the constraint gone, or the load done, there is no problem."""
    add = "ALTER TABLE video_call_sessions ADD CONSTRAINT of_note FOREIGN KEY (soap_note_id) REFERENCES clinical_notes"
    database.execute(add)
    sessions = write_export(tmp_path, "medzen-video-sessions", [[session(1, soapNoteId={"S": uuid(9)})]], "01700000000000-00000001")
    note = {name: {"S": uuid(9)} for name in ("id", "sessionId", "appointmentId")} | {"status": {"S": "DRAFT"}}
    notes = write_export(tmp_path, "medzen-soap-notes", [[json.dumps({"Item": note}).encode()]], "01700000000000-00000002")
    exports = [sessions, notes]

    [found] = look.of("foreign_key_unmet", exports=exports)
    assert (found.verdict, found.table) == ("fail", "video_call_sessions")
    assert "which is loaded later" in found.detail
    assert run.migrate(sessions, "--export", notes).exit_code == 2
    database.execute("ALTER TABLE video_call_sessions DROP CONSTRAINT of_note")
    assert run.migrate(sessions, "--export", notes).exit_code == 0
    database.execute(add)
    assert look.of("foreign_key_unmet", exports=exports) == []
    assert run.migrate(sessions, "--export", notes).exit_code == 0


@pytest.mark.parametrize(("column", "level"), [("provider_id", "fail"), ("transcript_id", "warning")])
def test_a_foreign_key_to_an_empty_table_is_refused_where_every_row_has_it(database: Database, look: Look, column: str, level: str) -> None:
    """Where it may be NULL, it is for a person to say."""
    database.execute(
        f"CREATE TABLE other (id uuid PRIMARY KEY); ALTER TABLE video_call_sessions ADD FOREIGN KEY ({column}) REFERENCES other"
    )
    assert [(found.verdict, found.table) for found in look.of("foreign_key_unmet")] == [(level, "video_call_sessions")]
    database.execute(f"INSERT INTO other VALUES ('{uuid(1)}')")
    assert look.beyond_facts() == [("warning", "foreign_key", "video_call_sessions")]


def test_a_foreign_key_of_a_table_to_itself_is_a_warning(database: Database, look: Look) -> None:
    """It depends on the order."""
    database.execute("ALTER TABLE video_call_sessions ADD FOREIGN KEY (transcript_id) REFERENCES video_call_sessions")

    assert look.beyond_facts() == [("warning", "foreign_key_to_itself", "video_call_sessions")]


def test_a_foreign_key_that_is_not_enforced_or_not_fed_is_none(database: Database, look: Look) -> None:
    """In name only; and a column that the load leaves NULL refers to nothing."""
    database.execute("CREATE TABLE other (id uuid PRIMARY KEY); ALTER TABLE clinical_notes ADD ours uuid REFERENCES other")
    if database.value("SELECT current_setting('server_version_num')::int") >= 180_000:
        database.execute("ALTER TABLE clinical_notes ADD FOREIGN KEY (session_id) REFERENCES other NOT ENFORCED")

    assert look.beyond_facts() == []


def test_a_finished_load_is_told_of_nothing_that_slows_loads(database: Database, look: Look, exports: Path) -> None:
    """Indexes and foreign keys that came after it are as they should be."""
    begin_loads(exports, reference_to(database.url))
    database.execute("UPDATE ddb2pg.load SET finished_at = now()")
    database.execute("CREATE INDEX slow ON clinical_notes (session_id)")
    trigger(database, "stamp", "BEFORE INSERT")

    assert look.beyond_facts() == []
