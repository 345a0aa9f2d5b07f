"""`ddb2pg draft`, as a user types it; and what it writes, loaded as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from tests.command_line import CommandLine, Finished
from tests.handmade_export import write_export
from tests.pipeline.drafts.made_items import line_of, shop
from tests.postgres_server import Database, Server
from tests.truth import records

REAL = Path(__file__).parents[1] / "source" / "real-export-all-types"


@pytest.fixture
def database(server: Server) -> Database:
    """Without any table."""
    return server.new_database(with_targets=False)


@pytest.fixture
def run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Nobody answers DescribeTable."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(database.url, tmp_path, is_plain=True)


def draft(run: CommandLine, export: Path, file: Path, *arguments: str, **environment: str) -> Finished:
    finished = run("draft", "--export", export, "--output", file, *arguments, **environment)
    assert finished.exit_code == 0, finished.output
    return finished


def test_the_real_export_is_loaded_without_a_line_by_hand(run: CommandLine, database: Database, tmp_path: Path) -> None:
    """Every type, three items, by AWS itself."""
    file = tmp_path / "drafted.py"
    draft(run, REAL, file)
    database.execute(file.with_suffix(".sql").read_text())

    migrated = run.migrate(REAL, "--tables", file)
    assert migrated.exit_code == 0, migrated.output
    rows = database.query(
        "SELECT id, a, bar, baz, c::text, d::text, e::text, f::text, convert_from(j, 'UTF8'), convert_from(k[2], 'UTF8'), rest::text "
        'FROM public.s3_export_test ORDER BY id COLLATE "C"'
    )
    nothing = (None,) * 6
    assert rows == [
        (
            *("K3TXQk84Si", False, None, None, "{8gfX8dh0xa,fRjHZJ2Ce9}", "{3,2}", '[1, "Dsb87qc6Es"]'),
            *('{"g": 9, "h": null, "i": true}', "hello", "scylladb", "{}"),
        ),
        ("bar", None, None, 0, *nothing, "{}"),
        ("foo", None, 42, None, *nothing, "{}"),
    ]
    validated = run.validate(REAL, "--tables", file)
    assert validated.exit_code == 0, validated.output


TEN_LINES = """
from ddb2pg import *

TABLES = [Table("S3ExportTest", "real", "id", (
    Column("id", "id", Text(), Missing.REFUSED),
    Column("a", "a", Boolean()), Column("bar", "bar", SmallInt()), Column("baz", "baz", Numeric(5, 2)),
    Column("c", "c", Array(Varchar(20))), Column("d", "d", Array(Integer())), Column("e[0]", "first", BigInt()),
    Column("f.g", "g", Double()), Column("j", "j", Bytes()), Column("k", "k", Array(Bytes())), Column(ITEM, "item", Jsonb(typed=True)),
))]
"""


def test_the_real_export_is_loaded_by_ten_lines(run: CommandLine, database: Database, tmp_path: Path) -> None:
    """Looked at, loaded, validated, with a definition of a person's own."""
    looked = run("inspect", "--export", REAL)
    assert looked.exit_code == 0, looked.output
    file = tmp_path / "real.py"
    file.write_text(TEN_LINES)
    assert len(TEN_LINES.strip().splitlines()) <= 10
    database.execute(
        "CREATE TABLE real (id text PRIMARY KEY, a boolean, bar smallint, baz numeric(5,2), c varchar(20)[], d integer[], first bigint, "
        "g double precision, j bytea, k bytea[], item jsonb)"
    )

    migrated = run.migrate(REAL, "--tables", file)

    assert migrated.exit_code == 0, migrated.output
    rows = database.query(
        "SELECT id, a, bar, baz::text, c, d, first, g, convert_from(j, 'UTF8'), cardinality(k), item FROM real ORDER BY 1"
    )
    assert sorted(row[:10] for row in rows) == [
        ("K3TXQk84Si", False, None, None, ["8gfX8dh0xa", "fRjHZJ2Ce9"], [3, 2], 1, 9.0, "hello", 2),
        ("bar", None, None, "0.00", *(None,) * 6),
        ("foo", None, 42, None, *(None,) * 6),
    ]
    assert next(row[10] for row in rows if row[6])["M"]["f"] == {"M": {"g": {"N": "9"}, "h": {"NULL": True}, "i": {"BOOL": True}}}
    validated = run.validate(REAL, "--tables", file)
    assert validated.exit_code == 0, validated.output


