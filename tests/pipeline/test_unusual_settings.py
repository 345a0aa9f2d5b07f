"""Settings of a role that change how PostgreSQL writes, finds or decides things change nothing of a load and what follows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.jobs import Job
from tests.handmade_export import write_export
from tests.postgres_server import Database, Server

ROLE = "unusual"
TARGET = "clinical_notes"

# What stands before PostgreSQL's own where pg_catalog is not the first schema of the search path.
SHADOWS = """
    CREATE FUNCTION public.format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'shadow' $$;
    CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT NULL::regclass $$;
    CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'shadow' $$;
    CREATE FUNCTION public.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT 7::bigint $$;
"""

UNUSUAL: dict[str, dict[str, str]] = {
    "names of types are quoted": {"quote_all_identifiers": "on"},
    "values look otherwise": {
        "DateStyle": "German",
        "IntervalStyle": "iso_8601",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
        "xmlbinary": "hex",
        "xmloption": "document",
        "TimeZone": "Asia/Kathmandu",
        "array_nulls": "off",
        "transform_null_equals": "on",
        "client_encoding": "LATIN1",
        "client_min_messages": "debug5",
    },
    "strings as once": {"standard_conforming_strings": "off", "backslash_quote": "off", "escape_string_warning": "off"},
    "functions of somebody's first": {"search_path": "public, pg_catalog"},
    "transactions and rights": {
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "synchronous_commit": "off",
        "row_security": "off",
        "check_function_bodies": "off",
    },
    "plans": {
        "enable_seqscan": "off",
        "enable_nestloop": "off",
        "jit_above_cost": "0",
        "plan_cache_mode": "force_generic_plan",
        "gin_fuzzy_search_limit": "1",
        "work_mem": "64kB",
    },
}


def _lines() -> list[bytes]:
    """Texts with what quoting is about, numbers of many digits, a key twice, one that a check refuses, an item that is none."""
    soap = {
        "chiefComplaint": {"S": "\\ ' \" $$ \\' E'\\n' %s \u00e9\u4e2d"},
        "subjective": {"M": {"dose": {"N": "1.23456789012345678901234567891"}, "back\\slash": {"S": "\\u0041"}, "none": {"NULL": True}}},
        "plan": {"L": [{"S": "NULL"}, {"NULL": True}]},
    }
    items = [
        {
            "id": {"S": f"11111111-1111-4111-8111-{number:012d}"},
            "sessionId": {"S": "22222222-2222-4222-8222-222222222222"},
            "appointmentId": {"S": "33333333-3333-4333-8333-333333333333"},
            "status": {"S": "ARCHIVED" if number == 4 else "SIGNED"},
            "soapData": {"M": soap},
            "createdAt": {"N": "1700000000000.001"},
            "updatedAt": {"N": str(1700000000000 + number)},
        }
        for number in (1, 2, 3, 3, 4)
    ]
    return [*(json.dumps({"Item": item}).encode() for item in items), b"{"]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("unusual"), "medzen-soap-notes", [_lines()])


@pytest.fixture(scope="module", autouse=True)
def _role(server: Server) -> None:
    """No superuser: what only those may set is the server's own affair."""
    Database(server.url("postgres")).execute(f"CREATE ROLE {ROLE} LOGIN")


EXPECTED = [("warning", "manifest_not_verified"), ("warning", "no_export"), ("warning", "no_export"), ("warning", "not_durable")]
# The few items here have not all attributes.
EXPECTED += [("warning", "server_log"), ("warning", "attribute_absent")]
"""What preflight finds with usual settings, of the tests' own server."""


@pytest.mark.parametrize("settings", UNUSUAL.values(), ids=UNUSUAL)
def test_nothing_changes(server: Server, job: Job, export: Path, settings: dict[str, str]) -> None:
    """Preflight and the outcomes are as ever, rows are what the items say, and a superuser with usual settings finds them equal."""
    database = server.new_database()
    name = database.value("SELECT current_database()")
    database.execute(
        f"ALTER TABLE {TARGET} ADD CHECK (status <> 'ARCHIVED'), ADD span interval DEFAULT '1 day 02:00', ADD share float8 DEFAULT 0.1, "
        "ADD blob bytea DEFAULT '\\x01ff', ADD texts text[] DEFAULT '{NULL,a}'"
    )
    if "search_path" in settings:
        database.execute(SHADOWS)
    database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}; GRANT CREATE ON DATABASE {name} TO {ROLE}")
    for setting, value in settings.items():
        written = value if setting == "search_path" else f"'{value}'"
        database.execute(f"ALTER ROLE {ROLE} IN DATABASE {name} SET {setting} = {written}")
    url = database.url.replace("user=postgres", f"user={ROLE}")
    given = ("--export", export, "--output", job.output)

    assert job(url, "preflight", *given, "--json") == 0, job.stdout
    findings = [(one["verdict"], one["name"]) for one in json.loads(job.stdout)["checks"]["preflight"] if one["verdict"] != "fact"]
    assert findings == EXPECTED
    assert job(url, "migrate", *given, "--direct_num_workers=1") == 3, job.stderr
    database.execute(f"ALTER TABLE {TARGET} DROP CONSTRAINT clinical_notes_status_check")
    assert job(url, "dead-letters", "replay", job.last_run, "--output", job.output) == 3, job.stderr
    assert _rows(database) == [(number, *_ROW) for number in (1, 2, 3, 4)]
    assert job(database.url, "validate", *given, "--direct_num_workers=1") == 0, job.stdout + job.stderr
    assert job(url, "rollback", *given, "--yes") == 0, job.stdout + job.stderr
    assert _rows(database) == []


_ROW = (
    "\\ ' \" $$ \\' E'\\n' %s \u00e9\u4e2d",
    r'{"dose": 1.23456789012345678901234567891, "none": null, "back\\slash": "\\u0041"}',
    '["NULL", null]',
)


def _rows(database: Database) -> list[tuple[object, ...]]:
    return database.query(
        f"SELECT right(id::text, 1)::int, chief_complaint, subjective::text, plan::text FROM {TARGET} "
        "WHERE created_at = '2023-11-14 22:13:20.000001Z' ORDER BY 1"
    )
