"""The rows that PostgreSQL refuses, and no others, become dead letters: property tests with planted rows, through `ChunkLoader`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import Stopped
from tests.pipeline.target.made_loads import PLAIN, THING, Lab, Loaded, thing, uuid
from tests.postgres_server import Database, Server
from tests.strategies import examples

PROPERTY = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])

EVERY_CONSTRAINT = """
    CREATE TABLE family (id uuid PRIMARY KEY);
    INSERT INTO family VALUES ('00000000-0000-0000-0000-000000000001');
    CREATE TABLE thing (
        id uuid PRIMARY KEY,
        name text,
        kind text NOT NULL CHECK (kind <> 'checked'),
        parent uuid REFERENCES family {fk},
        data jsonb,
        UNIQUE (name) {unique},
        EXCLUDE USING btree (kind WITH =) WHERE (kind LIKE 'only%')
    );
    CREATE INDEX ON thing (left(name, 1), name);
    CREATE FUNCTION before_thing() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
        IF NEW.kind = 'raised' THEN RAISE EXCEPTION 'no % here', NEW; END IF;
        RETURN NEW;
    END $f$;
    CREATE TRIGGER before_thing BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION before_thing();
"""
# So many fractional digits no numeric of PostgreSQL has.
ENDLESS = {"N": "1." + "1" * 20_000}
# Too long for an index, and no compression helps.
LONG = "".join(chr(0x4E00 + (number * number * 7919 + number * 31) % 20_000) for number in range(130_000))

Planted = list[tuple[int, str]]
# Beyond "sound": what is wrong, its line's attributes, and the refusal.
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "endless": ({"kind": "x", "data": ENDLESS}, ("database_rejected", "22003")),
    "raised": ({"kind": "raised"}, ("database_rejected", "P0001")),
    "null": ({}, ("not_null_violation", "23502")),
    "checked": ({"kind": "checked"}, ("check_violation", "23514")),
    "twin": ({"kind": "x", "name": "twin"}, ("unique_conflict", "23505")),
    "only": ({"kind": "only one"}, ("unique_conflict", "23P01")),
    "long": ({"kind": "x", "name": LONG}, ("database_rejected", "54000")),
    "orphan": ({"kind": "x", "parent": 404}, ("foreign_key_violation", "23503")),
}
BEFORE_THE_KEY = ("endless", "raised", "null", "checked")
KEY_CONFLICT = ("primary_key_conflict", "23505")


def line_of(number: int, key: int, kind: str) -> bytes:
    attributes = FAULTS[kind][0] if kind in FAULTS else {"kind": "x", "name": f"name {number}", "parent": 1}
    return thing(key, **attributes)


def expected(planted: Planted, existing: set[int]) -> dict[int, tuple[str, str | None]]:
    """What PostgreSQL says of the rows one after the other, in the order of the file."""
    keys, taken = set(existing), set[str]()
    refused: dict[int, tuple[str, str | None]] = {}
    for number, (key, kind) in enumerate(planted):
        if kind in BEFORE_THE_KEY:
            refused[number] = FAULTS[kind][1]
        elif key in keys:
            refused[number] = KEY_CONFLICT
        elif kind in ("long", "orphan") or kind in taken:
            refused[number] = FAULTS[kind][1]
        else:
            keys.add(key)
            taken |= {kind} & {"twin", "only"}
    return refused


def check(lab: Lab, planted: Planted, existing: set[int]) -> None:
    """Load one chunk of the planted rows, and hold target, dead letters and ledger against the oracle."""
    lab.database.execute("TRUNCATE thing, ddb2pg.chunk")
    for key in existing:
        lab.database.execute("INSERT INTO thing (id, name, kind) VALUES (%s, %s, 'x')", uuid(key), f"was there {key}")
    before = lab.names()

    loaded = lab.load([line_of(number, key, kind) for number, (key, kind) in enumerate(planted)])

    refused = expected(planted, existing)
    assert loaded.dead_letters == refused
    rows = {key: line for number, (key, kind) in enumerate(planted) if number not in refused for line in [line_of(number, key, kind)]}
    assert lab.names().keys() == before.keys() | rows.keys()
    assert {key: name for key, name in lab.names().items() if key in before} == before
    assert lab.chunks() == [(0, len(planted), len(rows), len(refused))]


# -- primary keys --------------------------------------------------------------------------------------------------------------------------

KEYS = st.lists(st.integers(1, 12), max_size=25)


@pytest.fixture(scope="module")
def plain(server: Server) -> Lab:
    return Lab(server.new_database(with_targets=False), PLAIN)


@PROPERTY
@given(keys=KEYS, existing=st.sets(st.integers(1, 12)))
def test_any_planting_of_key_conflicts_refuses_exactly_those(plain: Lab, keys: list[int], existing: set[int]) -> None:
    """Duplicates inside the chunk and against rows that are there: the first in the file wins, every other row is in."""
    check(plain, [(key, "sound") for key in keys], existing)


@pytest.fixture(scope="module")
def composite(server: Server) -> Lab:
    return Lab(
        server.new_database(with_targets=False),
        "CREATE TABLE thing (kind text, id uuid, name text, parent uuid, data jsonb, PRIMARY KEY (kind, id))",
    )


@PROPERTY
@given(keys=st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc")), max_size=25))
def test_any_planting_of_conflicts_of_a_composite_key(composite: Lab, keys: list[tuple[int, str]]) -> None:
    """Equal in one column is no conflict; equal in both is."""
    composite.database.execute("TRUNCATE thing")
    loaded = composite.load([thing(number, kind=kind, name=str(place)) for place, (number, kind) in enumerate(keys)])

    firsts = {keys.index(key) for key in keys}
    assert loaded.dead_letters == {number: KEY_CONFLICT for number in range(len(keys)) if number not in firsts}
    assert composite.database.query("SELECT name FROM thing ORDER BY name::int") == [(str(number),) for number in sorted(firsts)]


# -- every constraint ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["at once", "deferred"])
def strict(server: Server, request: pytest.FixtureRequest) -> Lab:
    deferred = "" if request.param == "at once" else "DEFERRABLE INITIALLY DEFERRED"
    return Lab(server.new_database(with_targets=False), EVERY_CONSTRAINT.format(fk=deferred, unique=deferred))


@pytest.mark.parametrize("kind", FAULTS)
def test_each_violation_has_its_code_and_sqlstate(strict: Lab, kind: str) -> None:
    """One row at fault among sound ones: it alone is refused, also where it is the first or the last."""
    needs_a_first = kind in ("twin", "only")
    for place in (0, 2, 5):
        planted = [(number, "sound") for number in range(1, 6)]
        planted.insert(place, (77, kind))
        if needs_a_first:
            planted.insert(0, (78, kind))
        check(strict, planted, set())


def test_all_violations_in_one_chunk(strict: Lab) -> None:
    """Each is told for what it violates itself, and the sound rows between them are in."""
    kinds = ["twin", "only", *FAULTS, "sound", *FAULTS]
    check(strict, [(number // 2, kind) for number, kind in enumerate(kinds)], {3, 500})


@PROPERTY
@given(
    planted=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["sound", "sound", *FAULTS.keys() - {"long", "endless"}])), max_size=15),
    existing=st.sets(st.integers(1, 9), max_size=4),
)
def test_any_planting_of_faults_refuses_exactly_those(strict: Lab, planted: Planted, existing: set[int]) -> None:
    """Whatever is planted, in whatever order: the oracle is PostgreSQL's own order of checks, row after row."""
    check(strict, planted, existing)


