"""What is to be loaded and where its dead letters go; and whether its load may begin, or was begun before and may go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from rich.filesize import decimal

from pipeline.console import counted_in_words
from pipeline.ledger.chunks import load_totals, missing_chunks
from pipeline.ledger.loads import (
    Load,
    find_load,
    is_ledger_ours,
    ledger_exists,
    loads_under_other_names,
    other_loads,
    version_problems,
)
from pipeline.options import AskFilters
from pipeline.outcome.outcome import Check
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.findings import Code, fact, problem, warning
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import WHOLE, Export
from pipeline.target.session import Cursor
from pipeline.target.target import Target, has_rows, name_of_table
from transforms.table import Table, Unmapped

BEGIN_ANEW: Final = "to begin anew roll export {export} back (ddb2pg rollback) and see that {table} is empty (docs/rollback.md)"


@dataclass(frozen=True, slots=True)
class Planned:
    """A definition, and an export that is to be loaded into its target; several definitions may take from one export."""

    table: Table
    export: Export


@dataclass(frozen=True, slots=True)
class PlannedWindows:
    """A definition, and the windows of its source, in no order."""

    table: Table
    exports: tuple[Export, ...]


class FoundExports(NamedTuple):
    """What is to be loaded and applied, and findings about all exports."""

    planned: list[Planned]
    findings: list[Check]
    windows: list[PlannedWindows]


def find_exports(
    arguments: Sequence[ExportArgument], tables: Sequence[Table], storage: Storage, *, takes_windows: bool = False
) -> FoundExports:
    """Each sound export with each definition that takes from it, in the order of the tables."""
    given = read_given_exports(arguments, storage, takes_windows=takes_windows)
    findings = [problem(Code.EXPORT_UNUSABLE, sentence) for sentence in given.problems]
    planned = [Planned(table, one.export) for table in tables for one in given.sound if one.source_table == table.source]
    sources = list(dict.fromkeys(table.source for table in tables))
    first: dict[str, Export] = {}
    for name, export in ((one.source_table, one.export) for one in given.sound):
        other = first.setdefault(name, export)
        if name not in sources:
            known = ", ".join(sources)
            sentence = f"{export.uri}: is of the table {name!r}, which has no definition; there are {known} (NAME=URI picks one)"
            findings.append(problem(Code.UNKNOWN_TABLE, sentence))
        elif other is not export:
            findings.append(problem(Code.TWO_EXPORTS, f"{export.uri} and {other.uri}: are both of {name}; give one of them"))
    of_changes = given.windows if takes_windows else []
    for name in dict.fromkeys(one.source_table for one in of_changes if one.source_table not in sources):
        sentence = f"windows are given of the table {name!r}, which has no definition; there are {', '.join(sources)} (NAME=URI picks one)"
        findings.append(problem(Code.UNKNOWN_TABLE, sentence))
    by_table = [(table, tuple(one.export for one in of_changes if one.source_table == table.source)) for table in tables]
    windows = [PlannedWindows(table, exports) for table, exports in by_table if exports]
    for pair in planned:
        findings.extend(_export_findings(pair.export, pair.table))
    # Of one that is there, but unusable, the sentence does not say which table it is of.
    if not given.problems:
        given_names = {*first, *(one.source_table for one in of_changes)}
        findings.extend(warning(Code.NO_EXPORT, f"no export was given for {source}") for source in sources if source not in given_names)
    return FoundExports(planned, findings, windows)


def _export_findings(export: Export, table: Table) -> Iterator[Check]:
    size = decimal(sum(data_file.bytes or 0 for data_file in export.data_files))
    shown = f"{counted_in_words(export.items, 'item')} in {counted_in_words(len(export.data_files), 'data file')} ({size})"
    if not export.has_manifest:
        sentence = f"export of {table.source}: {shown}, counted, because there is no manifest; {export.uri}"
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


# -- filters -------------------------------------------------------------------------------------------------------------------------------

# Whether an export is whole, or DynamoDB was told to leave items out (`FilterSpecification`), its files do not say. DescribeExport does,
# and is asked where these credentials may ask. What is not known forbids nothing.


class FilterOptions(Protocol):
    """What a command's options must have."""

    @property
    def aws(self) -> AwsSettings: ...
    @property
    def ask_filters(self) -> AskFilters: ...


def with_filters(found: FoundExports, options: FilterOptions) -> FoundExports:
    """The same exports with what is known of their filters, and findings about it."""
    exports = {one.uri: one for one in (*(one.export for one in found.planned), *(one for many in found.windows for one in many.exports))}
    asked = [one for one in exports.values() if one.arn and _is_to_ask(one, options.ask_filters)]
    known, reason = _ask(asked, options.aws)

    def told(export: Export) -> Export:
        return replace(export, filter=known.get(export.uri))

    planned = [replace(one, export=told(one.export)) for one in found.planned]
    windows = [replace(one, exports=tuple(map(told, one.exports))) for one in found.windows]
    unknown = [export for export in exports.values() if export.uri not in known]
    findings = [*found.findings, *_filter_findings(planned_exports=[one.export for one in planned])]
    if unknown and (asked or windows):
        findings.append(_unknown(len(unknown), reason, options.ask_filters))
    return FoundExports(planned, findings, windows)


