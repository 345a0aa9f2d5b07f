"""`follow`, window after window over HTTP: what the table holds after each, how it ends, and how it goes on after it was killed."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.target.session import RetryLimit, Session
from tests.command_line import CommandLine
from tests.faults.jobs import Job, wait_until
from tests.living_table import LivingTable
from tests.pipeline.commands.following import Following
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, Refusal
from tests.pipeline.target.made_loads import uuid
from tests.postgres_server import Database


def test_window_after_window_as_soon_as_it_can_be_had(following: Following) -> None:
    """Each is 15 minutes long, but for the first, which makes up for what has passed; and the table is as of its end."""
    for number in range(40):
        following.table.put(number % 7, 5 * number + 1, name=f"{number}")
    following.table.delete(2, 130)
    following.table.put(5, 250, name="after")
    following.most_pauses = 5
    seen = []
    following.meanwhile = lambda _: seen.append((following.names(), following.end()))
    assert following() == 130
    assert len({end for _, end in seen}) == 6
    for names, end in seen:
        assert names == following.table.names_at(end)
    lengths = [end - begin for begin, end in (export.window for export in following.table.dynamodb.exports)]
    assert all(timedelta(minutes=15) <= length < timedelta(minutes=16) for length in lengths[1:])
    following.assert_whole()
    assert "things: applied to" in following.job.stdout
    assert "waiting" in following.job.stdout


def test_once_applies_and_says_how_it_ended(following: Following) -> None:
    following.table.put(4, 20, name="new")
    assert following.once() == 0
    assert "1 inserted; 0 outdated rows" in following.job.stdout
    assert following.once() == 75
    assert "too early, nothing was started" in following.job.stderr
    following.table.dynamodb.ahead += timedelta(minutes=16)
    following.table.put(5, 185, name={"N": "5"})
    assert following.once() == 3
    assert "1 dead letters" in following.job.stdout
    following.table.dynamodb.ahead += timedelta(minutes=16)
    assert following.once() == 0
    assert "no changes" in following.job.stdout
    following.assert_whole()


def test_an_outdated_row_is_told_each_time(following: Following) -> None:
    """Until its item is good again; the windows go on meanwhile."""
    following.table.put(1, 20, name={"N": "5"})
    following.table.put(1, 200, name="good again")
    codes = []
    for _ in range(3):
        codes.append(following.once())
        following.table.dynamodb.ahead += timedelta(minutes=16)
    assert codes == [3, 3, 0]
    assert "1 outdated rows" in following.job.printed
    assert following.names()[uuid(1)] == "good again"


def test_a_row_of_somebody_else_ends_it(following: Following, bare: Database) -> None:
    following.table.put(1, 20, name="b")
    bare.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    following.most_pauses = 3
    assert following() == 1
    assert "--conflicts=keep" in following.job.stderr
    assert following.pauses == []
    assert following.once("--conflicts=keep") == 3
    assert following.names()[uuid(1)] == "theirs"


def test_what_was_exported_before_is_applied_and_not_asked_for_again(following: Following, bare: Database) -> None:
    table = following.table
    table.put(4, 20, name="new")
    assert following.job(bare.url, "export", "things", "--to", table.to, "--incremental") == 0, following.job.printed
    assert following.once() == 0
    assert len(table.dynamodb.exports) == 1
    following.assert_whole()


def test_nothing_else_is_asked_for_before_a_longer_time_has_passed(following: Following) -> None:
    assert following.once("--every=240") == 75
    assert following.table.dynamodb.exports == []
    following.most_pauses = 2
    assert following("--every=240") == 130
    assert following.pauses[0] == pytest.approx(62 * 60, abs=60)
    lengths = [end - begin for begin, end in (export.window for export in following.table.dynamodb.exports)]
    assert len(lengths) == 2
    assert all(timedelta(hours=4) <= length < timedelta(hours=4, minutes=1) for length in lengths)
    following.assert_whole()


def test_what_passes_is_tried_again_later_and_later(following: Following) -> None:
    """A fault of DynamoDB, when it is looked at and when it is asked."""
    fault = Refusal("InternalServerError")  # with a status that botocore does not try again by itself
    following.table.dynamodb.refuse_next = {"ListExports": [fault, fault], "ExportTableToPointInTime": [fault]}
    following.most_pauses = 3
    assert following() == 130
    assert following.job.stdout.count("trying again in") == 3
    assert 5 <= following.pauses[0] <= 10 <= following.pauses[1] <= 20 <= following.pauses[2] <= 40
    following.assert_whole()


def test_a_database_that_is_away_for_a_while(
    following: Following, bare: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bare.value("SELECT current_database()")
    monkeypatch.setattr("pipeline.commands.follow.Session", partial(Session, limit=RetryLimit(0.1)))

    def away(pause: int) -> None:
        database.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {pause != 1}')

    following.meanwhile = away
    following.most_pauses = 3
    assert following() == 130
    assert "the connection to the database failed" in following.job.stdout
    assert len(following.table.dynamodb.exports) == 3
    following.assert_whole()


def test_what_does_not_pass_ends_it(following: Following) -> None:
    following.table.dynamodb.denied.add("ListExports")
    following.most_pauses = 3
    assert following() == 2
    assert "access is denied" in following.job.stderr
    assert following.pauses == []


def test_an_export_that_fails_ends_it_and_is_asked_for_again(following: Following) -> None:
    (source,) = following.table.dynamodb.tables.values()
    source.failure = ("S3AccessDenied", "Access denied")
    assert following() == 1
    assert "S3AccessDenied" in following.job.stderr
    source.failure = None
    assert following.once() == 0
    following.assert_whole()


def test_without_a_load_it_is_refused(dynamodb: ModelDynamoDB, table: LivingTable, bare: Database, job: Job) -> None:
    assert job(bare.url, "follow", *table.options) == 2
    assert "none of things was loaded into this database; load full exports first" in job.stderr
    assert job(bare.url, "follow", "thinks", *table.options) == 2
    assert "thinks: there is no definition of this table" in job.stderr
    assert not dynamodb.calls


def test_json_is_one_object_a_cycle(following: Following) -> None:
    following.table.put(4, 20, name="new")
    following.most_pauses = 1
    assert following("--json") == 130
    decoder, objects, text = json.JSONDecoder(), [], following.job.stdout
    while text.strip():
        told, end = decoder.raw_decode(text.lstrip())
        objects.append(told)
        text = text.lstrip()[end:]
    assert [told["command"] for told in objects] == ["follow"] * 3
    assert [told["exit_code"] for told in objects] == [0, 0, 130]
    first, second = (told["followed"][0] for told in objects[:2])
    assert first["source_table"] == "things"
    assert first["applied_to"] < second["applied_to"]
    assert objects[0]["tables"][0]["applied"]["inserted"] == 1


# -- killed --------------------------------------------------------------------------------------------------------------------------------


def _start(run: CommandLine, table: LivingTable) -> Any:
    return run.start("follow", *table.options, "--output", run.output)


def _finish(following: Following, database: Database, run: CommandLine) -> None:
    """The same again comes to its end, with the exports that were asked for."""
    exports = len(following.table.dynamodb.exports)
    finished = run("follow", *following.table.options, "--output", run.output, "--once")
    assert finished.exit_code == 0, finished.output
    assert len(following.table.dynamodb.exports) == exports == 1
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE chain IS NOT NULL") == 1
    following.assert_whole()


@pytest.mark.parametrize("call", ["ExportTableToPointInTime", "DescribeExport"])
def test_killed_when_it_asked_and_when_it_waited(following: Following, bare: Database, tmp_path: Path, call: str) -> None:
    """The request is on its way, or the export; DynamoDB answers nobody."""
    run, dynamodb = CommandLine(bare.url, tmp_path / "killed"), following.table.dynamodb
    following.table.put(1, 20, name="b")
    dynamodb.looks_to_finish = 1 if call == "DescribeExport" else 0
    dynamodb.hold[call, 1] = threading.Event()
    command = _start(run, following.table)
    wait_until(dynamodb.is_waited_for.is_set)
    command.kill()
    command.wait(300)
    dynamodb.hold.popitem()[1].set()
    wait_until(lambda: dynamodb.exports)
    _finish(following, bare, run)


def test_killed_when_it_applied(following: Following, bare: Database, tmp_path: Path) -> None:
    """The window was begun; another one could be had meanwhile, and the one that was begun comes first."""
    run = CommandLine(bare.url, tmp_path / "killed")
    following.table.put(1, 20, name="b")
    with contextlib.closing(bare.connect()) as other, other.cursor() as cursor:
        other.autocommit = False
        cursor.execute("LOCK TABLE thing IN SHARE MODE")
        command = _start(run, following.table)
        wait_until(lambda: bare.value("SELECT count(*) FROM ddb2pg.load WHERE chain IS NOT NULL"))
        wait_until(lambda: bare.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        command.kill()
        command.wait(300)
        other.rollback()
    _finish(following, bare, run)


def test_told_to_end_while_it_waits(following: Following, bare: Database, tmp_path: Path) -> None:
    run = CommandLine(bare.url, tmp_path / "told")
    command = _start(run, following.table)
    wait_until(lambda: bare.value("SELECT count(*) FROM ddb2pg.load WHERE chain IS NOT NULL AND validated IS NOT NULL"))
    command.send_signal(15)
    _, stderr = command.communicate(60)
    assert command.returncode == 1
    assert "was told to end (SIGTERM)" in stderr
    following.assert_whole()