# -- rows that violate nothing and are not in ----------------------------------------------------------------------------------------------

KEEPS_OUT = """
    CREATE FUNCTION before_thing() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
        IF NEW.kind = 'out' THEN RETURN NULL; END IF;
        RETURN NEW;
    END $f$;
    CREATE TRIGGER before_thing BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION before_thing();
"""


@pytest.fixture(scope="module")
def keeping_out(server: Server) -> Lab:
    return Lab(server.new_database(with_targets=False), PLAIN, KEEPS_OUT)


def check_kept_out(lab: Lab, planted: Planted, existing: set[int]) -> None:
    lab.database.execute("TRUNCATE thing, ddb2pg.chunk")
    for key in existing:
        lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, 'was there')", uuid(key))
    loaded = lab.load([thing(key, kind=kind, name=str(number)) for number, (key, kind) in enumerate(planted)])

    in_target = {int(name) for name in lab.names().values() if name != "was there"}
    assert in_target | loaded.dead_letters.keys() == set(range(len(planted))), "an item is neither a row nor a dead letter"
    assert not in_target & loaded.dead_letters.keys(), "an item is a row and a dead letter"


def test_a_row_that_a_trigger_keeps_out_is_a_dead_letter(keeping_out: Lab) -> None:
    """Without an error of PostgreSQL it has no SQLSTATE, but it is told."""
    lab = keeping_out
    lab.database.execute("TRUNCATE thing, ddb2pg.chunk")

    assert lab.load([thing(1), thing(2, kind="out"), thing(3)]).dead_letters == {1: ("database_rejected", None)}
    assert lab.chunks() == [(0, 3, 2, 1)]


