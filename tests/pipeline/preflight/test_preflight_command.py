"""`ddb2pg preflight` as a user runs it: everything at once, the worst first, and nothing written."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.preflight.database import OLDEST_MAJOR, database_findings
from pipeline.preflight.findings import Code
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.command_line import CommandLine, Finished
from tests.handmade_export import write_export
from tests.pipeline.conftest import Look, everything_in
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import begin_loads, load_into_files
from tests.postgres_server import Database, Server
from transforms.native import plan as native
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.plain

ROOT = Path(__file__).parents[3]


def preflight(run: CommandLine, *exports: Path, **environment: str) -> Finished:
    arguments = [argument for export in exports for argument in ("--export", export)]
    return run("preflight", *arguments, "--output", run.output, **environment)


def findings_of(run: CommandLine, *exports: Path) -> tuple[int, dict[str, Any]]:
    arguments = [argument for export in exports for argument in ("--export", export)]
    finished = run("preflight", *arguments, "--output", run.output, "--json")
    assert finished.stderr == ""
    return finished.exit_code, json.loads(finished.stdout)


BROKEN_IN_TEN_WAYS = [
    ("video_call_sessions", "wrong_type", "ALTER TABLE video_call_sessions ALTER status TYPE varchar(10)"),
    ("video_call_sessions", "no_column", "ALTER TABLE video_call_sessions DROP COLUMN join_url"),
    ("video_call_sessions", "not_null", "ALTER TABLE video_call_sessions ALTER media_region SET NOT NULL"),
    ("video_call_sessions", "column_not_fed", "ALTER TABLE video_call_sessions ADD clinic text NOT NULL"),
    (
        "video_call_sessions",
        "generated_column",
        "ALTER TABLE video_call_sessions DROP COLUMN meeting_id, ADD meeting_id text GENERATED ALWAYS AS ('x') STORED",
    ),
    (
        "video_call_sessions",
        "foreign_key_unmet",
        "ALTER TABLE video_call_sessions ADD FOREIGN KEY (soap_note_id) REFERENCES clinical_notes",
    ),
    (
        "clinical_notes",
        "not_empty",
        "INSERT INTO clinical_notes VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'X', 'X')",
    ),
    ("clinical_notes", "insert_rules", "CREATE RULE quiet AS ON INSERT TO clinical_notes DO ALSO NOTIFY inserted"),
    ("video_call_audit_log", "no_table", "DROP TABLE video_call_audit_log"),
    (None, "read_only", "ALTER DATABASE {database} SET default_transaction_read_only = on"),
]


def test_a_target_broken_in_ten_ways_has_ten_problems_in_one_run(database: Database, exports: Path, run: CommandLine) -> None:
    """By their codes for machines, and by their sentences for people; `migrate` refuses with the same ten."""
    for _, _, statement in BROKEN_IN_TEN_WAYS:
        database.execute(statement.format(database=database.value("SELECT current_database()")))
    before = everything_in(database)

    exit_code, report = findings_of(run, exports)
    problems = [check for check in report["checks"]["preflight"] if check["verdict"] == "fail"]
    assert exit_code == report["exit_code"] == 2
    assert report["verdict"]["state"] == "bad"
    assert Counter((check["table"], check["name"]) for check in problems) == Counter((table, code) for table, code, _ in BROKEN_IN_TEN_WAYS)
    shown = preflight(run, exports)
    assert shown.exit_code == 2
    assert shown.stdout.splitlines()[-1].startswith("NOT READY: migrate refuses; nothing was written (10 problems, ")
    assert len(re.findall(r"^  FAIL     .*\[\w+\]$", shown.stdout, flags=re.MULTILINE)) == 10
    quiet = run("preflight", "--export", exports, "--output", run.output, "--quiet").stdout.splitlines()
    assert quiet[:-1] == [check["detail"] if check["table"] is None else f"{check['table']}: {check['detail']}" for check in problems]
    assert quiet[-1] == shown.stdout.splitlines()[-1]
    refused = run.migrate(exports)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n  - ") == 10
    assert all(check["detail"] in refused.stderr for check in problems)
    assert everything_in(database) == before
    assert not run.output.exists()


def test_a_sound_target_is_ready_and_nothing_is_written(database: Database, exports: Path, run: CommandLine) -> None:
    """Exit code 0, facts of each table below its name, the verdict in the last line."""
    before = everything_in(database)
    finished = preflight(run, exports)

    assert finished.exit_code == 0, finished.output
    *lines, last = finished.stdout.splitlines()
    assert last == "READY: migrate would start (1 warning)"  # the tests' own server does not flush
    assert [line for line in lines if line and not line.startswith(" ")] == ["Preflight: none failed"]
    assert [line.strip() for line in lines if re.match(r"  \w+$", line)] == [table.target for table in TABLES]
    assert everything_in(database) == before
    assert not run.output.exists()


def test_the_worst_comes_first(database: Database, exports: Path, run: CommandLine) -> None:
    """Problems, warnings, facts; each problem and warning with its code."""
    database.execute("CREATE INDEX slow ON clinical_notes (status); ALTER TABLE clinical_notes DROP COLUMN plan")
    shown = preflight(run, exports).stdout

    assert shown.endswith("\nNOT READY: migrate refuses; nothing was written (1 problem, 2 warnings)\n")
    texts = ("Preflight: 1 FAILED", "[no_column]", "[indexes]", "\n  PostgreSQL ", f"\n  {TABLES[0].target}\n")
    places = [shown.index(text) for text in texts]
    assert places == sorted(places)


def test_migrate_prints_the_warnings_before_it_loads(database: Database, exports: Path, run: CommandLine) -> None:
    """And no facts."""
    database.execute("CREATE INDEX slow ON clinical_notes (status)")
    finished = run.migrate(exports)

    assert finished.exit_code == 0, finished.output
    first, second, *rest = finished.stdout.splitlines()
    assert first.startswith("warning: fsync = off: ")  # the tests' own server
    assert second.startswith("warning: clinical_notes: secondary index slow: ")
    assert "warning" not in "".join(rest)
    assert "PostgreSQL" not in finished.stdout


def test_every_code_is_in_the_docs() -> None:
    """With what it means and what to do."""
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "preflight.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert sorted(documented) == sorted(Code)


def test_every_code_is_in_a_test() -> None:
    """What no test finds may be found by nobody."""
    others = ("test_readings.py", "source/dynamodb/test_dynamodb_filters.py")
    paths = [*Path(__file__).parent.glob("test_preflight_*.py"), *(Path(__file__).parents[1] / name for name in others)]
    tests = "".join(path.read_text(encoding="utf-8") for path in paths)

    assert [code for code in Code if f'"{code}"' not in tests] == []


# -- of the exports ------------------------------------------------------------------------------------------------------------------------


def test_each_export_is_a_fact_with_its_counts(look: Look) -> None:
    """Per table."""
    found = look.of("export")

    assert [finding.table for finding in found] == [table.target for table in TABLES]
    assert all("30 items in 3 data files" in finding.detail for finding in found)


def test_problems_of_exports_have_codes(exports: Path, look: Look, tmp_path: Path) -> None:
    """One that is not whole, one of an unknown table, two of one table, none of another."""
    broken = shutil.copytree(exports / "medzen-soap-notes", tmp_path / "broken")
    next(broken.glob("AWSDynamoDB/*/data/*.gz")).unlink()
    unknown = write_export(tmp_path / "unknown", "somebody-elses", [[b"{}"]])
    session = write_export(tmp_path / "again", "medzen-video-sessions", [[b"{}"]])

    assert [found.name for found in look(exports=[exports, broken, unknown, session]) if found.verdict == "fail"] == [
        "export_unusable",
        "unknown_table",
        "two_exports",
    ]
    # Of which table one is that cannot be read, is not known.
    assert look.of("no_export", exports=[broken]) == []
    assert [found.detail for found in look.of("no_export", exports=[session])] == [
        "no export was given for medzen-soap-notes",
        "no export was given for medzen-meeting-audit",
    ]


def test_exports_that_prove_less_are_warnings(look: Look, run: CommandLine, tmp_path: Path) -> None:
    """Manifests without their side files; data files without manifests."""
    export = write_export(tmp_path / "export", "medzen-meeting-audit", [[b'{"Item":{}}']])
    assert [found.verdict for found in look.of("manifest_not_verified", exports=[export])] == ["warning"]
    finished = run("preflight", "--export", f"medzen-meeting-audit={export}/data", "--json")
    assert "export_without_manifest" not in finished.stdout  # the manifests above were found
    bare = shutil.copytree(export / "data", tmp_path / "bare")
    finished = run("preflight", "--export", f"medzen-meeting-audit={bare}", "--json")
    [found] = [one for one in json.loads(finished.stdout)["checks"]["preflight"] if one["name"] == "export_without_manifest"]
    assert (found["verdict"], found["table"]) == ("warning", "video_call_audit_log")


def test_an_output_that_cannot_be_written_to_is_a_problem(exports: Path, run: CommandLine, tmp_path: Path) -> None:
    """It would be found out after the load."""
    (tmp_path / "file").write_text("")
    finished = run("preflight", "--export", exports, "--output", tmp_path / "file" / "out", "--json")

    assert finished.exit_code == 2
    assert [one["name"] for one in json.loads(finished.stdout)["checks"]["preflight"] if one["verdict"] == "fail"] == [
        "output_not_writable"
    ]


# -- of the load ---------------------------------------------------------------------------------------------------------------------------


def test_an_installation_without_the_compiled_module_is_a_warning(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would know else why a load takes its time."""
    assert look.of("not_compiled") == []
    monkeypatch.setattr(native, "IS_BUILT", False)

    assert [found.verdict for found in look.of("not_compiled")] == ["warning"]


