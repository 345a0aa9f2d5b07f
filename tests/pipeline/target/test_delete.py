"""Rows out of the target: only equal ones, whatever triggers, policies and foreign keys do; and what became of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from pipeline.errors import Stopped
from pipeline.job.visit import ChunkVisitor
from pipeline.ledger.loads import ChunkKey
from pipeline.ledger.rollbacks import RolledBackChunk, closed_chunk, finish_rollback
from pipeline.rollback.take_back import TakeBackChunks
from pipeline.target.session import Session
from tests.pipeline.target.made_loads import PLAIN, Lab, reference_to, thing, uuid
from tests.pipeline.target.made_rollbacks import CHILDREN, LINES, Rollback
from tests.postgres_proxy import Lost, PostgresProxy
from tests.postgres_server import Database


def test_only_equal_rows_are_deleted(lab: Lab) -> None:
    """Changed ones are left, those that are gone are counted."""
    rollback = Rollback(lab, LINES)
    lab.database.execute("UPDATE thing SET name = 'other' WHERE id = %s", uuid(2))
    lab.database.execute("DELETE FROM thing WHERE id = %s", uuid(4))
    lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, 'new')", uuid(50))

    assert rollback.run() == {1: ("different", None)}
    assert rollback.figures == (4, 1, 1)
    assert lab.names() == {2: "other", 50: "new"}
    assert rollback.run(2) == {1: ("different", None)}
    assert rollback.figures == (4, 1, 1)


@pytest.mark.parametrize(("rule", "sqlstate"), [("", "23503"), ("ON DELETE RESTRICT", "23001"), ("DEFERRABLE INITIALLY DEFERRED", "23503")])
def test_rows_that_a_foreign_key_holds_are_left_and_the_others_deleted(bare: Database, rule: str, sqlstate: str) -> None:
    """Also one that is looked at only when the transaction ends."""
    rollback = Rollback(Lab(bare, PLAIN, CHILDREN.format(rule)), LINES)
    bare.execute("INSERT INTO child VALUES (1, %s), (2, %s)", uuid(1), uuid(6))

    assert rollback.run() == {0: ("refused", sqlstate), 5: ("refused", sqlstate)}
    assert rollback.figures == (4, 0, 2)
    assert bare.value("SELECT count(*) FROM child") == 2


@pytest.mark.parametrize("rule", ["ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT"])
def test_rows_of_others_that_deleting_would_reach_are_left_alone(bare: Database, rule: str) -> None:
    """So the rows that they refer to are left; without them a later pass deletes those, too."""
    rollback = Rollback(Lab(bare, PLAIN, CHILDREN.format(rule)), LINES)
    bare.execute("INSERT INTO child VALUES (1, %s), (2, %s)", uuid(1), uuid(6))

    assert rollback.run() == {0: ("referenced", None), 5: ("referenced", None)}
    assert bare.query("SELECT id, thing::text FROM child ORDER BY 1") == [(1, uuid(1)), (2, uuid(6))]
    bare.execute("DELETE FROM child WHERE id = 1")
    assert rollback.run(1) == {0: ("referenced", None), 5: ("referenced", None)}, "the same pass tells the same"
    assert rollback.run(2) == {5: ("referenced", None)}
    assert rollback.figures == (5, 0, 1)


@pytest.mark.parametrize("rule", ["", "ON DELETE CASCADE"])
def test_rows_of_one_table_that_refer_to_each_other_go_in_a_few_passes(bare: Database, rule: str) -> None:
    """A row refers to an earlier one, of its chunk or of another, or to itself."""
    lab = Lab(bare, PLAIN, f"ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES thing {rule}")
    rollback = Rollback(lab, [thing(1), thing(2, parent=1), thing(3, parent=2), thing(4, parent=4), thing(5, parent=1), thing(6)])

    for number in range(1, 6):
        if not rollback.run(number):
            break

    assert lab.names() == {}
    assert rollback.figures == (6, 0, 0)


def test_a_row_that_a_trigger_refuses_to_delete_is_left(lab: Lab) -> None:
    lab.database.execute(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.name = 'n3' THEN RAISE EXCEPTION 'no'; END IF; "
        "RETURN OLD; END $$; CREATE TRIGGER no BEFORE DELETE ON thing FOR EACH ROW EXECUTE FUNCTION no()"
    )
    rollback = Rollback(lab, LINES)

    assert rollback.run() == {2: ("refused", "P0001")}
    assert lab.names() == {3: "n3"}


@pytest.mark.parametrize(
    ("trigger", "kind", "left"),
    [
        ("BEFORE DELETE ON thing FOR EACH ROW EXECUTE FUNCTION keep()", "not_deleted", "n3"),
        ("AFTER DELETE ON thing FOR EACH ROW EXECUTE FUNCTION keep()", "different", "again"),
        ("AFTER DELETE ON thing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep()", "different", "again"),
    ],
)
def test_what_a_trigger_keeps_is_not_counted_as_deleted(lab: Lab, trigger: str, kind: str, left: str) -> None:
    """One that keeps the row without a word, and one that puts another in its place, at once or as the transaction ends."""
    lab.database.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.name <> 'n3' THEN RETURN OLD; END IF; "
        "IF TG_WHEN = 'AFTER' THEN INSERT INTO thing (id, name) VALUES (OLD.id, 'again'); END IF; RETURN NULL; END $$"
    )
    rollback = Rollback(lab, LINES)
    lab.database.execute(f"CREATE {'CONSTRAINT' * ('DEFERRED' in trigger)} TRIGGER keep {trigger}")

    assert rollback.run() == {2: (kind, None)}
    assert rollback.figures == (5, 0, 1)
    assert lab.names() == {3: left}


ROLE = "roller_back_of_rows"


def test_under_row_security_rows_that_are_not_seen_are_not_called_gone(bare: Database) -> None:
    """A policy that hides rows, and one that lets a DELETE pass over them."""
    lab = Lab(bare, PLAIN)
    rollback = Rollback(lab, LINES)
    bare.execute(f"CREATE ROLE {ROLE} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}")
    bare.execute(f"GRANT TEMP ON DATABASE {bare.value('SELECT current_database()')} TO {ROLE}")
    bare.execute(
        "ALTER TABLE thing ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON thing FOR SELECT USING (name <> 'n1'); "
        "CREATE POLICY b ON thing FOR DELETE USING (name <> 'n3')"
    )
    for (table,) in bare.query("SELECT tablename FROM pg_tables WHERE schemaname = 'ddb2pg'"):
        bare.execute(f"ALTER TABLE ddb2pg.{table} OWNER TO {ROLE}")
    bare.execute(f"ALTER SCHEMA ddb2pg OWNER TO {ROLE}")
    lab.reference = reference_to(make_dsn(**{**parse_dsn(bare.url), "user": ROLE}))
    object.__setattr__(rollback.plan, "target", lab.target())
    assert rollback.plan.target.has_row_security
    bare.execute("DELETE FROM thing WHERE name = 'n5'")

    assert rollback.run() == {0: ("not_seen", None), 2: ("not_deleted", None), 4: ("not_seen", None)}
    assert rollback.figures == (3, 0, 3)
    assert lab.database.query("SELECT name FROM thing ORDER BY 1") == [("n1",), ("n3",)]
    bare.execute(f"ALTER SCHEMA ddb2pg OWNER TO postgres; REASSIGN OWNED BY {ROLE} TO postgres; DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def test_a_chunk_that_is_closed_is_told_and_not_done_again(lab: Lab) -> None:
    """Rows that come back after it are somebody else's."""
    rollback = Rollback(lab, LINES)
    assert rollback.run() == {}
    lab.load(LINES)

    assert rollback.run(2) == {}
    assert len(lab.names()) == 6
    with lab.session() as session:
        key = ChunkKey(rollback.plan.load.load_id, "some.json.gz", 0)
        assert session.transact(lambda cursor: closed_chunk(cursor, key)) == RolledBackChunk(2, 0, (), 1)


