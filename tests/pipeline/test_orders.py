"""The definition in examples/orders.py at work: a single-table export with faults, three targets from one reading, all as it was planted.

The truth is written beside each item, from what it was made of; rows are compared by PostgreSQL, as text.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pipeline.definitions.find import find_tables
from tests.command_line import CommandLine
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.faults.jobs import chunks
from tests.handmade_export import write_export
from tests.pipeline.planted import parts_of, report_of
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.truth import Place, records, row_differences

pytestmark = pytest.mark.plain

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLES = find_tables(str(EXAMPLES / "orders.py"))
TARGETS = ("customer", "customer_order", "payment")
ITEMS = 4_000
ITEMS_OF_SOAK = 200_000

Item = dict[str, Any]
Error = tuple[str, str]
Json = Any


@dataclass
class Truth:
    """Of one target: rows by column, and of places the errors and notices."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dead: dict[Place, list[Error]] = field(default_factory=dict)
    notices: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)


@dataclass
class App:
    """An export on its way: lines by data file, and the truth by target. `nowhere` are items that no definition takes."""

    files: list[list[bytes]]
    truth: dict[str, Truth]
    ignored: int = 0
    items: int = 0

    def filtered(self, target: str) -> int:
        of = self.truth[target]
        return self.items - len(of.rows) - len(of.dead)


@dataclass
class Made:
    """A sound item, the row that it must become, and the notices."""

    item: Item
    row: dict[str, Any]
    notices: list[Error] = field(default_factory=list)


def jsonb(text: str) -> dict[str, str]:
    return {"jsonb": text}


def uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def money(chance: random.Random) -> str:
    return f"{chance.randrange(10**7)}.{chance.randrange(100):02d}"


def array(texts: list[str]) -> str:
    return "{" + ",".join(json.dumps(text, ensure_ascii=False) for text in texts) + "}"


NAMES = ["Amina Diallo", "Zoë O’Brien", '王小明 "x"', "Łukasz, {a}", "back\\slash"]
TAGS = ["new", "vip", "à relire", 'with "quotes"', "a,b"]
LAST_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


def instant(chance: random.Random) -> datetime:
    return LAST_INSTANT - timedelta(seconds=chance.randrange(60_000_000), microseconds=chance.randrange(10**6))


def customer(chance: random.Random) -> Made:
    customer_id, created, name = uuid(chance), instant(chance), chance.choice(NAMES)
    credit, is_reader = money(chance), chance.random() < 0.5
    spoken, tags = chance.choice([("yes", True), ("0", False)]), chance.sample(TAGS, chance.randrange(1, 4))
    place = {"city": {"S": "Ürümqi"}, "country": {"S": "CN"}, "floor": {"N": "1.50"}}
    made = Made(
        {
            "PK": {"S": f"CUSTOMER#{customer_id}"},
            "SK": {"S": "PROFILE"},
            "entity": {"S": "CUSTOMER"},
            "name": {"S": name},
            "email": {"S": "a.b@example.org"},
            "address": {"M": place},
            "creditLimit": {"N": credit},
            "newsletter": {"BOOL": is_reader},
            "tags": {"SS": tags},
            "createdAt": {"S": created.isoformat().replace("+00:00", "Z")},
        },
        {
            "customer_id": customer_id,
            "name": name,
            "email": "a.b@example.org",
            "city": "Ürümqi",
            "country": "CN",
            "credit_limit": credit,
            "newsletter": is_reader,
            "tags": array(tags),
            "created_at": created.isoformat(),
            "rest": jsonb('{"SK": "PROFILE", "entity": "CUSTOMER", "address": {"floor": 1.50}}'),
        },
    )
    oddity = chance.randrange(8)
    if oddity == 0:
        made.item["name"], made.notices = {"S": f" {name}\t"}, [("trimmed", "name")]
    elif oddity == 1:
        made.item["email"], made.notices = {"S": " A.B@Example.org"}, [("trimmed", "email"), ("case_changed", "email")]
    elif oddity == 2:
        made.item["email"], made.notices, made.row["email"] = {"S": "  "}, [("trimmed", "email"), ("empty_as_null", "email")], None
    elif oddity == 3:
        del made.item["createdAt"], made.item["creditLimit"]
        made.row |= {"created_at": "migration_time", "credit_limit": "0.00"}
        made.notices = [("timestamp_defaulted", "createdAt")]
    elif oddity == 4:
        made.item["newsletter"], made.row["newsletter"] = {"S": spoken[0]}, spoken[1]
    elif oddity == 5:
        made.item |= {"address": {"NULL": True}, "tags": {"L": [{"S": "x"}, {"NULL": True}]}}
        made.row |= {"city": None, "country": None, "tags": "{x,NULL}"}
        made.row["rest"] = jsonb('{"SK": "PROFILE", "entity": "CUSTOMER", "address": null}')
    return made


