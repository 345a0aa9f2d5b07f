"""Row security as in a Supabase project, for real: who may load, what each then sees, and what validate says to whom.

What a provider must see comes from the generator's truth, not from the policies.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg2.extensions import make_dsn

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.conftest import everything_in
from tests.pipeline.planted import add_rows, report_of
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, records
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.plain

SESSIONS, NOTES, AUDIT = TARGETS = [table.target for table in TABLES]
ROLES = ["anon", "authenticated", "service_role", "authenticator", "project_owner", "importer"]
APPLIES = "row security applies to this role"

# As a Supabase project has them: its API comes as `authenticator` and takes the role of whoever asks.
_ROLES = """
    CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS;
    CREATE ROLE authenticator LOGIN NOINHERIT;
    GRANT anon, authenticated, service_role TO authenticator;
    CREATE ROLE project_owner LOGIN;
    CREATE ROLE importer LOGIN;
    CREATE SCHEMA auth;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, project_owner, importer;
    GRANT CREATE ON SCHEMA public TO project_owner
"""
_POLICIES = f"""
    CREATE POLICY own ON {SESSIONS} TO authenticated USING (provider_id = auth.uid()) WITH CHECK (provider_id = auth.uid());
    CREATE POLICY own ON {NOTES} TO authenticated
        USING (EXISTS (SELECT FROM {SESSIONS} s WHERE s.id = session_id AND s.provider_id = auth.uid()));
    CREATE POLICY own ON {AUDIT} FOR SELECT TO authenticated
        USING (EXISTS (SELECT FROM {SESSIONS} s WHERE s.id = session_id AND s.provider_id = auth.uid()))
"""


@dataclass(frozen=True, slots=True)
class Project:
    """The database, and the command line as each of its roles."""

    database: Database
    folder: Path

    def on_targets(self, statement: str) -> None:
        for target in TARGETS:
            self.database.execute(statement.format(target))

    def as_role(self, role: str) -> CommandLine:
        login = {"user": "authenticator", "options": f"-c role={role}"} if role == "service_role" else {"user": role}
        return CommandLine(make_dsn(self.database.url, **login), self.folder)

    def seen_by(self, role: str, provider: str | None = None) -> dict[str, set[str]]:
        """The ids of each target that a request to the API finds; `provider` is in its token."""
        connection = Database(make_dsn(self.database.url, user="authenticator")).connect()
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"SET LOCAL ROLE {role}")
            claims = json.dumps({"sub": provider, "role": role}) if provider else ""
            cursor.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
            found = {}
            for target in TARGETS:
                cursor.execute(f"SELECT id::text FROM {target}")
                found[target] = {row[0] for row in cursor.fetchall()}
        connection.close()
        return found


@pytest.fixture
def project(database: Database, tmp_path: Path) -> Iterator[Project]:
    name = database.value("SELECT current_database()")
    database.execute(_ROLES)
    database.execute(f"GRANT CREATE ON DATABASE {name} TO service_role, project_owner, importer")
    project = Project(database, tmp_path)
    project.on_targets("ALTER TABLE {} OWNER TO project_owner")
    project.on_targets("GRANT ALL ON {0} TO anon, authenticated, service_role; GRANT SELECT, INSERT ON {0} TO importer")
    project.on_targets("ALTER TABLE {} ENABLE ROW LEVEL SECURITY")
    database.execute(_POLICIES)
    yield project
    database.execute(f"DROP OWNED BY {', '.join(ROLES)} CASCADE; DROP ROLE {', '.join(ROLES)}")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With dead letters, conflicts and all that is unusual; of few items, so that sessions, notes and events meet."""
    root = tmp_path_factory.mktemp("row-security") / "export"
    write_sample_exports(root, items=150, seed=71, faulty=0.1, odd=0.2, items_per_file=60)
    return root


def let_in(project: Project, role: str) -> None:
    """A policy for a role that loads although it is subject to row security."""
    project.on_targets(f"CREATE POLICY loads ON {{}} TO {role} USING (true) WITH CHECK (true)")


def owned(export: Path, run_folder: Path) -> Mapping[str, dict[str, set[str]]]:
    """Provider -> target -> ids, by what the generator says of each item; of items that share a key, the one that is no dead letter."""
    of_session: dict[str, str] = {}
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: {target: set() for target in TARGETS})
    for table in TABLES:
        dead = {(one["data_file"], one["item_number"]) for one in records(run_folder / "dead_letters" / table.source)}
        for line in (export / "truth" / f"{table.source}.jsonl").read_text().rstrip("\n").split("\n"):
            entry = json.loads(line)
            if entry["outcome"] == "dead_letter" or (entry["data_file"], entry["item_number"]) in dead:
                continue
            row = entry["row"]
            if table.target == SESSIONS:
                of_session[row["id"].lower()] = row["provider_id"].lower()
            provider = of_session.get(row["id" if table.target == SESSIONS else "session_id"].lower())
            if provider:
                found[provider][table.target].add(row["id"].lower())
    return found