def test_a_look_keeps_no_hash_that_another_run_could_make(lab: Lab) -> None:
    """Each run salts the hashes of keys with a number of its own."""
    rollback = Rollback(lab, LINES)
    rollback.look()
    rollback.plan = lab.plan(load=rollback.plan.load)
    rollback.look()

    hashes = lab.database.query("SELECT DISTINCT unnest(found_keys) FROM ddb2pg.compared_chunk")
    assert len(hashes) == 2 * len(LINES)


def test_once_the_load_is_closed_nothing_of_it_is_tried_again(bare: Database) -> None:
    """Another rollback ended while this one was at a later pass: by now the rows may be those of a new load of the same export."""
    lab = Lab(bare, PLAIN, CHILDREN.format(""))
    rollback = Rollback(lab, LINES)
    bare.execute("INSERT INTO child VALUES (1, %s)", uuid(1))
    assert rollback.run() == {0: ("refused", "23503")}
    with lab.session() as session:
        assert session.transact(lambda cursor: finish_rollback(cursor, rollback.plan.load.load_id))
    bare.execute("TRUNCATE child, thing")
    lab.load(LINES)

    assert rollback.run(2) == {0: ("refused", "23503")}
    assert len(lab.names()) == 6


def test_rows_go_and_their_chunk_is_closed_in_one_transaction(lab: Lab) -> None:
    """Where the ledger cannot be written, all rows are still there; once it can, they go and are counted."""
    rollback = Rollback(lab, LINES)
    lab.database.execute(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '42501'; END $$; "
        "CREATE TRIGGER stop BEFORE UPDATE ON ddb2pg.chunk FOR EACH ROW EXECUTE FUNCTION stop()"
    )
    with pytest.raises(Stopped):
        rollback.run()
    assert len(lab.names()) == 6
    lab.database.execute("DROP TRIGGER stop ON ddb2pg.chunk")

    assert rollback.run() == {}
    assert rollback.figures == (6, 0, 0)


