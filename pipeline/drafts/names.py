"""Names in PostgreSQL for names in DynamoDB: snake case, short enough, each once; and how SQL writes them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from typing import Final

# https://www.postgresql.org/docs/current/sql-keywords-appendix.html: reserved, also where a function or type may have the name.
_RESERVED_WORDS: Final = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character
    check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch
    float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval
    into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none
    normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real
    references returning right row select session_user setof similar smallint some substring symmetric system_user table tablesample then
    time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window with
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
RESERVED: Final = frozenset(_RESERVED_WORDS.split())
# A table has these columns already.
_OF_THE_SYSTEM: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_MOST_BYTES: Final = 63
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
# Before a capital behind a small letter or digit (`createdAt`), and before the last of several that begins a word (`URLPath`).
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(name: str) -> tuple[str, ...]:
    """`("created", "at")` of `createdAt`, of `created_at` and of `Created-At`."""
    # Letters that are others with a mark lose it; what has no letter of ASCII is left out.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return tuple(word.lower() for word in re.split(r"[^A-Za-z0-9]+", _WORD.sub("_", plain)) if word)


def snake_case(name: str, otherwise: str) -> str:
    """A name in lower case of ASCII letters, digits and underscores; `otherwise` for one that has none of them."""
    found = "_".join(words_of(name)) or otherwise
    if found[0].isdigit():
        found = f"n{found}"
    if len(found) > _MOST_BYTES:
        found = f"{found[: _MOST_BYTES - 9]}_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{found}_" if found in _OF_THE_SYSTEM else found


def unlike(name: str, taken: Collection[str]) -> str:
    """The name, or with a number where it is taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        suffix = f"_{number}"
        found = f"{name[: _MOST_BYTES - len(suffix)]}{suffix}"
    return found


def quoted(name: str) -> str:
    """A name as SQL writes it, in quotes only where it needs them."""
    if _PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