@pytest.mark.parametrize(
    ("role", "is_forced", "is_subject"),
    [("project_owner", False, False), ("service_role", True, False), ("importer", False, True), ("project_owner", True, True)],
    ids=["owner", "service_role", "subject", "owner with forced row security"],
)
def test_whoever_loads_each_provider_sees_the_own_rows_and_no_others(
    project: Project, export: Path, role: str, is_forced: bool, is_subject: bool
) -> None:
    """And a stranger none. Whether rows went in with COPY or past policies, they are those of the truth, and validate finds them equal."""
    if is_forced:
        project.on_targets("ALTER TABLE {} FORCE ROW LEVEL SECURITY")
    if is_subject:
        let_in(project, role)
    run = project.as_role(role)

    finished = run.migrate(export, "--chunk_items=40")

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(export, project.database, run.run_folders[0])
    own = owned(export, run.run_folders[0])
    assert all(sum(len(of_provider[target]) for of_provider in own.values()) > 50 for target in TARGETS)
    for provider, expected in own.items():
        assert project.seen_by("authenticated", provider) == expected
    nothing = {target: set() for target in TARGETS}
    assert project.seen_by("authenticated", str(uuid4())) == project.seen_by("authenticated") == project.seen_by("anon") == nothing
    everything = {target: {row[0] for row in project.database.query(f"SELECT id::text FROM {target}")} for target in TARGETS}
    assert project.seen_by("service_role") == everything

    validated = run.validate(export)

    assert validated.exit_code == 0, validated.output
    assert validated.stdout.count(APPLIES) == (3 if is_subject else 0)
    assert ("Every row equals its item" in validated.stdout) is not is_subject
    assert {bool(table["warnings"]) for table in report_of(run.run_folders[-1])["tables"]} == {is_subject}


def test_rows_that_are_hidden_are_not_called_equal(project: Project, export: Path) -> None:
    """Rows that no item accounts for, where a policy hides them: this role cannot know, and says so. Who sees all of them finds them."""
    let_in(project, "importer")
    run = project.as_role("importer")
    assert run.migrate(export).exit_code == 3
    added = {target: add_rows(project.database, target, 2) for target in TARGETS}
    for target in TARGETS:
        project.database.execute(f"ALTER POLICY loads ON {target} USING (id <> ALL ('{{{','.join(sorted(added[target]))}}}'::uuid[]))")

    hidden = run.validate(export)
    seen = CommandLine(project.database.url, project.folder).validate(export)

    assert hidden.stdout.count(APPLIES) == 3
    assert "Every row equals its item" not in hidden.stdout
    assert "as far as this role sees" in hidden.stdout
    assert seen.exit_code == 3, seen.output
    assert seen.stdout.count("2 rows that no item accounts for") == 3
    assert APPLIES not in seen.stdout


def test_an_owner_who_is_shut_out_later_finds_all_missing_and_why(project: Project, export: Path) -> None:
    """Forced after the load, with no policy for the owner: not one row is there for it, and it is no report of lost rows alone."""
    run = project.as_role("project_owner")
    assert run.migrate(export).exit_code == 3
    counts = [project.database.value(f"SELECT count(*) FROM {target}") for target in TARGETS]
    project.on_targets("ALTER TABLE {} FORCE ROW LEVEL SECURITY")

    finished = run.validate(export)

    assert finished.exit_code == 3, finished.output
    assert finished.stdout.count(APPLIES) == 3
    assert [table["mismatches"]["missing"] for table in report_of(run.run_folders[-1])["tables"]] == counts


def test_a_repair_does_not_write_what_is_only_hidden(project: Project, export: Path) -> None:
    """Rows that a policy hides look missing, but writing them again ends in one sentence. What is gone and may be seen comes back."""
    let_in(project, "importer")
    run = project.as_role("importer")
    assert run.migrate(export).exit_code == 3
    project.database.execute(f"ALTER POLICY loads ON {NOTES} USING (md5(id::text) < '8')")
    before = project.database.query(f"SELECT id::text, xmin::text FROM {NOTES} ORDER BY 1")

    hidden = run.validate(export, "--repair")

    assert hidden.exit_code == 1, hidden.output
    assert "a row security policy forbids its rows (42501)" in hidden.stderr
    assert project.database.query(f"SELECT id::text, xmin::text FROM {NOTES} ORDER BY 1") == before
    project.database.execute(f"ALTER POLICY loads ON {NOTES} USING (true)")
    project.database.execute(f"DELETE FROM {NOTES} WHERE id = %s", before[0][0])
    assert run.validate(export, "--repair").exit_code == 0
    assert {identity for (identity,) in project.database.query(f"SELECT id::text FROM {NOTES}")} == {identity for identity, _ in before}


def test_the_role_of_the_api_itself_is_refused(project: Project, export: Path) -> None:
    """`authenticator` has no rights but by the roles that it takes; and what one role loaded another is not told to be gone."""
    before = everything_in(project.database)
    refused = project.as_role("authenticator").migrate(export)

    assert refused.exit_code == 2, refused.output
    assert all(f"{target}: this role may not" in refused.stderr for target in TARGETS)
    assert everything_in(project.database) == before

    assert project.as_role("service_role").migrate(export).exit_code == 3
    let_in(project, "importer")
    of_other = project.as_role("importer").validate(export)

    assert of_other.exit_code == 2, of_other.output
    assert "belongs to another role" in of_other.stderr
    assert "missing" not in of_other.output
