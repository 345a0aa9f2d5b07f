"""Several tables from one export in one reading of it, where no row needs a row of another of them; else one reading after the other.

One reading is seen in the ledger: each chunk is committed for every table before the next one is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.definitions.find import find_tables, record_folder
from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import visit_plainly
from pipeline.ledger.loads import create_ledger, start_load
from pipeline.records.kinds import OF_A_LOAD
from pipeline.source.chunks import ChunkSize, Split, SplitSize, plan_splits
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from pipeline.target.target import find_target_of
from tests.command_line import CommandLine
from tests.faults.jobs import chunks, wait_until
from tests.handmade_export import write_export
from tests.pipeline.made_readings import FILES, FOREIGN_KEY, LAST, OF_FILE, TARGETS, definitions, lines
from tests.pipeline.planted import report_of
from tests.pipeline.source.read_splits import read_exports
from tests.postgres_server import Database, Server
from tests.processes import kill_group
from tests.truth import records
from transforms.table import Unmapped

pytestmark = pytest.mark.plain

CHUNKS = "--chunk_items=10"
NAMES = ("customer", "customer_order", "everything")


@pytest.fixture(autouse=True)
def _targets(database: Database) -> None:
    database.execute(TARGETS)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path / "export", "App", lines())


@pytest.fixture
def three(tmp_path: Path) -> str:
    return definitions(tmp_path, "CUSTOMER, ORDER, EVERYTHING")


def committed(database: Database) -> list[tuple[str, str, int]]:
    """(data file, target, first item) of each chunk, in the order in which they were committed."""
    return database.query(
        "SELECT right(data_file, 9), target_table, first_item FROM ddb2pg.chunk JOIN ddb2pg.load USING (load_id) ORDER BY committed_at"
    )


def readings(database: Database) -> list[list[str]]:
    """The targets by readings: a target is in the reading of the one before if its first chunk came before that one's second."""
    targets = [target.removeprefix("public.") for _, target, _ in committed(database)]
    found: list[list[str]] = []
    for target in dict.fromkeys(targets):
        is_together = found and targets.index(target) < _second(targets, found[-1][-1])
        found[-1].append(target) if is_together else found.append([target])
    return found


def _second(targets: Sequence[str], target: str) -> int:
    return targets.index(target, targets.index(target) + 1)


def assert_all_loaded(database: Database) -> None:
    half = FILES * OF_FILE // 2
    rows = [database.value(f"SELECT count(*) FROM {target}") for target in ("customer", "customer_order", "order_line", "everything")]
    assert rows == [half, half, 2 * half, 2 * half]


