"""What each SQLSTATE means to a load, and which dead-letter code a refused row gets."""

from __future__ import annotations

import pytest

from pipeline.target.sqlstate import Fault, code_of, fault_of

ROWS = ["22001", "22003", "22021", "22P02", "22P05", "23502", "23503", "23505", "23514", "23P01", "44000", "54000", "P0001", "42601"]
TRANSIENT = ["08000", "08003", "08006", "08P01", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03"]
STOP = [
    "42501",
    "42P01",
    "42703",
    "28000",
    "28P01",
    "3D000",
    "25006",
    "53100",
    "53200",
    "0A000",
    "40000",
    "XX000",
    "55000",
    "P0002",
]


@pytest.mark.parametrize(
    ("sqlstate", "fault"),
    [
        *((state, Fault.ROWS) for state in ROWS),
        *((state, Fault.TRANSIENT) for state in TRANSIENT),
        *((state, Fault.STOP) for state in STOP),
    ],
)
def test_each_sqlstate_has_one_meaning(sqlstate: str, fault: Fault) -> None:
    """Rows at fault are isolated, what passes is tried again, and nothing else is gone on with."""
    assert fault_of(sqlstate) is fault


def test_a_connection_that_broke_has_no_sqlstate_and_is_transient() -> None:
    """Where there is no answer there is no state."""
    assert fault_of(None) is Fault.TRANSIENT


@pytest.mark.parametrize(
    ("sqlstate", "constraint", "code"),
    [
        ("23505", "thing_pkey", "primary_key_conflict"),
        ("23505", "thing_name_key", "unique_conflict"),
        ("23505", None, "unique_conflict"),
        ("23P01", "thing_excl", "unique_conflict"),
        ("23503", "thing_fkey", "foreign_key_violation"),
        ("23514", "thing_check", "check_violation"),
        ("23502", None, "not_null_violation"),
        ("22003", None, "database_rejected"),
        ("54000", None, "database_rejected"),
        ("P0001", None, "database_rejected"),
        (None, None, "database_rejected"),
    ],
)
def test_each_refusal_has_its_code(sqlstate: str | None, constraint: str | None, code: str) -> None:
    """A unique violation is one of the primary key only if it is of that constraint."""
    assert code_of(sqlstate, constraint, ("thing_pkey",)).value == code


def test_without_a_primary_key_a_unique_violation_is_a_unique_conflict() -> None:
    """No name equals the name that is not there."""
    assert code_of("23505", None, ()).value == "unique_conflict"