def _is_to_ask(export: Export, ask: AskFilters) -> bool:
    return ask is AskFilters.ALWAYS or (ask is AskFilters.AUTO and export.uri.startswith("s3://"))


def _ask(exports: Sequence[Export], aws: AwsSettings) -> tuple[dict[str, str], str | None]:
    """By an export's URI, and why it is not known of others."""
    from pipeline.places.aws import why  # noqa: PLC0415 - boto3 takes long to import
    from pipeline.source.dynamodb_calls import CallFailed, DynamoDB  # noqa: PLC0415

    known: dict[str, str] = {}
    reason = None
    for export in exports:
        try:
            # Many networks let nobody reach DynamoDB, and then nothing answers at all.
            dynamodb = DynamoDB(replace(aws, region=str(export.arn).split(":")[3] or aws.region), is_brief=True)
            if not dynamodb.knows_filters:
                return known, "the installed boto3 does not know them; upgrade it"
            arn = str(export.arn)
            found = dynamodb.describe_export(arn, arn).filter
            known[export.uri] = WHOLE if found is None else found.recorded
        except CallFailed as failed:
            reason = str(failed)
            if failed.is_for_all:
                break
        except Exception as error:
            if (sentence := why(error)) is None:
                raise
            return known, sentence
    return known, reason


def _filter_findings(planned_exports: Sequence[Export]) -> Iterator[Check]:
    for export in {one.uri: one for one in planned_exports}.values():
        if export.filter not in (None, WHOLE):
            sentence = (
                f"{export.uri}: was made with a filter, so it is not the whole table: the counts prove that all of the export is moved, "
                "and items that the filter left out are not. Export the table without FilterSpecification if it is to be moved whole"
            )
            yield warning(Code.EXPORT_FILTERED, sentence)


def _unknown(count: int, reason: str | None, ask: AskFilters) -> Check:
    of_exports = f"of {counted_in_words(count, 'export')} it is not known whether a filter left items out"
    way = "--ask_filters=always asks DynamoDB" if ask is not AskFilters.ALWAYS else "DynamoDB was not asked"
    return fact(Code.FILTERS_UNKNOWN, f"{of_exports}: {reason or way}")


# -- where dead letters go -----------------------------------------------------------------------------------------------------------------


def output_findings(output: OutputFolder) -> Iterator[Check]:
    """Of the folder in which each run gets its own."""
    if sentence := output.why_not_writable():
        yield problem(Code.OUTPUT_NOT_WRITABLE, f"--output {sentence}")


# -- the load ------------------------------------------------------------------------------------------------------------------------------


def is_ledger_readable(cursor: Cursor) -> bool:
    """Whether the ledger that there is is of this role and of this version."""
    return is_ledger_ours(cursor) and not any(version_problems(cursor))


def find_visible_load(cursor: Cursor, export: Export, target: Target | None) -> Load | None:
    """The load of an export, where there is a ledger that we may read."""
    if target is None or not ledger_exists(cursor) or not is_ledger_readable(cursor):
        return None
    return find_load(cursor, export.export_id, target.qualified)


def load_findings(cursor: Cursor, export: Export, table: Table, target: Target | None, unmapped: Unmapped) -> Iterator[Check]:
    """Of the load into a target: it begins on an empty one, and goes on only as it was begun."""
    has_ledger = ledger_exists(cursor)
    if target is None or "SELECT" not in target.privileges or (has_ledger and not is_ledger_readable(cursor)):
        return  # which is a problem of the target or the ledger already
    name = table.target
    others = other_loads(cursor, export.export_id, target.qualified) if has_ledger else []
    for other in others:
        sentence = (
            f"a load of another export, {other}, was begun into it, and two exports must not mix. Go on with that one, or "
            f"{BEGIN_ANEW.format(table=name, export=other)}"
        )
        yield problem(Code.ANOTHER_EXPORT, sentence, name)
    renamed = loads_under_other_names(cursor, target.oid, target.qualified) if has_ledger else []
    for other_load in renamed:
        sentence = (
            f"is the table that load {other_load.load_id} of export {other_load.export_id} was begun into when it was called "
            f"{other_load.target_table}; give it that name back (ALTER TABLE ... RENAME), or name another target"
        )
        yield problem(Code.TARGET_RENAMED, sentence, name)
    load = find_load(cursor, export.export_id, target.qualified) if has_ledger else None
    if load is not None:
        yield from _begun_findings(cursor, export, table, target, load, unmapped)
    elif not others and not renamed and has_rows(cursor, target):
        sentence = (
            f"is not empty, and the ledger knows no load of export {export.export_id} into it; "
            "empty the table, or give the export that was loaded before"
        )
        yield problem(Code.NOT_EMPTY, sentence, name)
    elif not others and not renamed:
        yield fact(Code.EMPTY, "is empty, as far as this role sees" if target.has_row_security else "is empty", name)


