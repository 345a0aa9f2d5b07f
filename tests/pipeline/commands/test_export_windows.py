"""`ddb2pg export --incremental` as a user runs it: the ledger in a database, DynamoDB over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.sql import read_sql
from sample_export import ChainSettings, write_sample_chains
from tests.command_line import CommandLine, Finished
from tests.pipeline.source.dynamodb.model_dynamodb import REGION, ModelDynamoDB
from tests.postgres_server import Database
from transforms.tables.medzen import TABLES

_NAMES = [table.source for table in TABLES]
_TO = "s3://clinic-exports/to-postgres"
Use = Callable[[Mapping[str, str]], None]


@pytest.fixture
def dynamodb(use_aws: Use) -> Iterator[ModelDynamoDB]:
    use_aws({"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": REGION})
    model = ModelDynamoDB()
    for name in _NAMES:
        model.add_table(name)
    yield model
    model.stop()


def _export(run: CommandLine, dynamodb: ModelDynamoDB, *arguments: str) -> Finished:
    return run("export", "--to", _TO, "--endpoint_url", dynamodb.endpoint_url, "--incremental", *arguments)


def _ago(dynamodb: ModelDynamoDB, **ago: float) -> datetime:
    return (dynamodb.now - timedelta(**ago)).replace(microsecond=0)


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_windows_follow_what_migrate_has_loaded(run: CommandLine, database: Database, dynamodb: ModelDynamoDB, tmp_path: Path) -> None:
    """From the very second on where the full export ends; after a window, from where that ends, and of its view."""
    database.execute(read_sql("schema.sql"))
    settings = ChainSettings(windows=1, view="NEW_IMAGE", items=30, changes=10, faulty=0, odd=0, seed=1, items_per_file=100)
    (chain,) = write_sample_chains(tmp_path / "bucket", settings, _NAMES[:1])
    (window,) = chain.windows
    for folder, end in ((chain.full.folder, "exportTime"), (window, "exportToTime")):
        summary = json.loads((folder / "manifest-summary.json").read_bytes())
        time = datetime.fromisoformat(summary[end])
        dynamodb.ahead = time + timedelta(hours=30) - datetime.now(UTC)
        table = dynamodb.add_table(_NAMES[0])
        table.table_id = summary["tableId"]
        applied = run.migrate(folder, "--direct_num_workers=1")
        assert applied.exit_code in (0, 3), applied.output  # a window has items that become bad

        windows = _export(run, dynamodb, _NAMES[0])

        assert windows.exit_code == 0, windows.output
        first, second = dynamodb.exports[-2:]
        assert (first.window[0], first.window[1], second.window[0]) == (time, time + timedelta(hours=24), time + timedelta(hours=24))
    assert second.parameters["IncrementalExportSpecification"]["ExportViewType"] == "NEW_IMAGE"
    assert "now apply them, with the options of the load that they follow:\n  ddb2pg migrate --export s3://clinic" in windows.stdout


def test_too_early_has_an_exit_code_of_its_own(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    """A timer tries again later, and does not tell anybody."""
    begin = _ago(dynamodb, minutes=10)
    early = _export(run, dynamodb, _NAMES[0], "--from", _shown(begin), "--json")
    assert early.exit_code == 75
    assert "too early, nothing was started:\n  - a window is 15 minutes at least" in early.stderr
    told = json.loads(early.stdout)
    assert told["exit_code"] == 75
    assert (told["verdict"]["state"], told["verdict"]["sentence"]) == ("later", "too early, nothing was started")
    assert f"can be requested at {_shown(begin + timedelta(minutes=17))}" in early.stderr


def test_without_a_database_from_says_where_windows_begin(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    begin, until = _ago(dynamodb, hours=5), _ago(dynamodb, hours=1)
    run.database_url = "postgresql://nobody@127.0.0.1:1/nothing"
    done = _export(run, dynamodb, _NAMES[0], "--from", _shown(begin), "--until", _shown(until), "--view", "NEW_IMAGE", "--json")
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["exports"]
    assert result["window"] == {"from_time": begin.isoformat(), "to_time": until.isoformat(), "view": "NEW_IMAGE"}
    assert result["export_time"] is None
    assert urlsplit(result["uri"]).netloc == "clinic-exports"


def test_a_database_that_cannot_be_reached_is_refused(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    run.database_url = "postgresql://nobody@127.0.0.1:1/nothing"
    refused = _export(run, dynamodb, _NAMES[0])
    assert refused.exit_code == 2
    assert "or say it with --from" in refused.stderr
    assert not dynamodb.calls


def test_what_the_ledger_has_against_windows_is_refused(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    refused = _export(run, dynamodb)
    assert refused.exit_code == 2
    assert "nothing was ever loaded into this database" in refused.stderr
    assert not dynamodb.calls


def test_options_of_windows_are_refused_without_windows(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    """All of them; a full export in their place would be an expensive answer."""
    time = _shown(_ago(dynamodb, hours=5))
    arguments = ["--from", time, "--until", time, "--view", "NEW_IMAGE", "--database", "postgresql://h/d"]
    refused = run("export", "--to", _TO, "--endpoint_url", dynamodb.endpoint_url, *arguments)
    assert refused.exit_code == 2
    for flag in arguments[::2]:
        assert f"{flag} is for windows; give --incremental as well, or leave it out" in refused.stderr
    assert not dynamodb.calls


def test_a_view_that_does_not_exist(run: CommandLine, dynamodb: ModelDynamoDB) -> None:
    """AWS's documentation has it, and AWS refuses it."""
    refused = _export(run, dynamodb, "--view", "NEW_IMAGES")
    assert refused.exit_code == 2
    assert "choose from NEW_IMAGE, NEW_AND_OLD_IMAGES" in refused.stderr