def test_a_chunk_becomes_rows_of_every_table_before_the_next(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """In the order of the tables; each load has its own ledger rows, equation, and part of the report."""
    finished = run.migrate(export, three, CHUNKS)

    assert finished.exit_code == 0, finished.output
    order = [(file, first, target) for file, target, first in committed(database)]
    targets = ["public.customer", "public.customer_order", "public.everything"]
    assert [target for _, _, target in order] == targets * (FILES * OF_FILE // 10)
    assert len({(file, first) for file, first, _ in order}) == len(order) // 3
    assert all(left[:2] == right[:2] for number, (left, right) in enumerate(pairwise(order)) if number % 3 != 2)
    assert_all_loaded(database)
    assert "read_again" not in finished.output
    tables = report_of(run.run_folders[0])["tables"]
    assert [table["target_table"] for table in tables] == targets
    assert [table["done_now"] for table in tables] == [FILES * OF_FILE] * 3
    assert [check["detail"] for check in tables[2]["checks"] if check["name"].startswith("every item went to a table")] == [
        "of 80 items of App: 40 for customer, 40 for customer_order, 80 for everything; 0 went to one table, 80 to several, 0 to none"
    ]
    validated = run.validate(export, three)
    assert validated.exit_code == 0, validated.output


TIES = {
    "a foreign key": (FOREIGN_KEY, "foreign key customer_order_customer_fkey leads from customer_order to customer"),
    "a foreign key of child rows": (
        "ALTER TABLE order_line ADD FOREIGN KEY (customer) REFERENCES customer",
        "foreign key order_line_customer_fkey leads from order_line to customer",
    ),
    "a trigger": (
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NOT EXISTS (SELECT FROM customer WHERE id = NEW.customer) THEN RAISE foreign_key_violation; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER look BEFORE INSERT ON customer_order FOR EACH ROW EXECUTE FUNCTION look()",
        "a trigger of public.customer_order may look at rows of other tables",
    ),
    "a check with a function": (
        "CREATE FUNCTION is_there(uuid) RETURNS boolean STABLE LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM customer WHERE id = $1)';"
        "ALTER TABLE customer_order ADD CONSTRAINT there CHECK (is_there(customer))",
        "check constraint there of customer_order calls a function",
    ),
    "a foreign key of a partition": (
        "DROP TABLE customer_order; CREATE TABLE customer_order (id uuid PRIMARY KEY, kind text, customer uuid NOT NULL) "
        "PARTITION BY HASH (id); CREATE TABLE only_part PARTITION OF customer_order FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "ALTER TABLE only_part ADD FOREIGN KEY (customer) REFERENCES customer",
        "foreign key only_part_customer_fkey leads from only_part to customer",
    ),
}


@pytest.mark.parametrize(("tie", "sentence"), TIES.values(), ids=TIES)
def test_what_needs_rows_of_another_table_waits_for_all_of_it(
    export: Path, three: str, database: Database, run: CommandLine, tie: str, sentence: str
) -> None:
    """Each order is of the very last customer: in one reading it would be a dead letter."""
    database.execute(tie)

    finished = run.migrate(export, three, CHUNKS)

    assert finished.exit_code == 0, finished.output
    assert "is loaded in another reading of its export than the table before it: " in finished.output.replace("\n", " ")
    assert sentence in " ".join(finished.output.split())
    assert readings(database)[0] == ["customer"]
    assert_all_loaded(database)


def test_only_the_table_that_is_tied_is_read_again(tmp_path: Path, export: Path, database: Database, run: CommandLine) -> None:
    database.execute(FOREIGN_KEY)

    finished = run.migrate(export, definitions(tmp_path, "EVERYTHING, CUSTOMER, ORDER"), CHUNKS)

    assert finished.exit_code == 0, finished.output
    assert readings(database) == [["everything", "customer"], ["customer_order"]]


# -- the plain loop, and twice -------------------------------------------------------------------------------------------------------------


def plans_of(export: Path, tables: str, name: str) -> tuple[list[LoadPlan], list[Split]]:
    """The loads of three tables, begun. `name` is the environment variable with the database's URL."""
    reference = DatabaseReference(f"env:{name}")
    read, found = read_exports(export)[0], find_tables(tables.removeprefix("--tables="))
    plans = []
    for table in found:
        with Session(reference) as session:

            def start(cursor, table=table):
                create_ledger(cursor)
                target = find_target_of(cursor, table)
                sizes = ChunkSize(items=10), Unmapped.NOTICE, SplitSize(items=20)
                return target, start_load(cursor, read, table, target.qualified, *sizes, target_oid=target.oid)

            target, load = session.transact(start)
        plans.append(LoadPlan(load, table, target, reference, "run", record_folder(table, found)))
    return plans, plan_splits(read.data_files, SplitSize(items=20))


def _comparable(record: dict) -> str:
    return json.dumps({name: value for name, value in record.items() if name not in ("run_id", "first_run_id", "rejected_at")})


@pytest.mark.parametrize("workers", [1, 2])
def test_beam_and_the_plain_loop_give_the_same(
    tmp_path: Path, three: str, database: Database, run: CommandLine, server: Server, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Rows, and the records of each load in its own folders; a second visit to a chunk gives them again."""
    export = write_export(tmp_path / "export", "App", lines(("order", "customer", "nobody's", "order")))
    plain = server.new_database()
    plain.execute(TARGETS)
    for one in (database, plain):
        for target in ("customer", "customer_order", "everything"):
            one.execute(f"ALTER TABLE {target} ADD CHECK (id::text !~ '[35]$')")
    monkeypatch.setenv("PLAIN_DATABASE", plain.url)
    plans, splits = plans_of(export, three, "PLAIN_DATABASE")
    of_loop = [
        Counter(
            (kind, _comparable(json.loads(record)))
            for batches in visit_plainly(splits, *map(LoadChunks, plans))
            for kind in OF_A_LOAD
            for record in batches[kind].records
        )
        for _ in range(2)
    ]

    finished = run.migrate(export, three, CHUNKS, "--split_items=20", "--most_splits=4", f"--direct_num_workers={workers}")

    assert finished.exit_code == 3, finished.output
    folder = run.run_folders[0]
    of_beam = Counter(
        (kind, _comparable(record)) for kind in OF_A_LOAD for plan in plans for record in records(folder / kind / plan.folder)
    )
    assert {json.loads(record)["target_table"] for _, record in of_beam} == {plan.load.target_table for plan in plans}
    assert of_loop[0] == of_loop[1] == of_beam
    for target in ("customer", "customer_order", "order_line", "everything"):
        ordered = f"SELECT t::text FROM {target} t ORDER BY 1"
        assert database.query(ordered) == plain.query(ordered)


def test_loads_that_are_cut_differently_have_no_reading(
    export: Path, three: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN_DATABASE", database.url)
    plans, splits = plans_of(export, three, "PLAIN_DATABASE")
    other = replace(plans[2], load=replace(plans[2].load, chunk_size=ChunkSize(items=20)))

    with pytest.raises(ValueError, match="must be of one export, with the same splits, chunks and kinds of records"):
        next(visit_plainly(splits, LoadChunks(plans[0]), LoadChunks(other)))


# -- compared ------------------------------------------------------------------------------------------------------------------------------

SEEN = """
    CREATE TABLE seen (number serial, load_id bigint, data_file text, first_item bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen (load_id, data_file, first_item) VALUES (NEW.load_id, NEW.data_file, NEW.first_item); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON ddb2pg.compared_chunk FOR EACH ROW EXECUTE FUNCTION note();
"""


@pytest.mark.parametrize("repair", [False, True])
def test_what_was_loaded_together_is_compared_together(
    export: Path, three: str, database: Database, run: CommandLine, repair: bool
) -> None:
    """A difference is found in the table that has it. To insert missing rows, table after table is read: another may refer to them."""
    assert run.migrate(export, three, CHUNKS).exit_code == 0
    database.execute(SEEN)
    database.execute("UPDATE customer SET kind = 'other' WHERE id = %s; DELETE FROM everything WHERE id = %s", LAST, LAST)

    validated = run.validate(export, three, *["--repair"] * repair)

    assert validated.exit_code == 3, validated.output
    of_all = FILES * OF_FILE // 10
    assert seen_by(database) == (sorted([1, 2, 3] * of_all) if repair else [1, 2, 3] * of_all)
    found = [table["mismatches"] for table in report_of(run.run_folders[-1])["tables"]]
    assert found == [{"different": 1}, {}, {"repaired" if repair else "missing": 1}]
    kept = [[record["target_table"] for record in records(run.run_folders[-1] / "mismatches" / f"App--{table}")] for table in NAMES]
    assert kept == [["public.customer"], [], ["public.everything"]]
    assert database.value("SELECT count(*) FROM ddb2pg.compared_chunk") == 0
    of_last = "full" if repair else "quick"
    assert database.query("SELECT validated FROM ddb2pg.load ORDER BY load_id") == [("quick",), ("full",), (of_last,)]


def seen_by(database: Database) -> list[int]:
    """The loads of compared chunks, in the order in which they were compared."""
    return [load_id for (load_id,) in database.query("SELECT load_id FROM seen ORDER BY number")]


def test_the_gate_compares_all_tables_in_one_reading(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """What was compared before is not compared again, and a difference stops the run with the table that has it."""
    assert run.migrate(export, three, CHUNKS, "--validate=none").exit_code == 0
    database.execute(SEEN)
    database.execute("UPDATE customer_order SET kind = 'other' WHERE id = (SELECT id FROM customer_order ORDER BY id LIMIT 1)")

    finished = run.migrate(export, three, CHUNKS, "--validate=full")

    assert finished.exit_code == 1, finished.output
    of_all = FILES * OF_FILE // 10
    assert seen_by(database) == [1, 2, 3] * of_all
    tables = report_of(run.run_folders[-1])["tables"]
    of_gate = [[check["verdict"] for check in table["checks"] if check["name"].startswith("row comparison")] for table in tables]
    assert of_gate == [["pass"], ["fail"], ["pass"]]
    kept = [[record["target_table"] for record in records(run.run_folders[-1] / "mismatches" / f"App--{table}")] for table in NAMES]
    assert kept == [[], ["public.customer_order"], []]
    assert database.query("SELECT validated FROM ddb2pg.load ORDER BY load_id") == [("full",), (None,), ("full",)]
    assert database.value("SELECT count(*) FROM ddb2pg.compared_chunk") == 0
    database.execute("UPDATE customer_order SET kind = 'order'; TRUNCATE seen")
    finished = run.migrate(export, three, CHUNKS, "--validate=full")
    assert finished.exit_code == 0, finished.output
    assert seen_by(database) == [2] * of_all


# -- taken back ----------------------------------------------------------------------------------------------------------------------------

CLOSED = SEEN.replace("INSERT ON ddb2pg.compared_chunk", "UPDATE OF rolled_back_at ON ddb2pg.chunk")
ACTS_ON_DELETE = {
    "a foreign key": FOREIGN_KEY,
    "a trigger": "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;"
    "CREATE TRIGGER look BEFORE DELETE ON customer FOR EACH ROW EXECUTE FUNCTION look()",
    "a rule": "CREATE RULE look AS ON DELETE TO customer DO ALSO NOTIFY gone",
}


def test_tables_are_looked_at_and_taken_back_in_one_reading(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """The last table first, as in readings of their own. The keys of child rows lead to their own parents: that ties nothing."""
    database.execute("ALTER TABLE order_line ADD FOREIGN KEY (id) REFERENCES customer_order")
    assert run.migrate(export, three, CHUNKS).exit_code == 0
    database.execute("UPDATE customer SET kind = 'other' WHERE id = %s", LAST)
    of_all = FILES * OF_FILE // 10
    database.execute(SEEN)

    looked = run.roll_back(export, three)

    assert looked.exit_code == 3, looked.output
    assert seen_by(database) == [3, 2, 1] * of_all
    database.execute("DROP TABLE seen; DROP FUNCTION note CASCADE")
    database.execute(CLOSED)
    done = run.roll_back(export, three, "--yes")
    assert done.exit_code == 3, done.output
    assert seen_by(database) == [3, 2, 1] * of_all
    for run_folder in run.run_folders[-2:]:
        tables = report_of(run_folder)["tables"]
        assert [table["target_table"].removeprefix("public.") for table in tables] == [*NAMES[::-1]]
        assert [table["kept"] for table in tables] == [{}, {}, {"different": 1}]
        kept = [[record["target_table"] for record in records(run_folder / "discrepancies" / f"App--{table}")] for table in NAMES]
        assert kept == [["public.customer"], [], []]
    rows = [database.value(f"SELECT count(*) FROM {target}") for target in ("customer", "customer_order", "order_line", "everything")]
    assert rows == [1, 0, 0, 0]


@pytest.mark.parametrize("tie", ACTS_ON_DELETE.values(), ids=ACTS_ON_DELETE)
def test_what_acts_on_deleted_rows_is_taken_back_in_a_reading_of_its_own(
    export: Path, three: str, database: Database, run: CommandLine, tie: str
) -> None:
    """Looking changes nothing, so that is one reading all the same."""
    database.execute(tie)
    assert run.migrate(export, three, CHUNKS).exit_code == 0
    of_all = FILES * OF_FILE // 10
    database.execute(SEEN)
    assert run.roll_back(export, three).exit_code == 0
    assert seen_by(database) == [3, 2, 1] * of_all
    database.execute("DROP TABLE seen; DROP FUNCTION note CASCADE")
    database.execute(CLOSED)

    done = run.roll_back(export, three, "--yes")

    assert done.exit_code == 0, done.output
    assert seen_by(database) == [3, 2] * of_all + [1] * of_all
    rows = [database.value(f"SELECT count(*) FROM {target}") for target in ("customer", "customer_order", "order_line", "everything")]
    assert rows == [0, 0, 0, 0]


# -- resumed -------------------------------------------------------------------------------------------------------------------------------

SLOW = "ALTER TABLE everything ADD CONSTRAINT slow CHECK (pg_sleep(0.01) IS NOT NULL)"


def start_and_kill(run: CommandLine, database: Database, export: Path, tables: str) -> None:
    """With some chunks committed, for two tables one more than for the last."""
    # A gate's check calls a function, which keeps tables apart.
    database.execute(SLOW)
    process = run.start_migrate(export, tables, CHUNKS)
    wait_until(lambda: chunks(database) >= 5 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    kill_group(process)
    database.execute("ALTER TABLE everything DROP CONSTRAINT slow")


def test_killed_and_resumed(export: Path, three: str, database: Database, run: CommandLine) -> None:
    start_and_kill(run, database, export, three)
    before = committed(database)

    finished = run.migrate(export, three, CHUNKS)

    assert finished.exit_code == 0, finished.output
    assert len(before) < len(committed(database)) == 3 * FILES * OF_FILE // 10
    assert committed(database)[: len(before)] == before
    assert_all_loaded(database)


def test_two_runs_at_once(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """Each chunk is one of them's, for each table by itself."""
    database.execute(SLOW)
    both = [run.start_migrate(export, three, CHUNKS) for _ in range(2)]

    ended = [process.communicate(timeout=300) for process in both]

    assert [process.returncode for process in both] == [0, 0], ended
    assert len(committed(database)) == 3 * FILES * OF_FILE // 10
    assert_all_loaded(database)


def test_a_table_that_comes_later_is_read_alone(tmp_path: Path, export: Path, database: Database, run: CommandLine) -> None:
    """The others are finished, and their dead letters and notices few: nothing of what is done is read again."""
    assert run.migrate(export, definitions(tmp_path, "EVERYTHING, ORDER"), CHUNKS).exit_code == 0
    before = committed(database)

    finished = run.migrate(export, definitions(tmp_path, "EVERYTHING, CUSTOMER, ORDER"), CHUNKS)

    assert finished.exit_code == 0, finished.output
    assert {target for _, target, _ in committed(database)[len(before) :]} == {"public.customer"}
    done = {table["target_table"]: table["done_now"] for table in report_of(run.run_folders[-1])["tables"]}
    assert done == {"public.everything": 0, "public.customer": FILES * OF_FILE, "public.customer_order": 0}
    assert_all_loaded(database)


def test_a_load_that_was_begun_with_other_chunks_is_read_alone(tmp_path: Path, export: Path, database: Database, run: CommandLine) -> None:
    start_and_kill(run, database, export, definitions(tmp_path, "EVERYTHING,"))

    finished = run.migrate(export, definitions(tmp_path, "EVERYTHING, CUSTOMER, ORDER"), "--chunk_items=20")

    assert finished.exit_code == 0, finished.output
    assert "it was begun with other sizes of chunks or splits than everything" in " ".join(finished.output.split())
    assert readings(database) == [["everything"], ["customer", "customer_order"]]
    assert_all_loaded(database)


# -- what stops it -------------------------------------------------------------------------------------------------------------------------


def test_an_item_that_two_tables_took_does_not_stand_for_one_that_none_took(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Counted together they are as many as there should be; item by item they are not."""
    export = write_export(tmp_path / "export", "App", lines(("order", "customer", "ignored", "broken")))
    tables = definitions(tmp_path, 'CUSTOMER, ORDER, Ignore("App", Equals("kind", "ignored")), Ignore("App", Equals("kind", "broken"))')
    assert run.migrate(export, tables, CHUNKS).exit_code == 0
    assert "; 40 went to one table, 0 to several, 40 to none" in run.migrate(export, tables, CHUNKS).output.replace("\n", " ")
    database.execute("UPDATE ddb2pg.chunk SET taken_by = '{5,4,1}' WHERE taken_by = '{4,6,0}' AND first_item = 0")

    finished = run.migrate(export, tables, CHUNKS)

    assert finished.exit_code == 1, finished.output
    assert "2 went nowhere" in " ".join(finished.output.split())


def test_a_damaged_file_is_missing_of_every_table(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """It is checked once; the other files become rows of all tables, which the next run completes."""
    path = sorted((export / "data").iterdir())[1]
    content = path.read_bytes()
    path.write_bytes(content[:-20])

    finished = run.migrate(export, three, CHUNKS)

    assert finished.exit_code == 1, finished.output
    tables = report_of(run.run_folders[0])["tables"]
    assert [[str(path) in problem for problem in table["problems"]] for table in tables] == [[True]] * 3
    assert database.value("SELECT count(*) FROM everything") == OF_FILE
    path.write_bytes(content)
    finished = run.migrate(export, three, CHUNKS)
    assert finished.exit_code == 0, finished.output
    assert_all_loaded(database)


def test_a_damaged_file_is_no_problem_of_a_table_that_has_it(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """The file is read for the others only."""
    first, last = sorted((export / "data").iterdir())
    whole = first.read_bytes()
    first.write_bytes(whole[:-20])
    assert run.migrate(export, three, CHUNKS).exit_code == 1
    first.write_bytes(whole)
    # As if the run had ended before the last chunk of the last table.
    database.execute("DELETE FROM everything WHERE id IN (SELECT id FROM everything ORDER BY id DESC LIMIT 10)")
    database.execute("DELETE FROM ddb2pg.chunk WHERE load_id = (SELECT max(load_id) FROM ddb2pg.load) AND first_item = %s", OF_FILE - 10)
    database.execute(
        "UPDATE ddb2pg.tally SET (chunks, items) = (chunks - 1, items - 10) WHERE load_id = (SELECT max(load_id) FROM ddb2pg.load)"
    )
    last.write_bytes(last.read_bytes()[:-20])

    finished = run.migrate(export, three, CHUNKS)

    assert finished.exit_code == 1, finished.output
    tables = report_of(run.run_folders[-1])["tables"]
    assert [len(table["problems"]) for table in tables] == [0, 0, 1]


def test_too_many_dead_letters_of_one_table_stop_the_reading(export: Path, three: str, database: Database, run: CommandLine) -> None:
    """The sentence says of which; what is committed stays, of all tables, and a higher limit goes on."""
    database.execute("ALTER TABLE customer_order ADD CONSTRAINT few CHECK (kind <> 'order')")

    finished = run.migrate(export, three, CHUNKS, "--max_dead_letters=4", "--direct_num_workers=1")

    assert finished.exit_code == 1, finished.output
    assert "App, for public.customer_order: 5 of 5 items are dead letters" in " ".join(finished.output.split()), finished.output
    assert database.value("SELECT count(*) FROM customer") == 10
    finished = run.migrate(export, three, CHUNKS, "--max_dead_letters=100%")
    assert finished.exit_code == 3, finished.output
    counted = [database.value(f"SELECT count(*) FROM {target}") for target in ("customer", "customer_order", "order_line", "everything")]
    assert counted == [FILES * OF_FILE // 2, 0, 0, FILES * OF_FILE]


def test_every_table_of_a_reading_is_proved_and_none_of_the_next_is_begun(
    tmp_path: Path, export: Path, database: Database, run: CommandLine
) -> None:
    """A row that is not as the export makes it, in the first table of the first reading."""
    tables = definitions(tmp_path, "EVERYTHING, CUSTOMER, ORDER")
    database.execute(FOREIGN_KEY)
    start_and_kill(run, database, export, tables)
    database.execute("UPDATE everything SET kind = 'other'")

    finished = run.migrate(export, tables, CHUNKS)

    assert finished.exit_code == 1, finished.output
    report = report_of(run.run_folders[-1])
    assert [table["target_table"] for table in report["tables"]] == ["public.everything", "public.customer"]
    assert report["not_begun"] == ["App--customer_order"]
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE finished_at IS NOT NULL") == 2
    assert database.value("SELECT count(*) FROM customer_order") == 0
