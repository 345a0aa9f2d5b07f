"""`report.json`: as its schema says, as the files beside it say, and without a secret."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.pipeline.outcome.reported import PASSWORD, SCHEMA, TABLES, Reported, problems_of
from tests.pipeline.planted import report_of
from tests.truth import records, text_of

ROOT = Path(__file__).parents[3]


def test_reports_are_as_their_schema_says(reported: Reported) -> None:
    """Of both commands; and a report that lacks something is not."""
    Draft202012Validator.check_schema(SCHEMA)
    for folder in (reported.migrated, reported.validated):
        report = report_of(folder)
        assert problems_of(report) == []
        assert problems_of({**report, "schema_version": 2})
        assert problems_of({**report, "tables": [{}]})


def test_every_field_is_described() -> None:
    """In docs/report.md, each name of the schema as code."""

    def names(schema: object) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(names, schema)) if schema else set()
        if not isinstance(schema, dict):
            return set()
        return set(schema.get("properties", {})) | set().union(*(names(inner) for inner in schema.values()))

    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert {name for name in names(SCHEMA) if f"`{name}`" not in text} == set()


def test_the_records_are_counted_as_the_files_have_them(reported: Reported) -> None:
    """Dead letters by each of their errors once, notices one by one, whatever name stands for an attribute."""
    counted = Counter[tuple[str, str, str]]()
    for count in report_of(reported.migrated)["records"]:
        counted[count["kind"], count["table"], count["code"]] += count["count"]
    expected = Counter[tuple[str, str, str]]()
    for record in reported.dead_letters():
        about = {
            (error["code"], error["attribute"] and error["attribute"].translate({ord(digit): None for digit in "0123456789"}))
            for error in record["errors"]
        }
        expected.update(("dead_letters", record["source_table"], code) for code, _ in about)
    for table in TABLES:
        expected.update(("notices", table, record["code"]) for record in records(reported.migrated / "notices" / table))
    assert counted == expected


def test_mismatches_are_counted_by_column(reported: Reported) -> None:
    expected = Counter[tuple[str, str, str | None]]()
    for table in TABLES:
        for record in records(reported.validated / "mismatches" / table):
            expected.update((table, record["kind"], column) for column in record["columns"] or [None])
    found = {(one["table"], one["code"], one["attribute"]): one["count"] for one in report_of(reported.validated)["records"]}
    assert found == expected
    assert len(expected) > 15


def test_the_runs_add_up(reported: Reported) -> None:
    """What the ledger says of workers and of the pace is all of the load."""
    for table in report_of(reported.migrated)["tables"]:
        [run] = table["runs"]
        assert run["run_id"] == reported.migrated.name
        assert run["items"] == sum(run["pace"]["items"]) == sum(worker["items"] for worker in run["workers"]) == 1_500
        assert run["chunks"] == sum(worker["chunks"] for worker in run["workers"]) == 30


def test_the_verdict_and_the_checks_are_in_it(reported: Reported) -> None:
    """Preflight's findings, and what the comparison found, each with its verdict."""
    migrated, validated = report_of(reported.migrated), report_of(reported.validated)
    assert migrated["verdict"]["sentence"] == "Every item is accounted for"
    assert migrated["verdict"]["state"] == "review"
    assert {"server_version", "export", "primary_key"} <= {check["name"] for check in migrated["checks"]["preflight"]}
    assert validated["verdict"]["sentence"] == "There are differences"
    assert [check["verdict"] for table in validated["tables"] for check in table["checks"]] == ["pass", "fail", "fail"] * 3
    for table in migrated["tables"]:
        [gate] = table["checks"]
        assert gate["verdict"] == "pass"
        assert gate["detail"].startswith("50 items were compared"), "the beginning of the file, as far as its chunk goes"
    assert {check["verdict"] for check in validated["checks"]["sql"]} >= {"pass", "fail"}
    assert [(request["name"], request["verdict"]) for request in validated["checks"]["requests"]] == [
        ("all is well", "pass"),
        ("nothing for strangers", "fail"),
    ]
    assert "Requests that failed: nothing for strangers" in validated["verdict"]["details"]


def test_the_database_is_named_without_its_password(reported: Reported) -> None:
    """In no file of the run."""
    report = report_of(reported.migrated)
    assert set(report["database"]) == {"host", "port", "name", "user", "server_version"}
    assert report["database"]["user"] == "postgres"
    for folder in (reported.migrated, reported.validated):
        for path in folder.rglob("*"):
            assert path.is_dir() or PASSWORD not in text_of(path), path


@pytest.mark.parametrize("kind", ["migrated", "validated"])
def test_the_settings_hold_no_value_of_an_option_of_beam(reported: Reported, kind: str) -> None:
    """It may be a secret; its name is enough."""
    settings = report_of(getattr(reported, kind))["settings"]
    assert settings["beam_options"] == ["--direct_num_workers"]