def test_every_item_is_a_row_or_a_dead_letter_that_the_comments_predicted(run: CommandLine, database: Database, tmp_path: Path) -> None:
    """Of an export with every fault, and with two items that share what looks like a key."""
    write_sample_exports(tmp_path / "e", items=3_000, seed=11, faulty=0.05)
    for source in ("medzen-video-sessions", "medzen-soap-notes", "medzen-meeting-audit"):
        file = tmp_path / f"{source}.py"
        draft(run, tmp_path / "e" / source, file)
        database.execute(file.with_suffix(".sql").read_text())
        rows, dead = _predicted(file.read_text())
        assert dead > 50

        migrated = run.migrate(tmp_path / "e" / source, "--tables", file)

        assert migrated.exit_code == 3, migrated.output
        target = source.replace("-", "_")
        assert database.value(f"SELECT count(*) FROM public.{target}") == rows
        assert len(list(records(run.run_folders[-1] / "dead_letters" / source))) == dead == 3_000 - rows


def _predicted(definition: str) -> tuple[int, int]:
    match = re.search(r"# tried on all ([\d,]+) lines of the export: ([\d,]+) rows, ([\d,]+) dead letters?$", definition, re.MULTILINE)
    assert match
    lines, rows, dead = (int(figure.replace(",", "")) for figure in match.groups())
    assert lines == rows + dead
    return rows, dead


def test_a_single_table_design_is_loaded_into_a_table_for_each_kind(run: CommandLine, database: Database, tmp_path: Path) -> None:
    """Customers beside orders, and three items of a kind of their own."""
    others = [{"PK": {"S": f"CONFIG#{number}"}, "SK": {"S": "A"}, "entity": {"S": "CONFIG"}} for number in range(3)]
    lines = [line_of(item) for item in (*shop(), *others)]
    export = write_export(tmp_path / "e", "Shop", [lines[:100], lines[100:]])
    file = tmp_path / "shop.py"
    finished = draft(run, export, file, "--target", "shop.app")
    database.execute(file.with_suffix(".sql").read_text())
    assert "shop.app_order: tried on all 363 lines of the export: 300 rows, 0 dead letters, 63 for other tables" in finished.stdout

    migrated = run.migrate(export, "--tables", file)

    assert migrated.exit_code == 0, migrated.output
    counts = {name: database.value(f"SELECT count(*) FROM shop.{name}") for name in ("app_order", "app_customer", "app_others")}
    assert counts == {"app_order": 300, "app_customer": 60, "app_others": 3}
    validated = run.validate(export, "--tables", file)
    assert validated.exit_code == 0, validated.output


def test_for_supabase_it_is_a_migration_with_row_security_on(run: CommandLine, database: Database, tmp_path: Path) -> None:
    draft(run, REAL, tmp_path / "drafted.py", "--supabase")
    [migration] = (tmp_path / "supabase" / "migrations").iterdir()
    assert re.fullmatch(r"20\d{12}_drafted\.sql", migration.name)
    database.execute(migration.read_text())
    assert database.query("SELECT relrowsecurity, obj_description(oid) FROM pg_class WHERE oid = 'public.s3_export_test'::regclass") == [
        (True, "Row security is on without a policy: write policies for who may see what.")
    ]
    assert database.value("SELECT count(*) FROM pg_policies") == 0


