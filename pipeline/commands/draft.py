"""`draft`: a definition and its CREATE TABLE, proposed from an export."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline.console import counted_in_words
from pipeline.drafts.draft import Draft, draft_exports
from pipeline.drafts.infer import KnownKey, TableName
from pipeline.drafts.names import snake_case
from pipeline.drafts.render import migration_name, target_of, to_sql
from pipeline.errors import Refused
from pipeline.inspection.evidence import KeepValues
from pipeline.options import DraftOptions
from pipeline.outcome.outcome import Check, Run, Verdict
from pipeline.places.place import AwsSettings
from pipeline.source.given import GivenExport, read_given_exports


def draft(options: DraftOptions, console: Console) -> Run:
    """Write a draft; nothing that is there is overwritten."""
    given = read_given_exports(options.exports, options.storage)
    if given.windows and not given.sound:
        folders = ", ".join(dict.fromkeys(one.export.uri for one in given.windows))
        raise Refused([f"a draft is made of a full export, and a window has only what changed; give one beside, or in place of, {folders}"])
    if given.problems:
        raise Refused(given.problems)
    exports = given.sound
    for sentence in given.passed_over:
        console.print(f"passed over: {sentence}")
    python, sql = _files(options, exports)
    values = KeepValues.TEXTS if options.enum_values else KeepValues.DIGESTS
    drafted = draft_exports(
        exports, _table_name(options.target, exports), values, _key_asker(options.aws), options.processes, options.storage
    )
    sql.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(drafted.python, encoding="utf-8")
    sql.write_text(to_sql(drafted.proposals, for_supabase=options.supabase), encoding="utf-8")
    _print_tables(console, drafted)
    damaged = [Check("data_file", Verdict.FAIL, f"its items are not in the draft: {problem}") for problem in drafted.problems]
    files = {"definition": str(python), "SQL": str(sql)}
    return Run("draft", checks={"data_files": damaged}, results={"definition": files["definition"], "sql": files["SQL"]}, places=files)


def _files(options: DraftOptions, exports: list[GivenExport]) -> tuple[Path, Path]:
    """Where the definition and the SQL go. Raises `Refused` unless both are new."""
    names = [given.source_table for given in exports]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refused([f"several exports of {', '.join(twice)} are given; a draft is made of one export of a table"])
    stem = snake_case(names[0], "items") if len(names) == 1 else "tables"
    python = options.output or Path(f"{stem}.py")
    if options.supabase:
        sql = python.parent / "supabase" / "migrations" / migration_name(datetime.now(UTC), python.stem)
    else:
        sql = python.with_suffix(".sql")
    there = [path for path in (python, sql) if path.exists()]
    problems = [f"{path}: is there already, and a draft overwrites nothing; give another --output" for path in there]
    if not python.parent.is_dir():
        problems.append(f"{python.parent}: there is no such folder; make it, or give another --output")
    if problems:
        raise Refused(problems)
    return python, sql


_NAME: Final = re.compile(r"(?:(?P<schema>[^.\"\0]+)\.)?(?P<name>[^.\"\0]+)")


def _table_name(given: str | None, exports: list[GivenExport]) -> TableName:
    if given is None:
        return TableName("public", None)
    match = _NAME.fullmatch(given)
    if match is None:
        raise Refused([f"--target {given}: must be NAME or SCHEMA.NAME, without quotes; the draft writes them where SQL needs them"])
    if len(exports) > 1:
        raise Refused(["--target names one table, and several exports are given; draft them one by one, or leave it out"])
    return TableName(match["schema"] or "public", match["name"])


def _key_asker(aws: AwsSettings) -> Callable[[GivenExport], KnownKey]:
    """Asks DynamoDB for the keys of tables, where somebody answers; the items tell otherwise."""

    def ask(given: GivenExport) -> KnownKey:
        from pipeline.places.aws import why  # noqa: PLC0415 - boto3 takes long to import
        from pipeline.source.dynamodb_calls import CallFailed, DynamoDB  # noqa: PLC0415

        arn = given.export.table_arn
        try:
            table = DynamoDB(aws).describe_table(given.export.source_table)
        except CallFailed as failed:
            return KnownKey((), f"as DescribeTable did not answer ({failed})")
        except Exception as error:
            sentence = why(error)
            if sentence is None:
                raise
            return KnownKey((), f"as DescribeTable could not be asked ({sentence})")
        if arn is not None and table.arn != arn:
            return KnownKey((), "as these credentials are for another table of this name than the exported one")
        return KnownKey(table.key, "DescribeTable says so")

    return ask


def _print_tables(console: Console, drafted: Draft) -> None:
    for proposal in drafted.proposals:
        console.print(f"{proposal.source}: {counted_in_words(proposal.items, 'item')}")
        for table in proposal.tables:
            console.print(f"  {target_of(table)}: {drafted.tried.sentence(target_of(table))}")
