"""Row security with the roles that a Supabase project has: what preflight says of each, and that the load then does just that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from tests.command_line import CommandLine
from tests.pipeline.conftest import Attempt, Look
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import load_into_files
from tests.postgres_server import Database
from transforms.tables.medzen import TABLES

TARGETS = [table.target for table in TABLES]
SERVICE, OWNER, SUBJECT = "service_role", "project_owner", "subject"


@dataclass(frozen=True, slots=True)
class Project:
    """A database whose targets belong to a role that is no superuser, with Supabase's roles of the API beside it."""

    database: Database

    def url(self, role: str) -> str:
        return make_dsn(self.database.url, user=role)

    def on_targets(self, statement: str) -> None:
        for target in TARGETS:
            self.database.execute(statement.format(target))

    def counts(self) -> list[int]:
        return [self.database.value(f"SELECT count(*) FROM {target}") for target in TARGETS]


@pytest.fixture
def project(database: Database) -> Iterator[Project]:
    name = database.value("SELECT current_database()")
    database.execute("CREATE ROLE anon; CREATE ROLE authenticated")
    database.execute(f"CREATE ROLE {SERVICE} LOGIN BYPASSRLS; CREATE ROLE {OWNER} LOGIN; CREATE ROLE {SUBJECT} LOGIN")
    database.execute(f"GRANT CREATE ON DATABASE {name} TO {SERVICE}, {OWNER}, {SUBJECT}; GRANT CREATE ON SCHEMA public TO {OWNER}")
    project = Project(database)
    project.on_targets(f"ALTER TABLE {{}} OWNER TO {OWNER}")
    project.on_targets(f"GRANT SELECT, INSERT ON {{}} TO {SERVICE}, {SUBJECT}")
    project.on_targets("ALTER TABLE {} ENABLE ROW LEVEL SECURITY")
    yield project
    roles = f"anon, authenticated, {SERVICE}, {OWNER}, {SUBJECT}"
    database.execute(f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}")


def codes(look: Look, url: str) -> set[tuple[str, str]]:
    """Level and code of all that is said of row security."""
    return {(found.verdict.value, found.name) for found in look(url=url) if "row_security" in found.name or "exposed" in found.name}


@pytest.mark.parametrize(("role", "why"), [(SERVICE, "it has BYPASSRLS"), (OWNER, "it owns the table")])
def test_a_role_that_bypasses_row_security_loads(project: Project, look: Look, exports: Path, role: str, why: str) -> None:
    """Enabled, but not for this role; the sentence says why."""
    url = project.url(role)

    assert codes(look, url) == {("fact", "row_security_bypassed")}
    assert f"does not apply to the role {role} ({why})" in look.of("row_security_bypassed", url=url)[0].detail
    load_into_files(exports, reference_to(url), {})
    assert project.counts() == [30] * 3


def test_a_member_of_the_owner_owns(project: Project, look: Look) -> None:
    """As PostgreSQL has it."""
    project.database.execute(f"GRANT {OWNER} TO {SUBJECT}")

    assert codes(look, project.url(SUBJECT)) == {("fact", "row_security_bypassed")}


def test_forced_row_security_applies_to_the_owner_too(project: Project, look: Look) -> None:
    """But not to BYPASSRLS."""
    project.on_targets("ALTER TABLE {} FORCE ROW LEVEL SECURITY")

    assert codes(look, project.url(OWNER)) == {("fail", "row_security_forbids")}
    assert codes(look, project.url(SERVICE)) == {("fact", "row_security_bypassed")}
    assert "forced on its owner too" in look.of("row_security_forbids", url=project.url(OWNER))[0].detail


@pytest.mark.parametrize(
    ("policies", "lacking"),
    [
        ("", "INSERT and SELECT"),
        ("FOR SELECT USING (true)", "INSERT"),
        ("FOR INSERT WITH CHECK (true)", "SELECT"),
        ("TO anon USING (true) WITH CHECK (true)", "INSERT and SELECT"),
        ("AS RESTRICTIVE USING (true) WITH CHECK (true)", "INSERT and SELECT"),
        ("FOR UPDATE USING (true) WITH CHECK (true)", "INSERT and SELECT"),
    ],
)
def test_a_role_that_no_policy_lets_in_is_refused(project: Project, look: Look, attempt: Attempt, policies: str, lacking: str) -> None:
    """It could load nothing, and would count no rows where there are some; nothing is written."""
    if policies:
        project.on_targets(f"CREATE POLICY rule ON {{}} {policies}")
    url = project.url(SUBJECT)

    assert codes(look, url) == {("fail", "row_security_forbids")}
    assert all(f"no policy lets it {lacking}: " in found.detail for found in look.of("row_security_forbids", url=url))
    assert len(attempt.problems(url=url)) == 3


