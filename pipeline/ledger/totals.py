"""What the chunks of a load add up to, and the data files that a run refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.target.session import Cursor


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over committed chunks, and over the dead letters that were brought in later."""

    items: int = 0
    rows: int = 0
    dead_letters: int = 0
    notices: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to tell: no dead letter, no notice."""
        return not self.dead_letters and not self.notices


_SUMS: Final = ", ".join(f"coalesce(sum({column}), 0)::bigint" for column in ("items", "rows", "dead_letters", "notices"))


def load_totals(cursor: Cursor, load_id: int) -> Totals:
    """Of one load."""
    cursor.execute(
        f"SELECT {_SUMS}, (SELECT count(*) FROM ddb2pg.replayed_item WHERE load_id = %s) FROM ddb2pg.chunk WHERE load_id = %s",
        [load_id, load_id],
    )
    return _totals(*cursor.fetchone())


def file_totals(cursor: Cursor, load_id: int) -> Iterator[tuple[str, Totals]]:
    """Of each data file of which a chunk is committed."""
    cursor.execute(
        f"""
        SELECT data_file, {_SUMS}, (SELECT count(*) FROM ddb2pg.replayed_item r WHERE (r.load_id, r.data_file) = (%s, c.data_file))
        FROM ddb2pg.chunk c WHERE load_id = %s GROUP BY data_file
        """,
        [load_id, load_id],
    )
    for data_file, *sums in cursor:
        yield data_file, _totals(*sums)


def _totals(items: int, rows: int, dead_letters: int, notices: int, replayed: int) -> Totals:
    """A dead letter that was brought in later is a row."""
    return Totals(items, rows + replayed, dead_letters - replayed, notices)


def code_counts(cursor: Cursor, load_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """How often each dead-letter code and each notice code was given in a load, most frequent first; not of what was brought in later."""
    cursor.execute(
        """
        SELECT code, sum(given)::bigint FROM (
            SELECT key AS code, value::bigint AS given FROM ddb2pg.chunk, jsonb_each_text(dead_letter_codes) WHERE load_id = %s
            UNION ALL SELECT code, -1 FROM ddb2pg.replayed_item, jsonb_array_elements_text(codes) code WHERE load_id = %s
        ) counted GROUP BY code HAVING sum(given) > 0 ORDER BY 2 DESC, 1
        """,
        [load_id, load_id],
    )
    dead_letter_codes = dict(cursor.fetchall())
    cursor.execute(
        """
        SELECT key, sum(value::bigint)::bigint FROM ddb2pg.chunk, jsonb_each_text(notice_codes)
        WHERE load_id = %s GROUP BY key ORDER BY 2 DESC, 1
        """,
        [load_id],
    )
    return dead_letter_codes, dict(cursor.fetchall())


def note_refused_file(cursor: Cursor, load_id: int, run_id: str, data_file: str, problem: str) -> None:
    """Note that a run could not take a data file, and why; the run goes on with the others."""
    cursor.execute(
        "INSERT INTO ddb2pg.refused_file (load_id, run_id, data_file, problem) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [load_id, run_id, data_file, problem],
    )


def refused_files(cursor: Cursor, load_id: int, run_id: str) -> list[str]:
    """The problems of a run's refused data files."""
    cursor.execute("SELECT problem FROM ddb2pg.refused_file WHERE (load_id, run_id) = (%s, %s) ORDER BY data_file", [load_id, run_id])
    return [row[0] for row in cursor.fetchall()]
