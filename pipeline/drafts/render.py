"""A proposal as a definition in Python and as SQL. What was tried on all items (`rehearsal.py`) is in the comments of both."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import ddb2pg
from pipeline import __version__
from pipeline.console import printable
from pipeline.drafts.infer import Proposal, ProposedColumn, ProposedTable
from pipeline.drafts.names import quoted, unlike
from pipeline.drafts.rehearsal import Tried
from pipeline.drafts.types import python_text

_WIDTH: Final = 118
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_STRING: Final = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """, re.VERBOSE)


def target_of(table: ProposedTable) -> str:
    """The table as SQL names it."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"


# -- Python --------------------------------------------------------------------------------------------------------------------------------


def to_python(proposals: Sequence[Proposal], tried: Tried | None = None) -> str:
    """The definition; what was tried stands above each table."""
    code = [line for proposal in proposals for table in proposal.tables for line in _table_lines(table, tried)]
    head = [
        f'"""Drafted by ddb2pg {__version__} from {" and ".join(_described(proposal) for proposal in proposals)}.',
        "",
        "Each comment is a doubt, or a fact with how many items show it; a person decides. Then create the tables, and:",
        "    ddb2pg migrate --tables THIS_FILE --export ...",
        '"""',
        "",
    ]
    remarks = [line for proposal in proposals for remark in proposal.remarks for line in _comment(remark, "")]
    imports = _imports("\n".join(code))
    return "\n".join([*head, *imports, "", *([*remarks, ""] if remarks else []), "TABLES = [", *code, "]", ""])


def _described(proposal: Proposal) -> str:
    return f"an export of {printable(proposal.source)} with {proposal.items:,} items"


def _imports(code: str) -> Iterator[str]:
    """Of all that the code names."""
    lines = (line for line in code.splitlines() if not line.lstrip().startswith("#"))
    words = {word for line in lines for word in _WORD.findall(_STRING.sub('""', line))}
    yield "from ddb2pg import ("
    yield from (f"    {name}," for name in sorted(words & set(ddb2pg.__all__), key=lambda name: (not name.isupper(), name)))
    yield ")"


def _table_lines(table: ProposedTable, tried: Tried | None) -> Iterator[str]:
    yield from _comment(f"{table.items:,} items", "    ")
    if tried is not None:
        yield from _comment(tried.sentence(target_of(table)), "    ")
        for fault in tried.faults(target_of(table)):
            yield from _comment(fault, "    ")
    for remark in table.remarks:
        yield from _comment(remark, "    ")
    yield "    Table("
    yield f"        source={python_text(table.source)},"
    yield f"        target={python_text(target_of(table))},"
    yield f"        key={_tuple(table.key)},"
    if table.where is not None:
        yield f"        where={table.where},"
    yield "        columns=("
    for column in table.columns:
        for remark in column.remarks:
            yield from _comment(remark, "            ")
        yield f"            {'# ' if column.is_left_out else ''}{_column_call(column)},"
    yield "        ),"
    yield "    ),"


def _tuple(texts: Sequence[str]) -> str:
    inner = ", ".join(map(python_text, texts))
    return f"({inner},)" if len(texts) == 1 else f"({inner})"


def _column_call(column: ProposedColumn) -> str:
    arguments = [column.source, python_text(column.name), column.rule.call]
    if column.is_required:
        arguments.append("Missing.REFUSED")
    if column.clean:
        arguments.append(f"clean=({', '.join(column.clean)},)")
    return f"Column({', '.join(arguments)})"


def _comment(text: str, indent: str, sign: str = "#") -> Iterator[str]:
    for line in textwrap.wrap(printable(text), _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False):
        yield f"{indent}{sign} {line}"


# -- SQL -----------------------------------------------------------------------------------------------------------------------------------


def to_sql(proposals: Sequence[Proposal], *, for_supabase: bool = False) -> str:
    """The tables; for Supabase with row security on, without a policy, and a comment that says so."""
    described = " and ".join(map(_described, proposals))
    lines = [*_comment(f"Drafted by ddb2pg {__version__} from {described}; why, is in the comments of the definition.", "", "--"), ""]
    if for_supabase:
        lines += [
            *_comment(
                "Row security is on, and there is no policy: through Supabase's API nobody sees a row until you write one, as in "
                "CREATE POLICY ... ON ... FOR SELECT TO authenticated USING (...). The role that ddb2pg loads with must own the tables, or "
                "have BYPASSRLS, as `postgres` has.",
                "",
                "--",
            ),
            "",
        ]
    tables = [table for proposal in proposals for table in proposal.tables]
    for schema in dict.fromkeys(table.schema for table in tables if table.schema != "public"):
        lines += [f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};", ""]
    for table in tables:
        lines += [*_create(table), ""]
        if for_supabase:
            said = "Row security is on without a policy: write policies for who may see what."
            lines += [
                f"ALTER TABLE {target_of(table)} ENABLE ROW LEVEL SECURITY;",
                f"COMMENT ON TABLE {target_of(table)} IS '{said}';",
                "",
            ]
    return "\n".join(lines)


def _create(table: ProposedTable) -> Iterator[str]:
    columns = [column for column in table.columns if not column.is_left_out]
    lines = [_column_definition(column) for column in columns]
    if table.key_columns:
        lines.append(f"PRIMARY KEY ({', '.join(map(quoted, table.key_columns))})")
    else:
        yield from _comment(
            "No key was found, so the rows are numbered. migrate refuses such a table: correct `key` in the definition, and make the "
            "columns of the key the PRIMARY KEY here.",
            "",
            "--",
        )
        number = unlike("row_number", [column.name for column in columns])
        lines.insert(0, f"{number} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    yield f"CREATE TABLE {target_of(table)} ("
    yield ",\n".join(f"    {line}" for line in lines)
    yield ");"


def _column_definition(column: ProposedColumn) -> str:
    return f"{quoted(column.name)} {column.rule.sql_type}{' NOT NULL' if column.is_required else ''}"


def migration_name(at: datetime, name: str) -> str:
    """Of a file below `supabase/migrations`."""
    return f"{at:%Y%m%d%H%M%S}_{name}.sql"
