"""What is to be loaded and where its dead letters go; and whether its load may begin, or was begun before and may go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.filesize import decimal

from pipeline.console import counted_in_words
from pipeline.ledger.chunks import load_totals
from pipeline.ledger.loads import Load, find_load, is_ledger_ours, ledger_exists, other_loads, version_problems
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import Export
from pipeline.target.session import Cursor
from pipeline.target.target import Target, has_rows
from transforms.table import Table, Unmapped

BEGIN_ANEW: Final = "to begin anew roll export {export} back (ddb2pg rollback) and see that {table} is empty (docs/rollback.md)"


@dataclass(frozen=True, slots=True)
class Planned:
    """A definition, and an export that is to be loaded into its target; several definitions may take from one export."""

    table: Table
    export: Export


def find_exports(arguments: Sequence[ExportArgument], tables: Sequence[Table], storage: Storage) -> tuple[list[Planned], list[Finding]]:
    """Each sound export with each definition that takes from it, in the order of the tables; and findings about all exports."""
    given, sentences = read_given_exports(arguments, storage)
    findings = [problem(Code.EXPORT_UNUSABLE, sentence) for sentence in sentences]
    planned = [Planned(table, one.export) for table in tables for one in given if one.source_table == table.source]
    sources = list(dict.fromkeys(table.source for table in tables))
    first: dict[str, Export] = {}
    for name, export in ((one.source_table, one.export) for one in given):
        other = first.setdefault(name, export)
        if name not in sources:
            known = ", ".join(sources)
            sentence = f"{export.uri}: is of the table {name!r}, which has no definition; there are {known} (NAME=URI picks one)"
            findings.append(problem(Code.UNKNOWN_TABLE, sentence))
        elif other is not export:
            findings.append(problem(Code.TWO_EXPORTS, f"{export.uri} and {other.uri}: are both of {name}; give one of them"))
    for pair in planned:
        findings.extend(_export_findings(pair.export, pair.table))
    # Of one that is there, but unusable, the sentence does not say which table it is of.
    if not sentences:
        findings.extend(warning(Code.NO_EXPORT, f"no export was given for {source}") for source in sources if source not in first)
    return planned, findings


def _export_findings(export: Export, table: Table) -> Iterator[Finding]:
    size = decimal(sum(data_file.bytes or 0 for data_file in export.data_files))
    shown = f"{counted_in_words(export.items, 'item')} in {counted_in_words(len(export.data_files), 'data file')} ({size})"
    if not export.has_manifest:
        sentence = f"export of {table.source}: {shown}, counted, for there is no manifest; {export.uri}"
        yield fact(Code.EXPORT, sentence, table.target)
        sentence = f"{export.uri} has no manifest: every item of these files will be accounted for, but nothing proves that they are all"
        yield warning(Code.EXPORT_WITHOUT_MANIFEST, sentence, table.target)
        return
    sentence = (
        f"export {export.export_id} of {table.source} as of {export.export_time or 'an unknown time'}: {shown}, all there; each is "
        f"compared with its MD5 and count before a row of it is written; {export.uri}"
    )
    yield fact(Code.EXPORT, sentence, table.target)
    if not export.are_manifests_verified:
        sentence = (
            f"{export.uri}: the manifests have no side files with their MD5 (manifest-*.md5), so nothing proves that they are whole; "
            "copy those, too"
        )
        yield warning(Code.MANIFEST_NOT_VERIFIED, sentence, table.target)


def output_findings(output: OutputFolder) -> Iterator[Finding]:
    """Of the folder in which each run gets its own."""
    if sentence := output.why_not_writable():
        yield problem(Code.OUTPUT_NOT_WRITABLE, f"--output {sentence}")


# -- the load ------------------------------------------------------------------------------------------------------------------------------


def _is_ledger_readable(cursor: Cursor) -> bool:
    """Whether the ledger that there is is of this role and of this version."""
    return is_ledger_ours(cursor) and not any(version_problems(cursor))


def find_visible_load(cursor: Cursor, export: Export, target: Target | None) -> Load | None:
    """The load of an export, where there is a ledger that we may read."""
    if target is None or not ledger_exists(cursor) or not _is_ledger_readable(cursor):
        return None
    return find_load(cursor, export.export_id, target.qualified)


def load_findings(cursor: Cursor, export: Export, table: Table, target: Target | None, unmapped: Unmapped) -> Iterator[Finding]:
    """Of the load into a target: it begins on an empty one, and goes on only as it was begun."""
    has_ledger = ledger_exists(cursor)
    if target is None or "SELECT" not in target.privileges or (has_ledger and not _is_ledger_readable(cursor)):
        return  # which is a problem of the target or the ledger already
    name = table.target
    others = other_loads(cursor, export.export_id, target.qualified) if has_ledger else []
    for other in others:
        sentence = (
            f"a load of another export, {other}, was begun into it, and two exports must not mix. Go on with that one, or "
            f"{BEGIN_ANEW.format(table=name, export=other)}"
        )
        yield problem(Code.ANOTHER_EXPORT, sentence, name)
    load = find_load(cursor, export.export_id, target.qualified) if has_ledger else None
    if load is not None:
        yield from _begun_findings(cursor, export, table, load, unmapped)
    elif not others and has_rows(cursor, target):
        sentence = (
            f"is not empty, and the ledger knows no load of export {export.export_id} into it; "
            "empty the table, or give the export that was loaded before"
        )
        yield problem(Code.NOT_EMPTY, sentence, name)
    elif not others:
        yield fact(Code.EMPTY, "is empty, as far as this role sees" if target.has_row_security else "is empty", name)


def _begun_findings(cursor: Cursor, export: Export, table: Table, load: Load, unmapped: Unmapped) -> Iterator[Finding]:
    name = table.target
    if load.rollback_started_at is not None:
        sentence = f"a rollback of its load was begun; finish it first: ddb2pg rollback --export {export.uri} --yes"
        yield problem(Code.ROLLBACK_BEGUN, sentence, name)
        return
    yield from changed_findings(export, table, load, unmapped)
    totals = load_totals(cursor, load.load_id)
    begun = f"load {load.load_id} of this export, begun {load.started_at:%Y-%m-%d %H:%M} UTC"
    if load.finished_at is not None:
        yield fact(Code.FINISHED, f"{begun}, is finished: there is nothing to do", name)
    else:
        yield fact(Code.RESUMES, f"{begun}, has {totals.items:,} of {load.manifest_items:,} items; migrate goes on with it", name)


def changed_findings(export: Export, table: Table, load: Load, unmapped: Unmapped | None) -> Iterator[Finding]:
    """What is not as the load was begun, so that other rows would be made; `unmapped` is None where it was not given."""
    if load.export_digest != export.digest:
        sentence = f"{export.uri}: its manifest is not the one that the load of export {export.export_id} was begun with; give that one"
        yield problem(Code.MANIFEST_CHANGED, sentence, table.target)
    if load.definition != table.fingerprint:
        sentence = (
            f"the definition of {table.source} has changed since its load began; give the one that it was begun with, and finish the load "
            "or roll it back (docs/rollback.md)"
        )
        yield problem(Code.DEFINITION_CHANGED, sentence, table.target)
    if unmapped not in (None, load.unmapped):
        sentence = f"its load was begun with --unmapped={load.unmapped.value}; give the same"
        yield problem(Code.UNMAPPED_CHANGED, sentence, table.target)