def order(chance: random.Random) -> Made:
    customer_id, placed, total, number = uuid(chance), instant(chance), money(chance), chance.randrange(1, 10**6)
    status, signature, tags = chance.choice(["OPEN", "PAID", "SENT"]), chance.randbytes(chance.randrange(8)), chance.sample(TAGS, 2)
    prices = [money(chance) for _ in range(chance.randrange(4))]
    lines = [{"M": {"sku": {"S": f"SKU-{price}"}, "price": {"N": price}, "n": {"N": "1E2"}}} for price in prices]
    day = placed.date().isoformat()
    made = Made(
        {
            "PK": {"S": f"CUSTOMER#{customer_id}"},
            "SK": {"S": f"ORDER#{day}#{number:08d}"},
            "entity": {"S": "ORDER"},
            "status": {"S": status},
            "total": {"N": total},
            "lines": {"L": lines},
            "tags": {"L": [{"S": tag} for tag in tags]},
            "placedAt": {"S": placed.isoformat(sep=" ")},
            "ttl": {"N": str(int(placed.timestamp()) + 86_400)},
            "signature": {"B": base64.b64encode(signature).decode()},
            "note": {"M": {"deep": {"L": [{"N": "-0.10"}, {"BOOL": True}, {"NULL": True}, {"NS": ["1", "2.50"]}]}}},
        },
        {
            "customer_id": customer_id,
            "ordered_on": day,
            "number": str(number),
            "status": status,
            "total": total,
            "lines": jsonb("[" + ",".join(f'{{"sku": "SKU-{price}", "price": {price}, "n": 1E2}}' for price in prices) + "]"),
            "first_sku": f"SKU-{prices[0]}" if prices else None,
            "tags": array(tags),
            "placed_at": placed.isoformat(),
            "expires_at": (placed.replace(microsecond=0) + timedelta(days=1)).isoformat(),
            "signature": f"\\x{signature.hex()}",
            "rest": jsonb('{"entity": "ORDER", "note": {"deep": [-0.10, true, null, [1, 2.50]]}}'),
        },
    )
    oddity = chance.randrange(6)
    if oddity == 0:
        made.item["placedAt"], made.row["placed_at"] = {"S": "2024-07-01T12:00:00"}, "2024-07-01T10:00:00Z"
    elif oddity == 1:
        for name in ("ttl", "signature", "tags"):
            made.item.pop(name)
        made.row |= {"expires_at": None, "signature": None, "tags": None}
    elif oddity == 2:
        made.item["total"], made.row["total"] = {"N": "1.5E3"}, "1500.00"
    return made


def payment(chance: random.Random) -> Made:
    customer_id, payment_id, amount, paid = uuid(chance), uuid(chance), money(chance), instant(chance).replace(microsecond=0)
    method, unit = chance.choice(["card", "sepa", "cash"]), chance.choice([1, 1000, 1_000_000])
    tag = chance.choice("NS")
    item = {
        "PK": {"S": f"CUSTOMER#{customer_id}"},
        "SK": {"S": f"PAYMENT#{payment_id}"},
        "amount": {"N": amount},
        "method": {"S": method},
        "paidAt": {tag: str(int(paid.timestamp()) * unit)},
        "from": {"M": {"ip": {"S": "2001:DB8::1"}, "port": {"N": "443"}}},
    }
    row = {
        "id": payment_id,
        "customer_id": customer_id,
        "amount": amount,
        "method": method,
        "paid_at": paid.isoformat(),
        "ip": "2001:db8::1",
        # As an attribute value, so that it can be read as any other.
        "item": jsonb(json.dumps({"M": item}, ensure_ascii=False)),
    }
    return Made(item, row)


