"""`validate --as_of`: a chain held against a fresh full export of its end, whatever way its rows came."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.dead_letters import replay
from pipeline.job.equation import outcome_so_far
from pipeline.ledger.loads import Validated
from pipeline.ledger.windows import Chain as LedgerChain
from pipeline.ledger.windows import chain_of
from pipeline.options import HowThorough, ReplayOptions
from pipeline.places.storage import OutputFolder
from pipeline.source.manifest import WHOLE
from pipeline.target.fates import Conflicts
from pipeline.target.session import Session
from pipeline.windows.as_of import as_of_problems
from tests.histories import BEGIN, SECOND, History, Operation, write_full
from tests.pipeline.target.made_loads import THING, uuid
from tests.pipeline.windows.test_windows import AUDIT, BAD, ORDER_TABLES, ORDERS, UNIQUE, Chain, audit_chain, event, key_of, order
from tests.plain_windows import Report
from tests.postgres_server import Database
from transforms.table import Table

pytestmark = pytest.mark.usefixtures("plain_visits")


class AsOf:
    """A chain with fresh exports of its times."""

    def __init__(self, chain: Chain, folder: Path, table: Table = THING) -> None:
        self.chain = chain
        self.folder = folder / "fresh"
        self.table = table

    def fresh(self, window: int, **changed: Any) -> Path:
        """The full export of the end of a window, 0 for that of the first export."""
        cut = self.chain.history.cuts[window]
        return write_full(self.folder / str(len(list(self.folder.glob("*")))), self.table.source, self.chain.history, cut, **changed)

    def compare(self, window: int, **others: Any) -> Report:
        return self.chain.migration.validate(self.fresh(window), as_of=True, **others)

    def problems(self, window: int, **changed: Any) -> str:
        """Of a refused comparison, which must have written nothing."""
        migration = self.chain.migration
        return "\n".join(migration.problems(self.fresh(window, **changed), run=partial(migration.validate, as_of=True)))

    def ledger(self) -> LedgerChain:
        with Session(self.chain.migration.reference) as session:
            chain = session.transact(lambda cursor: chain_of(cursor, f"public.{self.table.target}"))
        assert chain is not None
        return chain


def kinds(report: Report, of: str = "kind") -> Counter[str]:
    return Counter(record[of] for record in report.mismatches())


def parts(report: Report) -> dict[str, int]:
    return {part["name"]: part["count"] for part in report.tables[0]["parts"] if part["count"]}


def applied(chain: Chain, **others: Any) -> Chain:
    """With all of its windows."""
    chain.begin()
    chain.migration.run(*chain.windows, **others)
    return chain


HISTORY: list[dict[int, Any]] = [{1: "a", 2: "a", 3: "a", 4: "a"}, {1: "b", 2: None, 5: "b"}, {1: "c", 4: None, 6: "c"}]


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_a_chain_is_proved_by_a_fresh_export_of_its_end(thing: Database, tmp_path: Path, view: str) -> None:
    """And not any more when something was applied since; no load is entered for the fresh export."""
    as_of = AsOf(Chain(thing, tmp_path, *HISTORY, view=view), tmp_path)
    as_of.chain.begin()
    for number in range(3):
        if number:
            as_of.chain.run(number)
        assert not as_of.ledger().is_proved
        report = as_of.compare(number)
        assert (report.exit_code, report.mismatches()) == (0, [])
        chain = as_of.ledger()
        assert chain.is_proved
        assert chain.full is not None
        assert (chain.full.validated, chain.full.validated_as_of) == (Validated.FULL, chain.end)
        with Session(as_of.chain.migration.reference) as session:
            shown = session.transact(partial(outcome_so_far, load=chain.full))
        assert f"with a fresh export as of 2026-01-01T0{number}:00:00Z" in shown.checks[-1].detail
        assert thing.value("SELECT count(*) FROM ddb2pg.load") == number + 1
        assert thing.value("SELECT count(*) FROM ddb2pg.compared_chunk") == 0


def test_every_planted_difference_is_told_as_what_it_is(thing: Database, tmp_path: Path) -> None:
    """A row changed, deleted and added by the application; one changed by a transaction of ours; a deletion that was not applied."""
    states = [dict.fromkeys(range(1, 21), "a"), {1: "b", 2: "b", 3: "b", 4: None, 5: "b", 21: "b"}]
    as_of = AsOf(applied(Chain(thing, tmp_path, *states)), tmp_path)
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    thing.execute("DELETE FROM thing WHERE id = ANY (%s::uuid[])", [uuid(2), uuid(7)])
    thing.execute("INSERT INTO thing (id) VALUES (%s)", uuid(99))
    ours = "INSERT INTO ddb2pg.writer (chain, load_id) VALUES (1, 2);"
    thing.execute(f"BEGIN; {ours} UPDATE thing SET name = 'a' WHERE id = '{uuid(3)}'; COMMIT")
    thing.execute(f"BEGIN; {ours} INSERT INTO thing (id, name) VALUES ('{uuid(4)}', 'a'); COMMIT")
    before = thing.query("SELECT id::text, name, xmin::text FROM thing ORDER BY 1")

    report = as_of.compare(1)

    assert report.exit_code == 3
    found = {
        (record["kind"], (record["key"] or {}).get("id", {}).get("S") or record["primary_key"]["id"]) for record in report.mismatches()
    }
    assert found == {
        ("changed_by_others", uuid(1)),
        ("missing", uuid(2)),
        ("missing", uuid(7)),
        ("different", uuid(3)),
        ("row_without_item", uuid(4)),
        ("row_of_others", uuid(99)),
    }
    assert parts(report) == {"equal": 16, "different": 4}
    assert not as_of.ledger().is_proved
    assert thing.query("SELECT id::text, name, xmin::text FROM thing ORDER BY 1") == before


def test_a_result_that_is_no_longer_true_is_forgotten(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    as_of.compare(2)
    assert as_of.ledger().is_proved
    thing.execute("DELETE FROM thing WHERE id = %s", uuid(1))
    assert as_of.compare(2).exit_code == 3
    assert not as_of.ledger().is_proved


def test_a_difference_from_its_own_exports_takes_the_proof_back(thing: Database, tmp_path: Path) -> None:
    """And an equal result does not, which says less than what is proved."""
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    as_of.compare(2)
    exports = as_of.chain.full, *as_of.chain.windows
    assert as_of.chain.migration.validate(*exports).exit_code == 0
    assert as_of.ledger().is_proved
    thing.execute("DELETE FROM thing WHERE id = %s", uuid(1))
    assert as_of.chain.migration.validate(*exports).exit_code == 3
    assert not as_of.ledger().is_proved


def test_a_window_that_was_never_applied_is_seen(thing: Database, tmp_path: Path) -> None:
    """As the ledger has it, it was: so nothing but a fresh export shows it."""
    chain = Chain(thing, tmp_path, *HISTORY)
    chain.begin()
    before = thing.query("SELECT id::text, name FROM thing")
    chain.migration.run(*chain.windows)
    thing.execute("DELETE FROM thing")
    for key, name in before:
        thing.execute("INSERT INTO thing (id, name) VALUES (%s, %s)", key, name)
    report = AsOf(chain, tmp_path).compare(2)
    assert kinds(report) == {"changed_by_others": 1, "row_of_others": 2, "missing": 2}


# -- dead letters and outdated rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_dead_letters_have_no_row_or_an_outdated_one(thing: Database, tmp_path: Path, view: str) -> None:
    """1 turned bad, 2 was always, 3 came so, 4 is good again, 5 was bad and is gone."""
    states = [{1: "a", 2: BAD, 4: "a", 5: "a", 6: "a"}, {1: BAD, 3: BAD, 4: BAD, 5: BAD}, {4: "b", 5: None}]
    as_of = AsOf(applied(Chain(thing, tmp_path, *states, view=view)), tmp_path)
    report = as_of.compare(2)
    assert (report.exit_code, report.tables[0]["outdated"]) == (3, 1)
    assert [(record["kind"], record["primary_key"]) for record in report.mismatches()] == [("outdated", {"id": uuid(1)})]
    assert parts(report) == {"equal": 2, "dead_letters": 2, "outdated": 1}
    assert not as_of.ledger().is_proved
    # Without the outdated row the two that never had one are no difference.
    thing.execute("DELETE FROM thing WHERE id = %s", uuid(1))
    report = as_of.compare(2)
    assert (report.exit_code, parts(report)) == (0, {"equal": 2, "dead_letters": 3})
    assert as_of.ledger().is_proved


def test_a_row_at_the_key_of_a_dead_letter_that_somebody_made_is_told(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, {1: BAD, 2: "a"}, {})), tmp_path)
    thing.execute("INSERT INTO thing (id) VALUES (%s)", uuid(1))
    assert kinds(as_of.compare(1)) == {"dead_letter_in_target": 1}


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_rows_that_postgresql_refused_to_change_are_outdated(bare: Database, tmp_path: Path, view: str) -> None:
    """Of a value that another row has: the item could be a row, and the one that is there is older."""
    bare.execute(UNIQUE)
    as_of = AsOf(applied(Chain(bare, tmp_path, {1: "a", 2: "b", 3: "c"}, {1: "b", 3: "d"}, view=view)), tmp_path)
    report = as_of.compare(1)
    assert (report.exit_code, report.tables[0]["outdated"], parts(report)) == (3, 1, {"equal": 2, "outdated": 1})
    assert [(record["kind"], record["key"]["id"]["S"]) for record in report.mismatches()] == [("outdated", uuid(1))]


def test_a_row_that_could_not_be_deleted_is_outdated(thing: Database, tmp_path: Path) -> None:
    """Its item is gone, so the ledger alone tells it from a row too many."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: None})
    chain.begin()
    thing.execute("CREATE TABLE theirs (thing uuid REFERENCES thing ON DELETE CASCADE); INSERT INTO theirs VALUES (%s)", uuid(1))
    assert chain.run(1).exit_code == 3
    report = AsOf(chain, tmp_path).compare(1)
    assert [(record["kind"], record["primary_key"]) for record in report.mismatches()] == [("outdated_without_item", {"id": uuid(1)})]
    assert (report.exit_code, report.tables[0]["outdated"]) == (3, 1)