def test_a_row_that_a_trigger_keeps_out_does_not_stand_for_a_later_one_with_its_key(keeping_out: Lab) -> None:
    """The first is not in, so the second is the row: neither is lost, neither told twice."""
    check_kept_out(keeping_out, [(1, "out"), (1, "x")], set())


@PROPERTY
@given(
    planted=st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["x", "x", "out"])), max_size=8),
    existing=st.sets(st.integers(1, 3), max_size=1),
)
def test_every_item_is_a_row_or_a_dead_letter_whatever_a_trigger_keeps_out(keeping_out: Lab, planted: Planted, existing: set[int]) -> None:
    """Each exactly once."""
    check_kept_out(keeping_out, planted, existing)


def test_a_row_whose_key_a_trigger_changes_is_not_told_as_a_conflict_of_its_old_key(bare: Database) -> None:
    """Item 0 is in under another key: it is a row, and no dead letter, whatever else conflicts in its chunk."""
    lab = Lab(
        bare,
        PLAIN,
        f"INSERT INTO thing VALUES ('{uuid(1)}', 'was there')",
        "CREATE FUNCTION before_thing() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
        f"IF NEW.kind = 'moved' THEN NEW.id = '{uuid(2)}'; END IF; RETURN NEW; END $f$; "
        "CREATE TRIGGER before_thing BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION before_thing()",
    )
    loaded = lab.load([thing(1, kind="moved", name="a"), thing(3, name="b"), thing(3, name="c")])

    assert lab.names() == {1: "was there", 2: "a", 3: "b"}
    assert loaded.dead_letters == {2: KEY_CONFLICT}


# -- values --------------------------------------------------------------------------------------------------------------------------------


def test_what_is_told_of_a_refused_row_holds_no_value_but_in_its_item(strict: Lab) -> None:
    """PostgreSQL's words quote the row; ours name the constraint."""
    strict.database.execute("TRUNCATE thing, ddb2pg.chunk")
    lines = [thing(7, kind="raised", name="Frau Muster"), thing(8, name="Frau Muster"), thing(9, kind="checked", name="Frau Muster")]
    loaded: Loaded = strict.load(lines)

    assert len(loaded.records) == 3
    assert all(record.count(b"Muster") == 1 for record in loaded.records)
    rejects = strict.database.value("SELECT write_rejects::text FROM ddb2pg.chunk")
    assert "thing_kind_check" in rejects
    assert "Muster" not in rejects


def test_the_table_that_is_tested_is_the_one_that_is_meant(bare: Database) -> None:
    """Two tables of one name in two schemas: rows go into the one on the search path."""
    bare.execute("CREATE SCHEMA other; CREATE TABLE other.thing (LIKE pg_class)")
    lab = Lab(bare, PLAIN, table=THING)

    assert lab.load([thing(1), thing(1), thing(2)]).dead_letters == {1: KEY_CONFLICT}
    assert bare.value("SELECT count(*) FROM other.thing") == 0