# What is changed in a sound item, and the errors of it.
Fault = tuple[Callable[[Item], Any], list[Error]]


def put(name: str, value: Json) -> Callable[[Item], Any]:
    return lambda item: item.__setitem__(name, value)


def without(name: str) -> Callable[[Item], Any]:
    return lambda item: item.pop(name)


FAULTS: dict[str, list[Fault]] = {
    "customer": [
        (put("PK", {"S": "CUSTOMER#17"}), [("invalid_uuid", "PK")]),
        (put("PK", {"S": "CLIENT#17"}), [("pattern_mismatch", "PK")]),
        (without("name"), [("missing_required", "name")]),
        (put("name", {"S": "a\0b"}), [("nul_character", "name")]),
        (put("email", {"S": "x" * 121}), [("text_too_long", "email")]),
        (put("creditLimit", {"N": "1.005"}), [("precision_lost", "creditLimit")]),
        (put("creditLimit", {"N": "10000000000"}), [("number_out_of_range", "creditLimit")]),
        (put("newsletter", {"S": "maybe"}), [("invalid_boolean", "newsletter")]),
        (put("tags", {"NS": ["1"]}), [("wrong_type", "tags")]),
        (put("tags", {"L": [{"S": "x"}, {"N": "1"}]}), [("wrong_type", "tags[1]")]),
        (put("address", {"S": "somewhere"}), [("wrong_type", "address")]),
        (put("createdAt", {"S": "2024-06-01T08:20:00"}), [("invalid_timestamp", "createdAt")]),
        (put("extra", {"N": "+1"}), [("invalid_number", "extra")]),
    ],
    "customer_order": [
        (put("SK", {"S": "ORDER#2024-06-01"}), [("pattern_mismatch", "SK")]),
        (put("SK", {"S": "ORDER#2024-02-30#7"}), [("invalid_date", "SK")]),
        (put("SK", {"S": "ORDER#2024-02-29#0"}), [("number_out_of_range", "SK")]),
        (put("SK", {"S": "ORDER#2024-02-29#1.5"}), [("not_an_integer", "SK")]),
        (put("status", {"S": "paid"}), [("invalid_enum", "status")]),
        (put("total", {"S": "12.50"}), [("wrong_type", "total")]),
        (put("placedAt", {"S": "2024-03-31T02:30:00"}), [("invalid_timestamp", "placedAt")]),
        (put("placedAt", {"S": "1999-12-31T23:59:59Z"}), [("timestamp_out_of_range", "placedAt")]),
        (put("ttl", {"N": "1717230000000"}), [("timestamp_out_of_range", "ttl")]),
        (put("ttl", {"N": "1717230000.0000001"}), [("invalid_timestamp", "ttl")]),
        (put("signature", {"B": "AA="}), [("invalid_base64", "signature")]),
        (
            lambda item: item.update(status={"NULL": True}, total={"N": "abc"}),
            [("missing_required", "status"), ("invalid_number", "total")],
        ),
    ],
    "payment": [
        (put("amount", {"N": "-1"}), [("number_out_of_range", "amount")]),
        (put("method", {"S": "gold"}), [("invalid_enum", "method")]),
        (put("paidAt", {"N": "17"}), [("timestamp_out_of_range", "paidAt")]),
        (put("from", {"M": {"ip": {"S": "300.1.1.1"}}}), [("invalid_inet", "from.ip")]),
    ],
}
MAKERS: dict[str, Callable[[random.Random], Made]] = {"customer": customer, "customer_order": order, "payment": payment}