def test_rows_of_somebody_else_that_were_kept_are_told(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a"}, {1: "b", 2: None, 4: "b"})
    chain.begin()
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = ANY (%s::uuid[])", [uuid(1), uuid(2)])
    chain.run(1, conflicts=Conflicts.KEEP)
    assert kinds(AsOf(chain, tmp_path).compare(1)) == {"changed_by_others": 1, "row_of_others": 1}


def test_a_replay_takes_the_proof_back(thing: Database, tmp_path: Path) -> None:
    """A corrected item is in no export."""
    chain = Chain(thing, tmp_path, {1: BAD, 2: "a"}, {})
    report = chain.begin()
    as_of = AsOf(chain, tmp_path)
    as_of.compare(0)
    assert as_of.ledger().is_proved
    [folder] = report.folder.glob("dead_letters/*")
    replay_line(chain, folder, {"Item": key_of(1) | {"name": {"S": "replayed"}}})
    assert chain.names() == {1: "replayed", 2: "a"}
    assert not as_of.ledger().is_proved


def test_a_row_that_was_replayed_is_as_any_other(thing: Database, tmp_path: Path) -> None:
    """A dead letter of the load is brought in, and its item deleted in a window; where its row came back, no replay excuses it."""
    chain = Chain(thing, tmp_path, {1: BAD, 2: "a"}, {1: None})
    report = chain.begin()
    [folder] = report.folder.glob("dead_letters/*")
    [(_, line)] = report.dead_letters()
    corrected = json.loads(line)["Item"] | {"name": {"S": "replayed"}}
    replay_line(chain, folder, {"Item": corrected})
    assert chain.names() == {1: "replayed", 2: "a"}
    assert chain.run(1).exit_code == 0
    as_of = AsOf(chain, tmp_path)
    assert as_of.compare(1).exit_code == 0
    thing.execute("INSERT INTO thing (id, name) VALUES (%s, 'replayed')", uuid(1))
    assert kinds(as_of.compare(1)) == {"row_of_others": 1}
    [sentence] = chain.migration.problems(chain.full, *chain.windows, run=chain.migration.validate)
    assert "were replayed before the windows" in sentence


def replay_line(chain: Chain, folder: Path, item: dict[str, Any]) -> None:
    [path] = folder.iterdir()
    record = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(record | {"item": json.dumps(item)}).encode() + b"\n"))
    migration = chain.migration
    options = ReplayOptions(
        folder=str(folder.parent.parent), database_secret=migration.reference.text, output_given=OutputFolder(str(migration.output))
    )
    vars(options)["tables"] = migration.tables
    replay(options, Console(quiet=True))


