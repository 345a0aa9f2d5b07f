"""What PostgreSQL itself makes of a text, and of a field: the truth for `transforms/types.py` and the rules before it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"


class Truth:
    """One session of a server."""

    def __init__(self, connection: Any) -> None:
        connection.autocommit = True
        self.cursor = connection.cursor()

    def fields(self, sql_type: str, texts: Sequence[str | None]) -> list[bytes]:
        """Each text, cast by the server, as the server sends it in binary: with its length, or the length -1."""
        self.cursor.execute("SELECT set_config('bytea_output', 'hex', false)")
        values = self.cursor.mogrify("SELECT text, number FROM unnest(%s::text[]) WITH ORDINALITY AS of (text, number)", (list(texts),))
        stream = io.BytesIO()
        statement = f"COPY (SELECT CAST(text AS {sql_type}) FROM ({values.decode()}) AS each ORDER BY number) TO STDOUT (FORMAT BINARY)"
        self.cursor.copy_expert(statement, stream)
        return _fields_of(stream.getvalue())

    def stored(self, sql_type: str, fields: Sequence[bytes], as_text: str = "{}::text") -> list[Any]:
        """What a column of the type holds after each field was copied into it, as text."""
        self.cursor.execute("DROP TABLE IF EXISTS pg_temp.truth")
        self.cursor.execute(f"CREATE TEMP TABLE truth (number serial, value {sql_type})")
        rows = b"".join(b"\0\1" + field for field in fields)
        self.cursor.copy_expert("COPY truth (value) FROM STDIN (FORMAT BINARY)", io.BytesIO(SIGNATURE + rows + END))
        self.cursor.execute(f"SELECT {as_text.format('value')} FROM truth ORDER BY number")
        return [text for (text,) in self.cursor.fetchall()]

    def text(self, sql_type: str, texts: Sequence[str | None]) -> list[str]:
        """Each text, cast by the server, as the server writes it."""
        statement = f"SELECT CAST(text AS {sql_type})::text FROM unnest(%s::text[]) WITH ORDINALITY AS of (text, number) ORDER BY number"
        self.cursor.execute(statement, (list(texts),))
        return [text for (text,) in self.cursor.fetchall()]


def _fields_of(stream: bytes) -> list[bytes]:
    assert stream.startswith(SIGNATURE)
    assert stream.endswith(END)
    fields, at = [], len(SIGNATURE)
    while stream[at : at + 2] != END:
        assert stream[at : at + 2] == b"\0\1"
        size = int.from_bytes(stream[at + 2 : at + 6], "big", signed=True)
        end = at + 6 + max(size, 0)
        fields.append(stream[at + 2 : end])
        at = end
    return fields
