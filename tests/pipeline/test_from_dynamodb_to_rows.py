"""From DynamoDB to rows, over HTTP all the way: put items, `export`, `migrate`, and compare with what was put.

What was put, and what each item must become, is what a person wrote down: the golden pairs of items and rows.
"""

from __future__ import annotations

import base64
import copy
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.postgres_server import Database
from transforms.table import Table
from transforms.tables.medzen import TABLES

GOLDEN = Path(__file__).parent.parent / "golden"
COPIES = 40
# The golden rows have this where an item has no time of its own.
MIGRATION_TIME = "migration_time"

Item = dict[str, Any]


def _items(table: str) -> Iterator[Item]:
    """Every golden item, many times, each time with an id of its own."""
    for path in sorted((GOLDEN / table).glob("*.item.json")):
        item = json.loads(path.read_text(encoding="utf-8"), object_hook=_with_bytes)["Item"]
        for number in range(COPIES):
            changed = copy.deepcopy(item)
            changed["id"]["S"] = _id(path.name.split(".")[0], number)
            yield changed


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """boto3 takes bytes where an export has base64."""
    if isinstance(value.get("B"), str):
        return {"B": base64.b64decode(value["B"])}
    if "BS" in value:
        return {"BS": [base64.b64decode(member) for member in value["BS"]]}
    return value


def _id(kind: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))


def _put(aws_server: AwsServer, table: str) -> int:
    dynamodb = aws_server.client("dynamodb")
    has_time = table == "medzen-meeting-audit"
    keys = [("id", "HASH", "S")] + [("timestamp", "RANGE", "N")] * has_time
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind, _ in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": tag} for name, _, tag in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    put = 0
    for item in _items(table):
        dynamodb.put_item(TableName=table, Item=item)
        put += 1
    return put


@pytest.fixture(scope="module")
def own_aws() -> Iterator[AwsServer]:
    """A server of its own: the three tables have fixed names."""
    server = AwsServer()
    yield server
    server.stop()


def test_what_was_put_into_dynamodb_is_in_postgresql(own_aws: AwsServer, database: Database, run: CommandLine) -> None:
    """Three tables: every item is one row, and the row is the one that was written down for it."""
    own_aws.make_bucket("exports")
    put = {table.source: _put(own_aws, table.source) for table in TABLES}

    exported = run("export", "--to", "s3://exports/tonight", "--json", **own_aws.environment)

    assert exported.exit_code == 0, exported.output
    told = json.loads(exported.stdout)["exports"]
    assert {one["source_table"]: one["items"] for one in told} == put
    assert "not exact" not in exported.stderr or any(one["items"] != one["table_items"] for one in told)
    arguments = [part for one in told for part in ("--export", one["uri"])]
    assert " ".join(arguments[:2]) in exported.stderr

    migrated = run("migrate", *arguments, "--output", run.output, **own_aws.environment)

    assert migrated.exit_code == 0, migrated.output
    assert "no manifest" in migrated.stdout
    for table in TABLES:
        assert _differing_rows(database, table) == []
        assert database.value(f"SELECT count(*) FROM {table.target}") == put[table.source]


def _differing_rows(database: Database, table: Table) -> list[str]:
    """Ids whose row is missing, or is not the golden one. PostgreSQL compares, so that 38.9 is 38.90 and no digit gets lost on the way."""
    time = database.value("SELECT migration_time::text FROM ddb2pg.load WHERE source_table = %s", table.source)
    expected = []
    for path in sorted((GOLDEN / table.source).glob("*.row.json")):
        row = path.read_text(encoding="utf-8").replace(MIGRATION_TIME, time)
        kind = path.name.split(".")[0]
        expected += [f'{row.rstrip().removesuffix("}")}, "id": "{_id(kind, number)}"}}' for number in range(COPIES)]
    found = database.query(
        f"""
        SELECT e.id::text FROM jsonb_populate_recordset(NULL::{table.target}, %s::jsonb) e LEFT JOIN {table.target} t USING (id)
        WHERE to_jsonb(t) IS DISTINCT FROM to_jsonb(e)
        """,
        f"[{', '.join(expected)}]",
    )
    return [identity for (identity,) in found]