# -- two items with one key ----------------------------------------------------------------------------------------------------------------


def test_of_two_items_with_one_key_one_is_the_row(database: Database, tmp_path: Path) -> None:
    """The other is a dead letter. If neither is any more, the row is one too many."""
    migration, full, windows = audit_chain(
        database, tmp_path, [(1, 1, "CALL_STARTED"), (2, 1, "CALL_STARTED")], [(1, 2, "CALL_ENDED")], [(2, 1, "CALL_ENDED")]
    )
    migration.run(full)
    migration.run(*windows)
    history = audit_history([(1, 1, "CALL_STARTED"), (1, 2, "CALL_ENDED"), (2, 1, "CALL_ENDED")])
    fresh = write_full(tmp_path / "fresh", AUDIT.source, history, history.cuts[0], exportTime=exports_end(windows))
    report = migration.validate(fresh, as_of=True)
    assert (report.exit_code, parts(report)) == (0, {"equal": 2, "dead_letters": 1})
    # Its item was deleted, which the target does not have: the row is not the dead letter's.
    history = audit_history([(1, 2, "CALL_ENDED"), (2, 1, "CALL_ENDED")])
    fresh = write_full(tmp_path / "later", AUDIT.source, history, history.cuts[0], exportTime=exports_end(windows))
    report = migration.validate(fresh, as_of=True)
    assert (report.exit_code, kinds(report), parts(report)) == (3, {"outdated": 1}, {"equal": 1, "outdated": 1})


