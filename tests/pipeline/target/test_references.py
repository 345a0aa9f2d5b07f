"""Foreign keys to a target: each that deleting a row would reach is found, however the tables are cut into partitions."""

from __future__ import annotations

import pytest

from tests.pipeline.target.made_loads import PLAIN, Lab, thing, uuid
from tests.pipeline.target.made_rollbacks import LINES, Rollback
from tests.postgres_server import Database

WHOLE = PLAIN + " PARTITION BY HASH (id)"
PART = "PARTITION OF {} FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
CHILD = "CREATE TABLE child (id int PRIMARY KEY, thing uuid REFERENCES {} ON DELETE CASCADE)"


@pytest.mark.parametrize(
    "statements",
    [
        [WHOLE, f"CREATE TABLE part {PART.format('thing')}", CHILD.format("thing")],
        [WHOLE, f"CREATE TABLE part {PART.format('thing')}", CHILD.format("part")],
        [WHOLE.replace("thing", "root"), f"CREATE TABLE thing {PART.format('root')}", CHILD.format("root")],
        [PLAIN, CHILD.format("thing") + " PARTITION BY HASH (id)", f"CREATE TABLE part {PART.format('child')}"],
    ],
    ids=["whole", "its partition", "the target is a partition", "those that refer are partitioned"],
)
def test_rows_of_others_are_not_deleted_through_partitions(bare: Database, statements: list[str]) -> None:
    rollback = Rollback(Lab(bare, *statements), LINES)
    bare.execute("INSERT INTO child VALUES (1, %s)", uuid(1))

    assert rollback.run() == {0: ("referenced", None)}
    assert bare.value("SELECT count(*) FROM child") == 1


def test_partitions_that_refer_to_their_own_table(bare: Database) -> None:
    """Rows at the same place in two partitions are not taken for one."""
    parts = [f"CREATE TABLE part{n} PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER {n})" for n in (0, 1)]
    foreign_key = "ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES thing ON DELETE SET NULL"
    rollback = Rollback(Lab(bare, WHOLE, *parts, foreign_key), [thing(1), *(thing(number, parent=1) for number in range(2, 9))])

    assert rollback.run() == {0: ("referenced", None)}
    assert rollback.run(2) == {}