def test_a_load_is_empty_then_resumes_then_finished(database: Database, exports: Path, look: Look) -> None:
    """By the ledger."""
    assert len(look.of("empty")) == 3
    load_into_files(exports, reference_to(database.url), {})
    assert ["has 30 of 30 items" in found.detail for found in look.of("resumes")] == [True] * 3
    database.execute("DELETE FROM ddb2pg.chunk WHERE items = 10; DELETE FROM ddb2pg.tally")
    assert ["has 20 of 30 items" in found.detail for found in look.of("resumes")] == [True] * 3
    database.execute("UPDATE ddb2pg.load SET finished_at = now()")
    assert [found.verdict for found in look.of("finished")] == ["fact"] * 3


def test_each_refusal_of_a_begun_load_has_a_code(database: Database, exports: Path, look: Look) -> None:
    """Another export, another manifest, another definition, another choice."""
    begin_loads(exports, reference_to(database.url))
    database.execute("UPDATE ddb2pg.load SET export_digest = 'x', definition = 'x', unmapped = 'reject' WHERE target_table LIKE '%notes'")
    database.execute("UPDATE ddb2pg.load SET export_id = 'another' WHERE target_table LIKE '%audit%'")

    assert [(level, code, table) for level, code, table in look.beyond_facts() if level == "fail"] == [
        ("fail", "manifest_changed", "clinical_notes"),
        ("fail", "definition_changed", "clinical_notes"),
        ("fail", "unmapped_changed", "clinical_notes"),
        ("fail", "another_export", "video_call_audit_log"),
    ]