def audit_history(events: list[tuple[int, int, str]]) -> History:
    operations = [Operation((BEGIN - 10) * SECOND, *event(*one)) for one in events]
    return History(operations, [BEGIN])


def exports_end(windows: list[Path]) -> str:
    end: str = json.loads((windows[-1] / "manifest-summary.json").read_text())["exportToTime"]
    return end


# -- child rows ----------------------------------------------------------------------------------------------------------------------------


def test_child_rows_are_compared_with_their_item(bare: Database, tmp_path: Path) -> None:
    """Those of an outdated row are told with it, and with nothing else."""
    bare.execute(ORDER_TABLES)
    bad = {"note": {"N": "1"}, "lines": {"L": []}}
    chain = Chain(
        bare,
        tmp_path,
        {1: order("a", "x", "y"), 2: order("b", "z"), 3: order("c", "w"), 4: order("d", "v"), 5: order("e", "u", "t")},
        {1: order("a", "y"), 3: bad, 4: order("dd"), 5: order("ee", "y")},
        table=ORDERS,
    )
    applied(chain)
    as_of = AsOf(chain, tmp_path, ORDERS)
    # 5 cannot be changed: another order's line has its value.
    report = as_of.compare(1)
    assert (report.exit_code, kinds(report)) == (3, {"outdated": 2})
    assert parts(report) == {"equal": 3, "outdated": 2}

    bare.execute("UPDATE order_line SET sku = 'theirs' WHERE order_id = %s", uuid(1))
    bare.execute("DELETE FROM order_line WHERE order_id = %s", uuid(2))
    bare.execute("INSERT INTO order_line VALUES (%s, '0', 'one too many')", uuid(4))
    report = as_of.compare(1)
    assert kinds(report) == {"outdated": 2, "different": 2, "row_of_others": 1}
    assert sorted(tuple(record["columns"]) for record in report.mismatches() if record["kind"] == "different") == [
        ("order_line",),
        ("order_line.sku",),
    ]


def test_a_chunk_of_dead_letters_alone_has_no_child_rows(bare: Database, tmp_path: Path) -> None:
    """For the gate, `validate`, and a fresh export: each chunk here has one item."""
    bare.execute(ORDER_TABLES)
    chain = Chain(bare, tmp_path, {1: order("a", "x"), 2: {"note": {"N": "1"}}}, {}, table=ORDERS)
    for gate in (HowThorough.QUICK, HowThorough.FULL):
        chain.migration.clear("orders", "order_line")
        assert chain.migration.run(chain.full, chunk_items=1, validate=gate).exit_code == 3
    assert chain.migration.validate(chain.full).exit_code == 0
    chain.run(1)
    assert AsOf(chain, tmp_path, ORDERS).compare(1).exit_code == 0


# -- what is refused -----------------------------------------------------------------------------------------------------------------------