# -- triggers that put rows elsewhere ------------------------------------------------------------------------------------------------------

AS_PARTITIONS_ONCE_WERE = """
    CREATE TABLE thing_2026 () INHERITS (thing);
    CREATE FUNCTION routes() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO thing_2026 VALUES (NEW.*); RETURN NULL; END $f$;
    CREATE TRIGGER routes BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION routes();
"""
MOVES = """
    CREATE TABLE elsewhere (LIKE thing);
    CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
        WITH gone AS (DELETE FROM thing WHERE kind = 'new' RETURNING *) INSERT INTO elsewhere SELECT * FROM gone; RETURN NULL;
    END $f$;
"""
DIVERTED = {
    "before each row, into an heir": (AS_PARTITIONS_ONCE_WERE, "routes", "keeps rows out and writes into thing_2026"),
    "after each row": (f"{MOVES} CREATE TRIGGER moves AFTER INSERT ON thing FOR EACH ROW EXECUTE FUNCTION moves()", "moves", "takes 1 of"),
    "after the statement": (f"{MOVES} CREATE TRIGGER moves AFTER INSERT ON thing EXECUTE FUNCTION moves()", "moves", "takes 1 of"),
    "at the transaction's end": (
        f"{MOVES} CREATE CONSTRAINT TRIGGER moves AFTER INSERT ON thing DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION moves()",
        "moves",
        "takes 1 of",
    ),
}


@pytest.mark.parametrize(("statements", "name", "what"), DIVERTED.values(), ids=DIVERTED)
def test_a_trigger_that_puts_rows_elsewhere_stops_the_load_by_name_with_nothing_written(
    bare: Database, statements: str, name: str, what: str
) -> None:
    """Not told as loaded, nor as dead letters, while they are in another table. Without the trigger the same load goes on."""
    lab = Lab(bare, PLAIN, statements)
    lines = [thing(1, kind="old"), thing(2, kind="new")]
    plan = lab.plan()

    with pytest.raises(Stopped) as caught:
        lab.load(lines, plan)

    assert f"of trigger {name} one {what}" in str(caught.value)
    assert "ALTER TABLE public.thing DISABLE TRIGGER" in str(caught.value)
    assert lab.names() == {}
    assert bare.value("SELECT count(*) FROM ddb2pg.chunk") == 0
    bare.execute(f"ALTER TABLE thing DISABLE TRIGGER {name}")
    assert lab.load(lines, replace(plan, target=lab.target())).dead_letters == {}
    assert bare.value("SELECT count(*) FROM ONLY thing") == 2


def test_a_trigger_that_writes_a_protocol_is_left_to_it(bare: Database) -> None:
    """All rows are in, and in the other table, too, as meant."""
    lab = Lab(
        bare,
        PLAIN,
        "CREATE TABLE protocol (LIKE thing); CREATE FUNCTION writes() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
        "INSERT INTO protocol VALUES (NEW.*); RETURN NEW; END $f$; "
        "CREATE TRIGGER writes BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION writes()",
    )

    assert lab.load([thing(1), thing(2), thing(2)]).dead_letters == {2: KEY_CONFLICT}
    assert (len(lab.names()), bare.value("SELECT count(*) FROM protocol")) == (2, 2)


def test_what_a_trigger_did_for_a_row_that_it_kept_out_is_undone(bare: Database) -> None:
    """As for a row that PostgreSQL refuses: of a dead letter nothing is left."""
    lab = Lab(
        bare,
        PLAIN,
        "CREATE TABLE counted (rows int); INSERT INTO counted VALUES (0); "
        "CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
        "UPDATE counted SET rows = rows + 1; IF NEW.kind = 'out' THEN RETURN NULL; END IF; RETURN NEW; END $f$; "
        "CREATE TRIGGER counts BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION counts()",
    )

    assert lab.load([thing(1), thing(2, kind="out"), thing(3)]).dead_letters == {1: ("database_rejected", None)}
    assert bare.value("SELECT rows FROM counted") == 2