def test_a_later_pass_keeps_what_is_known_of_rows_that_it_does_not_try(bare: Database) -> None:
    """Of a chunk with a row that was changed and one that was referred to."""
    rollback = Rollback(Lab(bare, PLAIN, CHILDREN.format("")), LINES)
    bare.execute("UPDATE thing SET name = 'other' WHERE id = %s", uuid(1))
    bare.execute("INSERT INTO child VALUES (1, %s)", uuid(2))
    assert rollback.run() == {0: ("different", None), 1: ("refused", "23503")}
    bare.execute("DELETE FROM child")

    assert rollback.run(2) == {0: ("different", None)}
    assert rollback.figures == (5, 0, 1)


def test_the_row_of_others_with_the_key_of_a_dead_letter_is_left(bare: Database) -> None:
    """Also the very same row: the ledger knows that it is not ours."""
    lab = Lab(bare, PLAIN, f"INSERT INTO thing (id, name) VALUES ('{uuid(3)}', 'n3')")
    rollback = Rollback(lab, LINES)

    assert rollback.look() == {}
    assert rollback.run() == {}
    assert rollback.figures == (5, 0, 0)
    assert lab.names() == {3: "n3"}


@pytest.mark.parametrize("lost", Lost)
def test_a_commit_whose_answer_is_lost_is_counted_once(lab: Lab, lost: Lost) -> None:
    """Whether the server had done it or not."""
    rollback = Rollback(lab, LINES)
    lab.database.execute("DELETE FROM thing WHERE id = %s", uuid(4))
    with PostgresProxy(lab.database.url, of_all=True) as proxy:
        load_plan = replace(rollback.plan, database=reference_to(proxy.url))
        with Session(load_plan.database) as session:
            roll_back = ChunkVisitor(TakeBackChunks(load_plan, 1, (), is_dry=False), session).visit
            roll_back(rollback.chunks[0])
            proxy.lose_next_commit(lost)
            roll_back(rollback.chunks[1])
            roll_back(rollback.chunks[2])
        assert sum(proxy.lost.values()) == 1

    assert rollback.figures == (5, 1, 0)
    assert lab.names() == {}