def test_another_instant_is_refused_with_the_export_to_ask_for(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(Chain(thing, tmp_path, *HISTORY), tmp_path)
    as_of.chain.begin()
    as_of.chain.run(1)
    for window, time in ((0, "2026-01-01T00:00:00Z"), (2, "2026-01-01T02:00:00Z")):
        sentence = as_of.problems(window)
        assert f"is as of {time}, and what is applied, load 1 and 1 window after it, ends at 2026-01-01T01:00:00Z" in sentence
        assert "ddb2pg export things --to s3://BUCKET/PREFIX --export_time 2026-01-01T01:00:00Z" in sentence
    assert "as of an unknown time" in as_of.problems(1, exportTime=None)
    assert "as of 2026-01-01T01:00:00.001000+00:00" in as_of.problems(1, exportTime="2026-01-01T01:00:00.001Z")


def test_another_table_or_definition_is_refused(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    assert "is of another table than export" in as_of.problems(2, tableId="00000000-0000-4000-8000-000000000009")
    as_of.chain.migration.tables = (replace(THING, columns=THING.columns[:-1]),)
    assert "definition of things has changed" in as_of.problems(2)


def test_another_filter_is_refused(thing: Database, tmp_path: Path) -> None:
    """Where both are known."""
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    chain = as_of.ledger()
    assert chain.full is not None
    fresh = replace(chain.full, export_time=chain.end, filter=WHOLE)

    def sentences() -> list[str]:
        with Session(as_of.chain.migration.reference) as session:
            return session.transact(lambda cursor: list(as_of_problems(cursor, THING, fresh)))

    assert sentences() == []
    thing.execute("UPDATE ddb2pg.load SET export_filter = 'another one'")
    assert "was made without a filter, and what is applied with another one" in sentences()[0]


def test_a_window_that_is_not_applied_to_its_end_is_refused(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    thing.execute("UPDATE ddb2pg.load SET finished_at = NULL WHERE window_number = 2")
    assert "window 2, export" in as_of.problems(2)


def test_after_the_rollback_of_a_window_it_is_of_the_one_before(thing: Database, tmp_path: Path) -> None:
    """What was proved before is not, until it is compared again."""
    as_of = AsOf(Chain(thing, tmp_path, *HISTORY), tmp_path)
    as_of.chain.begin()
    as_of.chain.run(1)
    assert as_of.compare(1).exit_code == 0
    as_of.chain.run(2)
    assert as_of.chain.migration.roll_back(as_of.chain.windows[1]).exit_code == 0
    assert not as_of.ledger().is_proved
    assert "ends at 2026-01-01T01:00:00Z" in as_of.problems(2)
    assert as_of.compare(1).exit_code == 0
    assert as_of.ledger().is_proved
    assert as_of.chain.migration.validate(as_of.chain.full, *as_of.chain.windows).exit_code == 0
    thing.execute("UPDATE ddb2pg.load SET rollback_started_at = now() WHERE window_number = 1")
    assert "a rollback of window 1 was begun" in as_of.problems(1)


def test_without_a_load_or_after_its_rollback_it_is_refused(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    thing.execute("UPDATE ddb2pg.load SET rollback_started_at = now(), rolled_back_at = now()")
    assert "the ledger knows no load into it" in as_of.problems(2)


def test_it_repairs_nothing(thing: Database, tmp_path: Path) -> None:
    as_of = AsOf(applied(Chain(thing, tmp_path, *HISTORY)), tmp_path)
    migration = as_of.chain.migration
    assert "leave one of them out" in migration.problems(as_of.fresh(2), run=partial(migration.validate, as_of=True, repair=True))[0]


# -- leaks ---------------------------------------------------------------------------------------------------------------------------------


def test_no_value_is_told(thing: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The mismatches hold keys and names alone, unless values are asked for."""
    secret = "planted value"
    as_of = AsOf(applied(Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: secret})), tmp_path)
    thing.execute("UPDATE thing SET name = %s", f"{secret} of theirs")
    report = as_of.compare(1)
    assert kinds(report) == {"changed_by_others": 2}
    told = [*capfd.readouterr(), str(report.mismatches())]
    told += [(report.folder / name).read_text() for name in ("report.json", "report.html")]
    assert not [text for text in told if secret in text]
    shown = as_of.compare(1, show_values=True).mismatches()
    assert {"export": secret, "target": f"{secret} of theirs"} in [record["values"]["name"] for record in shown]