def test_the_key_comes_from_describe_table_where_somebody_answers(run: CommandLine, tmp_path: Path, aws_server: AwsServer) -> None:
    """And by the account and region of the export: a table of the same name elsewhere says nothing."""
    client = aws_server.client("dynamodb")
    client.create_table(
        TableName="Drafted",
        KeySchema=[{"AttributeName": "size", "KeyType": "RANGE"}, {"AttributeName": "word", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}, {"AttributeName": "size", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = client.describe_table(TableName="Drafted")["Table"]["TableArn"]
    lines = [b'{"Item":{"word":{"S":"a%d"},"size":{"N":"%d"},"id":{"S":"%d"}}}' % (number % 3, number, number) for number in range(12)]
    for account, key in ((arn.split(":")[4], '("word", "size")'), ("999999999999", '("id",)')):
        export = write_export(tmp_path / account, "Drafted", [lines])
        summary = export / "manifest-summary.json"
        summary.write_text(
            re.sub(
                r"arn:aws:dynamodb:[^:]+:\d+:", f"{arn.rpartition(':table')[0].replace(arn.split(':')[4], account)}:", summary.read_text()
            )
        )
        file = tmp_path / f"{account}.py"
        draft(run, export, file, **aws_server.environment)
        assert f"key={key}" in file.read_text()


def test_values_are_listed_only_where_they_are_asked_for(run: CommandLine, database: Database, tmp_path: Path) -> None:
    lines = [b'{"Item":{"id":{"S":"x%d"},"state":{"S":"%s"}}}' % (number, (b"OPEN", b"SHUT")[number % 2]) for number in range(40)]
    export = write_export(tmp_path / "e", "Doors", [lines])
    draft(run, export, tmp_path / "silent.py")
    draft(run, export, tmp_path / "told.py", "--enum_values")
    assert "OPEN" not in (tmp_path / "silent.py").read_text()
    assert 'OneOf(("OPEN", "SHUT"))' in (tmp_path / "told.py").read_text()
    database.execute((tmp_path / "told.sql").read_text())
    assert run.migrate(export, "--tables", tmp_path / "told.py").exit_code == 0


def test_it_overwrites_nothing_and_says_what_is_wrong(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "there.sql").write_text("mine")
    empty = write_export(tmp_path / "e", "Empty", [[]])
    for arguments, said in (
        (("--export", REAL, "--output", tmp_path / "there.py"), "is there already, and a draft overwrites nothing"),
        (("--export", REAL, "--output", tmp_path / "nowhere" / "x.py"), "there is no such folder"),
        (("--export", REAL, "--output", tmp_path / "x.txt"), "must end in .py"),
        (("--export", REAL, "--output", tmp_path / "x.py", "--target", 'a."b"'), "must be NAME or SCHEMA.NAME"),
        (("--export", REAL, "--export", REAL, "--output", tmp_path / "x.py"), "several exports of S3ExportTest are given"),
        (("--export", empty, "--output", tmp_path / "x.py"), "has no sound item, so nothing can be drafted"),
        (("--export", tmp_path / "none", "--output", tmp_path / "x.py"), "there is no manifest-summary.json"),
    ):
        finished = run("draft", *arguments)
        assert finished.exit_code == 2, finished.output
        assert said in finished.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e", "there.sql"]
    assert (tmp_path / "there.sql").read_text() == "mine"


def test_a_damaged_file_is_told_and_the_others_are_drafted(run: CommandLine, tmp_path: Path) -> None:
    lines = [line_of(item) for item in shop()]
    export = write_export(tmp_path / "e", "Shop", [lines[:300], lines[300:]])
    first, _ = sorted((export / "data").iterdir())
    first.write_bytes(first.read_bytes()[:-9])
    finished = run("draft", "--export", export, "--output", tmp_path / "x.py")
    assert finished.exit_code == 1
    assert f"FAIL     its items are not in the draft: {first}" in finished.stdout
    assert "60 items" in finished.stdout
