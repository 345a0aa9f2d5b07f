"""What windows must be to be applied; every one that is refused is refused before anything is written, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from pipeline.options import MigrateOptions
from pipeline.outcome.outcome import Check
from pipeline.preflight.check import check
from tests.histories import BEGIN, SECOND, History, Item, Operation, write_history, write_window
from tests.made_options import made_options
from tests.pipeline.target.made_loads import PLAIN, THING, reference_to, uuid
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database
from transforms.table import Table

HOUR = 3600
CUTS = [BEGIN + number * HOUR for number in range(4)]


def put(second: int, number: int, name: str) -> Operation:
    key: Item = {"id": {"S": uuid(number)}}
    return Operation(second * SECOND, key, {**key, "name": {"S": name}})


HISTORY = History([put(BEGIN - 1, 1, "a"), *(put(cut + 1, 1, f"in {cut}") for cut in CUTS)], CUTS)


@pytest.fixture
def chain(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN)
    return Chain(bare, tmp_path)


class Chain:
    """A full export and its windows, and attempts to apply others."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.migration = Migration(database, folder, THING)
        self.full, self.windows = write_history(folder, "things", HISTORY)

    def window(self, begin: int, end: int, **changed: Any) -> Path:
        """Another one, in a folder of its own."""
        return write_window(self.folder / "others" / str(begin) / str(end), "things", HISTORY, begin, end, **changed)

    def look(self, *exports: Path, tables: tuple[Table, ...] = (THING,)) -> list[Check]:
        options = made_options(MigrateOptions, exports, self.migration.reference, self.folder / "look", tables=tables)
        return list(check(options).findings)

    def of(self, code: str, *exports: Path, **others: Any) -> list[Check]:
        return [finding for finding in self.look(*exports, **others) if finding.name == code]


def test_windows_that_touch_are_told_with_their_times(chain: Chain) -> None:
    """Of those of which some are applied, the others."""
    [finding] = chain.of("windows", chain.full, *reversed(chain.windows))
    assert "3 windows from 2026-01-01T00:00:00Z to 2026-01-01T03:00:00Z, of 3 records" in finding.detail
    assert [one.verdict for one in chain.of("changes_find_rows", chain.full, *chain.windows)] == ["fact"]
    chain.migration.run(chain.full, chain.windows[0])
    [finding] = chain.of("windows", *chain.windows)
    assert "2 windows from 2026-01-01T01:00:00Z" in finding.detail
    assert "1 window of those given is applied already" in finding.detail


REFUSED: dict[str, tuple[Callable[[Chain], Path], str]] = {
    "gap": (lambda chain: chain.windows[1], "Export the window from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z and give it as well"),
    "short gap": (
        lambda chain: chain.window(BEGIN + 60, BEGIN + HOUR),
        "Export the window from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z, which takes the place of this one",
    ),
    "long gap": (lambda chain: chain.window(BEGIN + 30 * HOUR, BEGIN + 31 * HOUR), "in windows of at most 24 hours each"),
    "overlap": (
        lambda chain: chain.window(BEGIN - 60, BEGIN + HOUR),
        "Export the window from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z in its place",
    ),
    "another table": (lambda chain: chain.window(BEGIN, BEGIN + HOUR, tableId="another"), "is of another table"),
}


@pytest.mark.parametrize("wrong", REFUSED)
@pytest.mark.parametrize("is_loaded", [False, True], ids=["with the full export", "after it"])
def test_a_window_that_does_not_follow_is_refused(chain: Chain, wrong: str, is_loaded: bool) -> None:
    make, sentence = REFUSED[wrong]
    window = make(chain)
    if is_loaded:
        chain.migration.run(chain.full)
    [problem] = chain.migration.problems(*([] if is_loaded else [chain.full]), window)
    assert sentence in problem
    assert str(window) in problem
    assert [one.name for one in chain.look(chain.full, window) if one.verdict == "fail"] == ["window_refused"]


def test_one_that_overlaps_what_is_applied_is_refused(chain: Chain) -> None:
    """Though it begins where a window does, that is applied already."""
    chain.migration.run(chain.full, *chain.windows[:2])
    [problem] = chain.migration.problems(chain.window(CUTS[1], CUTS[3]))
    assert "Export the window from 2026-01-01T02:00:00Z to 2026-01-01T03:00:00Z in its place" in problem


def test_one_of_a_time_that_is_applied_is_nothing_to_do(chain: Chain) -> None:
    chain.migration.run(chain.full, *chain.windows)
    before = chain.migration.everything()
    for window in (chain.window(CUTS[0], CUTS[2]), chain.windows[0]):
        report = chain.migration.run(window)
        assert (report.exit_code, report.tables) == (0, [])
    assert chain.migration.everything() == before


def test_another_view_is_refused(chain: Chain) -> None:
    """In the middle of those that are given, and after those that are applied."""
    other = chain.window(CUTS[1], CUTS[2], view="NEW_IMAGE")
    [problem] = chain.migration.problems(chain.full, chain.windows[0], other)
    assert "export the window again with ExportViewType NEW_AND_OLD_IMAGES" in problem
    chain.migration.run(chain.full, chain.windows[0])
    [problem] = chain.migration.problems(other)
    assert "export the window again with ExportViewType NEW_AND_OLD_IMAGES" in problem