# -- of the database -----------------------------------------------------------------------------------------------------------------------


def test_rights_and_kinds_of_the_database_have_codes(server: Server, database: Database, look: Look) -> None:
    """Their sentences are tested in test_preflight_database.py."""
    name = database.value("SELECT current_database()")
    role = f"poor_of_{name}"
    database.execute(f"CREATE ROLE {role} LOGIN; REVOKE TEMP ON DATABASE {name} FROM PUBLIC")
    problems = [found.name for found in look(url=f"{database.url} user={role}") if found.verdict == "fail"]
    assert problems == ["temp_tables_forbidden", "ledger_forbidden", *["no_privilege"] * 3]
    assert look.of("role", url=f"{database.url} user={role}")[0].detail == f"the role {role}: no superuser, without BYPASSRLS"
    database.execute("CREATE SCHEMA ddb2pg; CREATE TABLE ddb2pg.load (id int)")
    assert len(look.of("ledger_of_another_role", url=f"{database.url} user={role}")) == 1
    database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    Database(server.url("postgres")).execute(f"CREATE DATABASE {name}_l ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert [found.verdict for found in look.of("encoding", url=server.url(f"{name}_l"))] == ["fail"]


def test_the_version_is_a_fact_and_an_old_one_a_warning(database: Database, look: Look) -> None:
    """13 has no hash of a record, so rows could be loaded but not compared."""
    assert look.of("server_version")[0].detail == f"PostgreSQL {database.value('SHOW server_version')}"
    major = database.value("SELECT current_setting('server_version_num')::int / 10000")
    levels = []
    for oldest in (OLDEST_MAJOR, major, major + 1):
        with Session(reference_to(database.url)) as session:
            findings = session.transact(lambda cursor, oldest=oldest: list(database_findings(cursor, oldest)))  # type: ignore[misc]
        levels.append([found.verdict for found in findings if found.name == "old_server"])
    assert levels == [[], [], ["warning"]]


def test_time_limits_are_those_of_server_database_and_role(database: Database, look: Look, exports: Path, run: CommandLine) -> None:
    """Not ours, which stand above them: a chunk is not hit by them."""
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER DATABASE {name} SET statement_timeout = '50ms'; ALTER DATABASE {name} SET lock_timeout = '2min'")
    database.execute("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$")
    database.execute("CREATE TRIGGER slow BEFORE INSERT ON clinical_notes FOR EACH ROW EXECUTE FUNCTION slow()")

    assert ": lock_timeout 120 s, statement_timeout 50 ms; " in look.of("time_limits")[0].detail
    assert run.migrate(exports / "medzen-soap-notes").exit_code == 0


def test_a_transaction_timeout_is_a_warning(database: Database, look: Look) -> None:
    """PostgreSQL 17 has it, and it ends the session."""
    assert look.of("transaction_timeout") == []
    if database.value("SELECT current_setting('server_version_num')::int") >= 170_000:
        database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET transaction_timeout = '300s'")
        assert [(found.verdict, "is 300 s" in found.detail) for found in look.of("transaction_timeout")] == [("warning", True)]
        database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET transaction_timeout = '1500500ms'")
        assert "is 1500500 ms" in look.of("transaction_timeout")[0].detail


# -- of the space --------------------------------------------------------------------------------------------------------------------------


def test_the_estimate_is_near_what_the_rows_take(database: Database, look: Look, tmp_path: Path) -> None:
    """Within a factor of two, for tables that are more than their first page."""
    write_sample_exports(tmp_path / "large", items=2_000, faulty=0, odd=0, seed=31)
    [found] = look.of("space", exports=[tmp_path / "large"], with_estimate=True)
    load_into_files(tmp_path / "large", reference_to(database.url), {})
    taken = sum(database.value(f"SELECT pg_total_relation_size('{table.target}')") for table in TABLES)
    megabytes = float(re.search(r"will take about ([0-9.]+) MB", found.detail)[1])  # type: ignore[index]
    assert taken / 2 < megabytes * 1e6 < taken * 2


def test_free_space_is_known_on_this_machine_only_and_only_to_whom_it_is_shown(
    database: Database, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is short, it is a warning; where it is not known, nothing is guessed."""
    assert "are free on the server's disk" in look.of("space", with_estimate=True)[0].detail
    assert look.of("space_short", with_estimate=True) == []
    role = f"plain_of_{database.value('SELECT current_database()')}"
    database.execute(f"CREATE ROLE {role} LOGIN")
    assert "is not known from here" in look.of("space", url=f"{database.url} user={role}", with_estimate=True)[0].detail
    database.execute(f"DROP ROLE {role}")
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    assert [found.verdict for found in look.of("space_short", with_estimate=True)] == ["warning"]


def test_a_data_file_that_cannot_be_read_leaves_the_estimate_out(look: Look, tmp_path: Path) -> None:
    """The load itself compares each with its MD5 before it takes a row of it."""
    export = write_export(tmp_path / "export", "medzen-meeting-audit", [[b'{"Item":{}}']])
    next((export / "data").iterdir()).write_bytes(b"\x1f\x8bnonsense")

    assert "cannot be estimated" in look.of("space", exports=[export], with_estimate=True)[0].detail
