"""A target that does not fit is refused before anything is written, with a sentence for each thing that is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
from pipeline.target.session import Cursor, Session
from pipeline.target.target import find_target
from tests.command_line import CommandLine
from tests.pipeline.conftest import Attempt, Look, everything_in
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from transforms.tables.medzen import TABLES

TARGETS = ("video_call_sessions", "clinical_notes", "video_call_audit_log")


def problems_of_targets(database: Database) -> list[str]:
    """What preflight says of the three tables, without the rest of `migrate`."""
    with Session(reference_to(database.url)) as session:
        return session.transact(
            lambda cursor: [
                line for table in TABLES for line in problems_in(target_findings(cursor, table, find_target(cursor, table.target)))
            ]
        )


# -- tables and columns --------------------------------------------------------------------------------------------------------------------


def test_the_targets_of_the_mapping_have_no_problem(database: Database) -> None:
    """What the other tests change is right before they do."""
    assert problems_of_targets(database) == []


@pytest.mark.parametrize("table", TARGETS)
def test_a_table_that_is_not_there_is_named(database: Database, attempt: Attempt, table: str) -> None:
    """And it alone."""
    database.execute(f"DROP TABLE {table}")

    [problem] = attempt.problems()
    assert problem.startswith(f"{table}: ")
    assert "no such table" in problem


KINDS = {
    "a view; rows go into a table only": "CREATE VIEW clinical_notes AS SELECT 1",
    "a materialized view; rows": "CREATE MATERIALIZED VIEW clinical_notes AS SELECT 1",
    "a foreign table; rows": "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; "
    "CREATE FOREIGN TABLE clinical_notes () SERVER s",
    "a sequence; rows": "CREATE SEQUENCE clinical_notes",
}


@pytest.mark.parametrize(("words", "statement"), KINDS.items())
def test_what_is_no_table_is_called_what_it_is(database: Database, words: str, statement: str) -> None:
    database.execute("DROP TABLE clinical_notes")
    database.execute(statement)

    [problem] = problems_of_targets(database)
    assert problem.startswith(f"clinical_notes: is {words}")


def test_a_temporary_table_is_no_target(database: Database) -> None:
    """It is of one session, and the workers have others."""
    with Session(reference_to(database.url)) as session:

        def work(cursor: Cursor) -> list[str]:
            cursor.execute("CREATE TEMP TABLE clinical_notes (id uuid)")
            return problems_in(target_findings(cursor, TABLES[1], find_target(cursor, TABLES[1].target)))

        [problem] = session.transact(work)
    assert "is a temporary table" in problem


def test_two_names_of_one_table_are_refused(attempt: Attempt, look: Look) -> None:
    """With the schema and without it: each definition would take the other's rows for somebody else's."""
    tables = (*TABLES, replace(TABLES[1], target="public.clinical_notes"))

    sentence = "is the same table as clinical_notes, which another definition fills; a target takes one"
    assert attempt.problems(tables=tables) == (f"public.clinical_notes: {sentence}",)
    assert [found.detail for found in look.of("same_table", tables=tables)] == [sentence]


def test_all_three_tables_are_named_at_once(database: Database, attempt: Attempt) -> None:
    """Not one after the other, a run each."""
    database.execute(f"DROP TABLE {', '.join(TARGETS)}")

    assert [problem.partition(":")[0] for problem in attempt.problems()] == list(TARGETS)


@pytest.mark.parametrize(("table", "column"), [(table.target, column.name) for table in TABLES for column in table.columns])
def test_a_column_that_is_missing_is_named(database: Database, table: str, column: str) -> None:
    """Each of every table."""
    database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")

    [problem] = problems_of_targets(database)
    assert problem.startswith(f"{table}: has no column {column} ")


WRONG_TYPES = [
    ("video_call_sessions", "id", "text"),
    ("video_call_sessions", "status", "varchar(10)"),
    ("video_call_sessions", "status", "char(9)"),
    ("video_call_sessions", "status", "text[]"),
    ("video_call_sessions", "join_url", "bytea"),
    ("video_call_sessions", "start_time", "timestamp(3) with time zone"),
    ("video_call_sessions", "start_time", "timestamp"),
    ("video_call_sessions", "start_time", "date"),
    ("video_call_sessions", "transcription_enabled", "integer"),
    ("clinical_notes", "subjective", "json"),
    ("clinical_notes", "subjective", "text"),
    ("clinical_notes", "status", "short"),
    ("clinical_notes", "status", "mood"),
    ("video_call_audit_log", "created_at", "time with time zone"),
]


@pytest.mark.parametrize(("table", "column", "type_"), WRONG_TYPES)
def test_a_column_of_another_type_is_named_with_both_types(database: Database, table: str, column: str, type_: str) -> None:
    """A length or precision makes it another type: PostgreSQL would cut or round."""
    database.execute("CREATE DOMAIN short AS varchar(10); CREATE TYPE mood AS ENUM ('DRAFT')")
    key = "PRIMARY KEY" if column == "id" else ""
    database.execute(f"ALTER TABLE {table} DROP COLUMN {column}, ADD COLUMN {column} {type_} {key}")

    [problem] = problems_of_targets(database)
    assert problem.startswith(f"{table}: column {column} is of type ")
    shown = database.value(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", table, column
    )
    wanted = next(known.pg_type.name for of in TABLES if of.target == table for known in of.columns if known.name == column)
    assert f"is of type {shown}, but must be {wanted}" in problem


@pytest.mark.parametrize("type_", ["varchar", "any_text", "identity_text"])
def test_a_type_that_holds_every_value_as_it_is_fits(database: Database, type_: str) -> None:
    """A varchar without a length, and a domain over text."""
    database.execute("CREATE DOMAIN any_text AS text; CREATE DOMAIN identity_text AS varchar CHECK (true)")
    database.execute(f"ALTER TABLE clinical_notes ALTER status TYPE {type_}, ALTER chief_complaint TYPE {type_}")

    assert problems_of_targets(database) == []


@pytest.mark.parametrize(
    ("table", "column", "has_problem"),
    [
        ("video_call_sessions", "join_url", True),
        ("video_call_sessions", "transcript_id", True),
        ("clinical_notes", "ai_generated_at", True),
        ("video_call_audit_log", "event_data", True),
        ("video_call_sessions", "start_time", False),
        ("video_call_sessions", "transcription_enabled", False),
        ("clinical_notes", "plan", False),
        ("video_call_audit_log", "created_at", False),
    ],
)
def test_not_null_where_an_attribute_may_be_missing_is_named(database: Database, table: str, column: str, has_problem: bool) -> None:
    """Every item without it would be a dead letter. A column that always gets a value may be NOT NULL."""
    database.execute(f"ALTER TABLE {table} ALTER {column} SET NOT NULL")

    problems = problems_of_targets(database)
    assert [problem.startswith(f"{table}: column {column} is NOT NULL") for problem in problems] == [True] * has_problem


@pytest.mark.parametrize(
    ("definition", "has_problem"),
    [
        ("text NOT NULL", True),
        ("uuid PRIMARY KEY", True),
        ("text", False),
        ("text NOT NULL DEFAULT ''", False),
        ("bigint GENERATED ALWAYS AS IDENTITY", False),
        ("text NOT NULL GENERATED ALWAYS AS (upper(status)) STORED", False),
    ],
)
def test_another_column_that_nothing_fills_is_named(database: Database, definition: str, has_problem: bool) -> None:
    """NOT NULL without a default: not one row could be inserted."""
    if "PRIMARY KEY" in definition:
        database.execute("ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey")
    database.execute(f"ALTER TABLE clinical_notes ADD extra {definition}")

    problems = problems_of_targets(database)
    assert [problem.startswith("clinical_notes: column extra is NOT NULL") for problem in problems] == [True] * has_problem


def test_a_generated_column_that_an_attribute_feeds_is_named(database: Database) -> None:
    """PostgreSQL takes no value for it: the first chunk would stop the load."""
    database.execute("ALTER TABLE clinical_notes DROP COLUMN note_type, ADD note_type text GENERATED ALWAYS AS ('SOAP') STORED")

    [problem] = problems_of_targets(database)
    assert "note_type" in problem


# -- all at once ---------------------------------------------------------------------------------------------------------------------------


def test_every_problem_of_every_table_is_in_one_message(database: Database, exports: Path, run: CommandLine) -> None:
    """As a user sees it: exit code 2, and a line for each."""
    database.execute("DROP TABLE video_call_sessions")
    database.execute("ALTER TABLE clinical_notes DROP COLUMN plan, ALTER status TYPE varchar(10), ADD extra int NOT NULL")
    database.execute("ALTER TABLE video_call_audit_log ALTER event_data SET NOT NULL, ALTER created_at TYPE timestamp")
    before = everything_in(database)

    finished = run.migrate(exports)

    assert finished.exit_code == 2, finished.output
    assert finished.stderr.count("\n  - ") == 6
    for words in ("video_call_sessions: ", "plan", "character varying(10)", "extra", "event_data", "timestamp without time zone"):
        assert words in finished.stderr
    assert everything_in(database) == before
    assert not run.output.exists()


def test_a_table_that_is_not_empty_is_told_beside_what_is_wrong_with_another(database: Database, attempt: Attempt) -> None:
    """Emptying a table is a day's work of somebody: it is not told only when the rest is mended."""
    database.execute("DROP TABLE video_call_sessions; ALTER TABLE clinical_notes DROP COLUMN plan")
    database.execute("INSERT INTO video_call_audit_log VALUES (gen_random_uuid(), gen_random_uuid(), 'X')")

    assert [problem.partition(":")[0] for problem in attempt.problems()] == list(TARGETS)