def _begun_findings(cursor: Cursor, export: Export, table: Table, target: Target, load: Load, unmapped: Unmapped) -> Iterator[Check]:
    name = table.target
    if load.rollback_started_at is not None:
        sentence = f"a rollback of its load was begun; finish it first: ddb2pg rollback --export {export.uri} --yes"
        yield problem(Code.ROLLBACK_BEGUN, sentence, name)
        return
    yield from changed_findings(export, table, load, unmapped)
    yield from replaced_findings(cursor, table, target, load)
    yield from ledger_findings(cursor, table, load)
    begun = f"load {load.load_id} of this export, begun {load.started_at:%Y-%m-%d %H:%M} UTC"
    if load.finished_at is not None:
        yield fact(Code.FINISHED, f"{begun}, is finished: there is nothing to do", name)
    else:
        totals = load_totals(cursor, load.load_id)
        yield fact(Code.RESUMES, f"{begun}, has {totals.items:,} of {load.manifest_items:,} items; migrate goes on with it", name)


def replaced_findings(cursor: Cursor, table: Table, target: Target, load: Load, *, are_dropped_told: bool = True) -> Iterator[Check]:
    """Whether a table that has the name of the target, or of a child's, now is another than the one that the load was begun into."""
    begun = [load.target_oid, *(child.target_oid for child in load.children)]
    # A child's table that is not there is told elsewhere.
    for oid, one, of_table in zip(begun, (target, *target.children), (table, *table.child_tables), strict=False):
        if oid is None or oid == one.oid:
            continue
        into = f"the one that load {load.load_id} of export {load.export_id} was begun into"
        now_called = name_of_table(cursor, oid)
        if now_called:
            sentence = (
                f"is another table than {into}: that one is called {now_called} now. Give it its name back (ALTER TABLE ... RENAME), and "
                "the one that has it another"
            )
            yield problem(Code.TARGET_REPLACED, sentence, of_table.target)
        elif are_dropped_told:
            begin_anew = BEGIN_ANEW.format(table=of_table.target, export=load.export_id)
            sentence = f"is another table than {into}: that one was dropped, with its rows; {begin_anew}"
            yield problem(Code.TARGET_REPLACED, sentence, of_table.target)


def ledger_findings(cursor: Cursor, table: Table, load: Load) -> Iterator[Check]:
    """Whether the ledger still has every chunk that was committed."""
    missing = missing_chunks(cursor, load.load_id)
    if missing:
        sentence = (
            f"rows of ddb2pg.chunk were deleted: {counted_in_words(missing.chunks, 'chunk')} of load {load.load_id}, with "
            f"{counted_in_words(missing.items, 'item')}, which would be loaded a second time. Restore them from a backup, or "
            f"{BEGIN_ANEW.format(table=table.target, export=load.export_id)}"
        )
        yield problem(Code.LEDGER_INCOMPLETE, sentence, table.target)


def changed_findings(export: Export, table: Table, load: Load, unmapped: Unmapped | None) -> Iterator[Check]:
    """What is not as the load was begun, so that other rows would be made; `unmapped` is None where it was not given."""
    if load.export_digest != export.digest:
        sentence = f"{export.uri}: its manifest is not the one that the load of export {export.export_id} was begun with; give that one"
        yield problem(Code.MANIFEST_CHANGED, sentence, table.target)
    yield from definition_findings(table, load, unmapped)


def definition_findings(table: Table, load: Load, unmapped: Unmapped | None) -> Iterator[Check]:
    """Whether other rows would be made of the same items."""
    if load.definition != table.fingerprint:
        # What is for no table is a dead letter of the first of a source, so the others' conditions are a part of it.
        of_others = (
            ""
            if table.where is None
            else " (the conditions of other definitions of its source count, too; load a further kind of items with a file of its own)"
        )
        sentence = (
            f"the definition of {table.source} has changed since its load began{of_others}; give the one that it was begun with, and "
            "finish the load or roll it back (docs/rollback.md)"
        )
        yield problem(Code.DEFINITION_CHANGED, sentence, table.target)
    if unmapped not in (None, load.unmapped):
        sentence = f"its load was begun with --unmapped={load.unmapped.value}; give the same"
        yield problem(Code.UNMAPPED_CHANGED, sentence, table.target)