def app(items: int, seed: int = 1, files: int = 3) -> App:
    """Of 100 items some 30 customers, 45 orders, 15 payments, 7 to be ignored, 2 that nobody takes; one in 40 is faulty."""
    chance = random.Random(seed)
    made = App([[] for _ in range(files)], {target: Truth() for target in TARGETS}, items=items)
    faults = dict.fromkeys(TARGETS, 0)
    for number in range(items):
        at = number * files // items
        place = f"{at:026d}.json.gz", len(made.files[at])
        kind = chance.choices([*TARGETS, "session", "deleted", "coupon", "broken"], [300, 450, 150, 40, 30, 20, 3])[0]
        line = b"{"
        if kind in TARGETS:
            thing, truth = MAKERS[kind](chance), made.truth[kind]
            if chance.random() < 1 / 40:
                change, errors = FAULTS[kind][faults[kind] % len(FAULTS[kind])]
                faults[kind] += 1
                change(thing.item)
                truth.dead[place] = sorted(errors)
            else:
                truth.rows.append(thing.row)
                truth.notices.update((*place, *notice) for notice in thing.notices)
            names = chance.sample(list(thing.item), len(thing.item)) if kind != "payment" else list(thing.item)
            line = line_of({name: thing.item[name] for name in names})
        elif kind == "session":
            made.ignored += 1
            line = line_of({"PK": {"S": f"SESSION#{number}"}, "SK": {"S": "SESSION"}, "entity": {"S": "SESSION"}})
        elif kind == "deleted":
            made.ignored += 1
            thing = MAKERS[chance.choice(TARGETS)](chance)
            line = line_of(thing.item | chance.choice([{"deleted": {"BOOL": True}}, {"deletedAt": {"S": "2025-01-01T00:00:00Z"}}]))
        elif kind == "coupon":
            made.truth["customer"].dead[place] = [("no_table", "")]
            line = line_of({"PK": {"S": f"COUPON#{number}"}, "SK": {"S": "COUPON"}, "deleted": {"BOOL": False}})
        else:
            # What is no item is a dead letter of each.
            for truth in made.truth.values():
                truth.dead[place] = [("invalid_json", "")]
        made.files[at].append(line)
    return made


def line_of(item: Item) -> bytes:
    return json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode()


# -- what a run must have made -------------------------------------------------------------------------------------------------------------


def assert_truth(made: App, database: Database, run_folder: Path) -> None:
    """Rows, dead letters and notices of each target; the ledger agrees with them."""
    for table in TABLES:
        truth = made.truth[table.target]
        name = f"App--{table.target}"
        assert dead_letters(run_folder / "dead_letters" / name) == truth.dead
        found = Counter(
            (notice["data_file"], notice["item_number"], notice["code"], notice["attribute"])
            for notice in records(run_folder / "notices" / name)
        )
        assert found == truth.notices
        assert row_differences(table, truth.rows, database) == ([], [])
        [totals] = database.query(
            "SELECT sum(items), sum(c.rows), sum(dead_letters), sum(filtered) FROM ddb2pg.chunk c JOIN ddb2pg.load l USING (load_id) "
            "WHERE target_table = %s AND l.rolled_back_at IS NULL",
            f"public.{table.target}",
        )
        assert totals == (made.items, len(truth.rows), len(truth.dead), made.filtered(table.target))


def dead_letters(folder: Path) -> dict[Place, list[Error]]:
    found: dict[Place, list[Error]] = {}
    for record in records(folder):
        place = record["data_file"], record["item_number"]
        assert place not in found, "a dead letter was written twice"
        found[place] = sorted((error["code"], error["attribute"] or "") for error in record["errors"])
    return found


@pytest.fixture
def targets(database: Database) -> None:
    database.execute((EXAMPLES / "orders.sql").read_text())


@pytest.fixture(params=[".py", ".toml"])
def tables(request: pytest.FixtureRequest) -> str:
    return f"--tables={EXAMPLES / 'orders'}{request.param}"


def test_both_forms_say_the_same() -> None:
    assert find_tables(str(EXAMPLES / "orders.toml")) == TABLES


