"""`transforms/tables/`: the three tables, in the mapping's order, and the one migration time."""

from binary_row import TARGETS
from sound_items import ABSENT, SESSION, changed, line_of

from transforms.compile import compile_table
from transforms.table import Table
from transforms.tables.medzen import TABLES, VIDEO_SESSIONS


def test_the_tables_in_their_order():
    """Sessions first, then notes, then the audit log."""
    assert [(table.source, table.target) for table in TABLES] == [
        ("medzen-video-sessions", "video_call_sessions"),
        ("medzen-soap-notes", "clinical_notes"),
        ("medzen-meeting-audit", "video_call_audit_log"),
    ]
    assert all(isinstance(table, Table) for table in TABLES)


def test_the_columns_in_their_order():
    """The columns stand in the order of the mapping's CREATE TABLE: a person who compares sees one list."""
    for table in TABLES:
        assert list(table.column_names) == list(TARGETS[table.target])


def test_the_tables_have_different_fingerprints():
    """A load of one table is never taken for a load of another."""
    assert len({table.fingerprint for table in TABLES}) == len(TABLES)


def test_migration_time_is_the_given_one():
    """Rule: "`migration_time` is one instant per load, and the same in every retry".

    It is given when compiled, whatever the hour, to the microsecond.
    """
    line = line_of(changed(SESSION, startTime=ABSENT))
    for time in (0, 1, -1, 946_684_799_999_999, 1_764_000_123_456_789, 4_102_444_800_000_001):
        first, second = (compile_table(VIDEO_SESSIONS, migration_time=time) for _ in range(2))
        assert first(line) == first(line) == second(line)
        expected = (time - 946_684_800_000_000).to_bytes(8, "big", signed=True)
        assert b"\0\0\0\x08" + expected in first(line)[0]


def test_rows_do_not_depend_on_earlier_items():
    """The same line makes the same row and notices whatever came before it."""
    to_row = compile_table(VIDEO_SESSIONS, migration_time=0)
    odd = line_of(changed(SESSION, startTime=ABSENT, extra={"S": ""}))
    first = (to_row(line_of(SESSION)), to_row(odd))
    kept = [list(notices) for _, notices in first]
    assert (to_row(line_of(SESSION)), to_row(odd)) == first
    assert [list(notices) for _, notices in first] == kept == [[], kept[1]]
