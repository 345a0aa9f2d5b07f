"""Windows with something unusual around them: a pooler, a database restored from a dump, another limit, a statement that is cut off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Stopped
from pipeline.ledger.threshold import parse_threshold
from pipeline.outcome.verdict import ExitCode
from pipeline.target import session
from pipeline.target.fates import Conflicts
from tests.histories import BEGIN, SECOND, History, Item, Operation, write_history
from tests.pgbouncer import PgBouncer
from tests.pipeline.target.made_loads import THING, uuid
from tests.plain_windows import Migration
from tests.postgres_server import Database, Server

HOUR = 3_600
CUTS = [BEGIN + number * HOUR for number in range(3)]
VIEWS = ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]
BAD = {"L": [{"S": "no name"}]}


def _at(second: int, number: int, name: str | dict[str, Any] | None) -> Operation:
    key: Item = {"id": {"S": uuid(number)}}
    item = None if name is None else {**key, "name": {"S": name} if isinstance(name, str) else name}
    return Operation(second * SECOND, key, item)


def _changes(second: int, window: int) -> list[Operation]:
    """Of twelve items four are changed, two deleted and two new."""
    changed = [_at(second, number, f"in {window}") for number in range(4)]
    gone = [_at(second, 12 - 2 * window + number, None) for number in range(2)]
    return [*changed, *gone, *(_at(second, 20 + 2 * window + number, f"new in {window}") for number in range(2))]


HISTORY = History([*(_at(BEGIN - 1, number, "first") for number in range(12)), *_changes(CUTS[0] + 1, 1), *_changes(CUTS[1] + 1, 2)], CUTS)


pytestmark = pytest.mark.usefixtures("plain_visits")


def names(database: Database) -> dict[str, str]:
    return dict(database.query("SELECT id::text, name FROM thing"))


def truth(history: History = HISTORY, window: int = 2) -> dict[str, str]:
    """After a window."""
    return {item["id"]["S"]: item["name"]["S"] for item in history.items_at(history.cuts[window])}


@pytest.mark.parametrize("view", VIEWS)
def test_through_a_pooler_in_transaction_mode(thing: Database, tmp_path: Path, view: str) -> None:
    """Two transactions in a row need not have the same session of PostgreSQL."""
    full, windows = write_history(tmp_path, "things", HISTORY, view=view)
    with PgBouncer(thing.url, "transaction", pool_size=3) as pooler:
        migration = Migration(Database(pooler.url), tmp_path, THING)
        assert migration.run(full, *windows).exit_code is ExitCode.DONE
    assert names(thing) == truth()


@pytest.fixture
def restored(server: Server) -> Iterator[Database]:
    """An empty one, for a dump."""
    database = server.new_database(with_targets=False)
    yield database
    server.drop(database)


def _restore(original: Database, restored: Database, server: Server) -> None:
    dump = subprocess.run([server.bin_path / "pg_dump", "--dbname", original.url], check=True, capture_output=True).stdout
    psql = [server.bin_path / "psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", restored.url]
    subprocess.run(psql, input=dump, check=True, capture_output=True)


def test_after_a_restore_from_a_dump_old_images_tell_whose_rows_they_are(
    thing: Database, restored: Database, server: Server, tmp_path: Path
) -> None:
    full, windows = write_history(tmp_path, "things", HISTORY)
    Migration(thing, tmp_path / "before", THING).run(full, windows[0])
    _restore(thing, restored, server)
    restored.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    migration = Migration(restored, tmp_path / "after", THING)
    [window] = migration.run(windows[1], conflicts=Conflicts.KEEP).windows
    assert window == {"inserted": 2, "updated": 3, "deleted": 2, "conflicts": 1}
    assert names(restored) == {**truth(), uuid(1): "theirs"}


def test_after_a_restore_from_a_dump_new_images_alone_make_every_change_a_conflict(
    thing: Database, restored: Database, server: Server, tmp_path: Path
) -> None:
    """None of them is applied in silence, and the answer `overwrite` applies all."""
    full, windows = write_history(tmp_path, "things", HISTORY, view="NEW_IMAGE")
    Migration(thing, tmp_path / "before", THING).run(full, windows[0])
    _restore(thing, restored, server)
    migration = Migration(restored, tmp_path / "after", THING)
    with pytest.raises(Stopped, match="--conflicts=keep"):
        migration.run(windows[1])
    assert names(restored) == truth(window=1)
    [window] = migration.run(windows[1], conflicts=Conflicts.OVERWRITE).windows
    assert window == {"inserted": 2, "updated": 4, "deleted": 2}
    assert names(restored) == truth()


def test_a_window_with_too_many_dead_letters_goes_on_with_a_higher_limit(thing: Database, tmp_path: Path) -> None:
    """What was committed before it stopped stays, and is applied once."""
    bad = [_at(CUTS[0] + 1, number, BAD) for number in range(6)]
    good = [_at(CUTS[0] + 1, number, "good") for number in range(6, 12)]
    history = History([*(_at(BEGIN - 1, number, "first") for number in range(12)), *bad, *good], CUTS[:2])
    full, [window] = write_history(tmp_path, "things", history, files=1)
    migration = Migration(thing, tmp_path, THING, chunk_items=2, split_items=2)
    migration.run(full)
    with pytest.raises(Stopped, match="--max_dead_letters=1"):
        migration.run(window, threshold=parse_threshold("1"))
    records = thing.value("SELECT sum(records) FROM ddb2pg.applied_chunk")
    assert 0 < records < 12
    report = migration.run(window, threshold=parse_threshold("100%"))
    assert report.exit_code is ExitCode.REVIEW
    assert report.windows == [{"updated": 6, "dead_letters": 6}]
    assert thing.value("SELECT count(*) FROM ddb2pg.outdated") == 6
    assert names(thing) == {uuid(number): "first" if number < 6 else "good" for number in range(12)}


@pytest.mark.parametrize("view", VIEWS)
def test_a_chunk_whose_statement_was_cut_off_by_its_time_limit_is_applied_once(
    thing: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    """The first update of all sleeps for longer than a statement may take; it is tried again."""
    full, windows = write_history(tmp_path, "things", HISTORY, view=view)
    migration = Migration(thing, tmp_path, THING)
    migration.run(full)
    thing.execute(
        """
        CREATE SEQUENCE nap;
        CREATE FUNCTION nap_once() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF nextval('nap') = 1 THEN PERFORM pg_sleep(60); END IF; RETURN new; END $$;
        CREATE TRIGGER nap BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION nap_once();
        """
    )
    limit = "SET LOCAL statement_timeout = '5min'"
    assert limit in session._SETTINGS
    monkeypatch.setattr(session, "_SETTINGS", session._SETTINGS.replace(limit, "SET LOCAL statement_timeout = '3s'"))
    report = migration.run(*windows)
    assert report.exit_code is ExitCode.DONE
    assert report.windows == [{"inserted": 2, "updated": 4, "deleted": 2}] * 2
    assert thing.value("SELECT last_value FROM nap") == 9
    assert names(thing) == truth()