def test_problems_of_the_database_and_of_its_tables_are_told_together(database: Database, attempt: Attempt) -> None:
    """A read-only database and a missing table."""
    database.execute("DROP TABLE clinical_notes")
    database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET default_transaction_read_only = on")

    problems = attempt.problems()
    assert len(problems) == 2
    assert "read-only" in problems[0]
    assert problems[1].startswith("clinical_notes: ")


# -- rows that would be elsewhere ----------------------------------------------------------------------------------------------------------


def test_a_partition_on_another_server_is_refused(database: Database) -> None:
    """It commits by itself: exactly once cannot be promised."""
    database.execute(
        "ALTER TABLE clinical_notes RENAME TO old; CREATE TABLE clinical_notes (LIKE old INCLUDING DEFAULTS) PARTITION BY HASH (id); "
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; "
        "CREATE FOREIGN TABLE far PARTITION OF clinical_notes FOR VALUES WITH (MODULUS 1, REMAINDER 0) SERVER s"
    )

    # The new table has no primary key either.
    [problem] = [problem for problem in problems_of_targets(database) if "foreign table" in problem]
    assert problem.startswith("clinical_notes: partition far: a foreign table")
    with Session(reference_to(database.url)) as session:
        found = session.transact(lambda cursor: [*target_findings(cursor, TABLES[1], find_target(cursor, TABLES[1].target))])
    assert "foreign_partitions" in [finding.name for finding in found]


def test_tables_that_inherit_are_refused(database: Database, look: Look) -> None:
    """A row that is in an heir, too, equals its item: no comparison would tell."""
    database.execute("CREATE TABLE heir () INHERITS (clinical_notes)")

    assert look.beyond_facts() == [("fail", "heirs", "clinical_notes")]
    assert look.of("heirs")[0].detail.startswith("table heir: inherits from it")