@pytest.mark.usefixtures("targets")
def test_every_item_ends_where_it_was_planted(tmp_path: Path, database: Database, run: CommandLine, tables: str) -> None:
    """Loaded, validated, loaded again, rolled back."""
    made = app(ITEMS)
    assert all(len(truth.dead) >= len(FAULTS[target]) for target, truth in made.truth.items())
    export = write_export(tmp_path / "export", "App", made.files)

    finished = run.migrate(export, tables, "--chunk_items=500")

    assert finished.exit_code == 3, finished.output
    assert_truth(made, database, run.run_folders[-1])
    broken = sum(errors == [("invalid_json", "")] for errors in made.truth["customer"].dead.values())
    by_one = ITEMS - made.ignored - broken
    counted = f"{made.ignored:,} ignored by the definitions; {by_one:,} went to one table, {broken} to several, {made.ignored:,} to none"
    assert counted in " ".join(finished.stdout.split())
    validated = run.validate(export, tables)
    assert validated.exit_code == 0, validated.output
    compared = {table["target_table"].removeprefix("public."): parts_of(table) for table in report_of(run.run_folders[-1])["tables"]}
    assert {target: parts["equal"] for target, parts in compared.items()} == {target: len(made.truth[target].rows) for target in TARGETS}
    again = run.migrate(export, tables, "--chunk_items=500")
    assert again.exit_code == 3, again.output
    assert_truth(made, database, run.run_folders[0])
    rolled_back = run.roll_back(export, "--yes", tables)
    assert rolled_back.exit_code == 0, rolled_back.output
    assert [database.value(f"SELECT count(*) FROM {target}") for target in TARGETS] == [0, 0, 0]


@pytest.mark.usefixtures("targets")
def test_killed_and_resumed(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Twice, in the midst of the one reading; what was planted comes out, each item once."""
    made = app(ITEMS // 2, seed=2)
    export = write_export(tmp_path / "export", "App", made.files)
    arguments = (f"--tables={EXAMPLES / 'orders.py'}", "--chunk_items=100")
    for more in (20, 35):
        with held_at(database, chunks(database) + more, COMMITTED, *TARGETS):
            process = run.start_migrate(export, *arguments)
            wait_until_held(database, process)
            kill_group(process)

    finished = run.migrate(export, *arguments)

    assert finished.exit_code == 3, finished.output
    assert_truth(made, database, run.run_folders[-1])
    validated = run.validate(export, arguments[0])
    assert validated.exit_code == 0, validated.output


@pytest.mark.usefixtures("targets")
def test_replayed_with_a_fixed_definition(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """A status in lower case was not foreseen: with the definition fixed, and the CHECK, those orders become rows, and no others."""
    made = app(ITEMS // 4, seed=3)
    export = write_export(tmp_path / "export", "App", made.files)
    assert run.migrate(export, f"--tables={EXAMPLES / 'orders.py'}").exit_code == 3
    fixed = tmp_path / "orders_fixed.py"
    definition = (EXAMPLES / "orders.py").read_text()
    fixed.write_text(definition.replace('OneOf(("OPEN", "PAID", "SENT"))', 'OneOf(("OPEN", "PAID", "SENT", "paid"))'))
    database.execute("ALTER TABLE customer_order DROP CONSTRAINT customer_order_status_check")

    dead = run.run_folders[0] / "dead_letters" / "App--customer_order"
    replayed = run("dead-letters", "replay", dead, "--output", run.output, f"--tables={fixed}")

    assert replayed.exit_code == 3, replayed.output
    in_lower_case = [place for place, errors in made.truth["customer_order"].dead.items() if errors == [("invalid_enum", "status")]]
    assert in_lower_case
    assert database.value("SELECT count(*) FROM customer_order WHERE status = 'paid'") == len(in_lower_case)
    assert database.value("SELECT count(*) FROM customer_order") == len(made.truth["customer_order"].rows) + len(in_lower_case)
    for target in ("customer", "payment"):
        assert database.value(f"SELECT count(*) FROM {target}") == len(made.truth[target].rows)
    # The ledger knows the replayed rows; the load is still that of the first definition.
    validated = run.validate(export, f"--tables={EXAMPLES / 'orders.py'}")
    assert validated.exit_code == 0, validated.output


@pytest.mark.soak
@pytest.mark.usefixtures("targets")
def test_two_hundred_thousand(tmp_path: Path, database: Database, run: CommandLine) -> None:
    made = app(ITEMS_OF_SOAK, seed=4, files=8)
    export = write_export(tmp_path / "export", "App", made.files)
    tables = f"--tables={EXAMPLES / 'orders.py'}"

    finished = run.migrate(export, tables, "--direct_num_workers=2")

    assert finished.exit_code == 3, finished.output
    assert_truth(made, database, run.run_folders[-1])
    assert run.validate(export, tables).exit_code == 0