@pytest.mark.parametrize(
    "policies",
    [
        ["USING (true) WITH CHECK (true)"],
        ["FOR INSERT TO subject WITH CHECK (true)", "FOR SELECT TO PUBLIC USING (true)"],
        ["TO authenticated USING (true)"],
    ],
)
def test_a_role_that_policies_let_in_loads(project: Project, look: Look, exports: Path, policies: list[str]) -> None:
    """Without COPY; also by a role that it is a member of."""
    project.database.execute(f"GRANT authenticated TO {SUBJECT}")
    for number, policy in enumerate(policies):
        project.on_targets(f"CREATE POLICY some_{number} ON {{}} {policy}")
    url = project.url(SUBJECT)

    assert codes(look, url) == {("warning", "row_security_applies")}
    assert [found.detail for found in look.of("empty", url=url)] == ["is empty, as far as this role sees"] * 3
    load_into_files(exports, reference_to(url), {})
    assert project.counts() == [30] * 3


def test_migrate_warns_of_row_security_that_applies(project: Project, exports: Path, tmp_path: Path) -> None:
    """Of each table, before the first is loaded."""
    project.on_targets("CREATE POLICY lets_in ON {} USING (true) WITH CHECK (true)")

    finished = CommandLine(project.url(SUBJECT), tmp_path, is_plain=True).migrate(exports)

    assert finished.exit_code == 0, finished.output
    assert (
        finished.stdout.count("warning: ") == 3 + 2
    )  # no superuser, so the server's log is warned of, too; and the tests' own server does not flush
    assert finished.stdout.count("row security applies to the role") == 3
    assert project.counts() == [30] * 3


def test_migrate_does_not_warn_a_role_that_bypasses_row_security(project: Project, exports: Path, tmp_path: Path) -> None:
    """As Supabase's service role does."""
    finished = CommandLine(project.url(SERVICE), tmp_path, is_plain=True).migrate(exports)

    assert finished.exit_code == 0, finished.output
    assert "row security" not in finished.stdout
    assert finished.stdout.count("warning") == 2  # of the server's log, and that it does not flush


def test_a_policy_that_forbids_the_rows_stops_the_load_as_was_warned(project: Project, look: Look, exports: Path, tmp_path: Path) -> None:
    """Whether a policy's condition holds, only the rows can tell; what stops the load is one sentence."""
    project.on_targets("CREATE POLICY own ON {} USING (id::text = current_setting('request.jwt.claims', true))")
    url = project.url(SUBJECT)

    assert codes(look, url) == {("warning", "row_security_applies")}
    finished = CommandLine(url, tmp_path, is_plain=True).migrate(exports)
    assert finished.exit_code == 1, finished.output
    assert "a row security policy forbids its rows (42501)" in finished.stderr


def test_a_table_that_the_api_can_read_without_row_security_is_a_warning(project: Project, look: Look) -> None:
    """Supabase grants everything on new tables in `public` to the roles of the API, and leaves row security off."""
    project.on_targets("ALTER TABLE {} DISABLE ROW LEVEL SECURITY")
    assert codes(look, project.url(OWNER)) == {("fact", "row_security_off")}
    project.database.execute("GRANT SELECT ON clinical_notes TO anon; GRANT INSERT ON video_call_audit_log TO authenticated")

    assert codes(look, project.url(OWNER)) == {("fact", "row_security_off"), ("warning", "exposed_to_api")}
    found = {finding.table: finding.detail for finding in look.of("exposed_to_api", url=project.url(OWNER))}
    assert found.keys() == {"clinical_notes", "video_call_audit_log"}
    assert "anon may use" in found["clinical_notes"]
    project.database.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO project_owner")
    assert codes(look, project.url(OWNER)) == {("fact", "row_security_off")}