def test_a_full_export_of_no_whole_second_cannot_be_followed(chain: Chain) -> None:
    """As AWS makes one where no time is asked for."""
    summary = chain.full / "manifest-summary.json"
    summary.write_text(summary.read_text().replace("00:00:00.000Z", "00:00:00.622Z"))
    for side_file in chain.full.glob("manifest-summary.*5*"):
        side_file.unlink()
    [problem] = chain.migration.problems(chain.full, chain.windows[0])
    assert "is no whole second" in problem
    assert chain.migration.run(chain.full).exit_code == 0
    [problem] = chain.migration.problems(chain.windows[0])
    assert "Export the table again as of a whole second" in problem


def test_windows_alone_need_a_load_that_is_finished(chain: Chain) -> None:
    [finding] = chain.of("no_chain", chain.windows[0])
    assert finding.verdict == "fail"
    [problem] = chain.migration.problems(chain.windows[0])
    assert "give that export as well" in problem
    chain.migration.run(chain.full)
    chain.database.execute("UPDATE ddb2pg.load SET finished_at = NULL")
    assert [one.verdict for one in chain.of("load_unfinished", chain.windows[0])] == ["fail"]
    assert chain.migration.run(chain.full, chain.windows[0]).exit_code == 0


def test_another_definition_is_refused(chain: Chain) -> None:
    chain.migration.run(chain.full)
    changed = replace(THING, columns=tuple(column for column in THING.columns if column.name != "kind"))
    problems = Migration(chain.database, chain.folder, changed).problems(chain.windows[0])
    assert any("the definition of things has changed" in problem for problem in problems)


def test_keys_that_do_not_say_whose_row_it_is_need_old_images(chain: Chain) -> None:
    """Of two attributes of DynamoDB's key the target has one."""
    table = Table("things", "thing", ("id", "name"), THING.columns)
    chain.migration.run(chain.full)
    chain.database.execute("UPDATE ddb2pg.load SET definition = %s", table.fingerprint)
    [finding] = chain.of("changes_find_no_rows", chain.window(CUTS[0], CUTS[1], view="NEW_IMAGE"), tables=(table,))
    assert (finding.verdict, "NEW_AND_OLD_IMAGES" in finding.detail) == ("fail", True)
    assert chain.of("changes_find_no_rows", chain.windows[0], tables=(table,)) == []


def test_keys_that_two_items_shared_need_old_images(chain: Chain, tmp_path: Path) -> None:
    """Two spellings of one UUID are two keys in DynamoDB."""
    upper: Item = {"id": {"S": uuid(0xAB).upper()}}
    lower: Item = {"id": {"S": uuid(0xAB)}}
    history = History([Operation((BEGIN - 1) * SECOND, key, key) for key in (upper, lower)], CUTS)
    full, windows = write_history(tmp_path / "shared", "things", history, view="NEW_IMAGE")
    assert chain.migration.run(full).exit_code == 3
    assert [one.verdict for one in chain.of("changes_find_no_rows", windows[0])] == ["fail"]


def test_new_images_do_not_show_two_spellings_of_a_key(chain: Chain, tmp_path: Path) -> None:
    """Of a UUID; old images do."""
    full, windows = write_history(tmp_path / "new", "things", HISTORY, view="NEW_IMAGE")

    [finding] = chain.of("key_has_spellings", full, *windows)

    assert finding.verdict == "warning"
    assert finding.detail.startswith("id: a UUID can be written in small and in large letters")
    assert not chain.of("key_has_spellings", chain.full, *chain.windows)


def test_a_role_that_may_not_update_or_delete_is_told(chain: Chain) -> None:
    chain.migration.run(chain.full)
    chain.database.execute("REVOKE UPDATE, DELETE ON thing FROM CURRENT_USER")
    chain.database.execute("CREATE ROLE loader LOGIN; GRANT SELECT, INSERT, UPDATE ON thing TO loader")
    chain.database.execute("ALTER TABLE thing ENABLE ROW LEVEL SECURITY")
    chain.database.execute("GRANT ALL ON SCHEMA ddb2pg TO loader; GRANT ALL ON ALL TABLES IN SCHEMA ddb2pg TO loader")
    chain.database.execute(
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'ddb2pg' LOOP "
        "EXECUTE format('ALTER TABLE ddb2pg.%I DISABLE ROW LEVEL SECURITY', t); END LOOP; END $$"
    )
    chain.migration.reference = _as_role(chain.database, "loader")
    [finding] = chain.of("windows_need_all_rows", chain.windows[0])
    assert finding.verdict == "fail"
    assert any("may not DELETE" in one.detail for one in chain.of("no_privilege", chain.windows[0]))


def _as_role(database: Database, role: str) -> Any:
    return reference_to(make_dsn(**{**parse_dsn(database.url), "user": role}))
