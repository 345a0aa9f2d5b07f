"""The exports and the output, before any database is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.filesize import decimal

from pipeline.places import Storage
from pipeline.places.output import OutputFolder
from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import Export
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class Planned:
    """A table, and the export that is to be loaded into its target."""

    table: Table
    export: Export


def find_exports(arguments: Sequence[ExportArgument], tables: Sequence[Table], storage: Storage) -> tuple[list[Planned], list[Finding]]:
    """Each sound export with its table's definition, in the order of the tables; and what there is to say of them and the others."""
    by_source = {table.source: table for table in tables}
    given, sentences = read_given_exports(arguments, storage)
    findings = [problem(Code.EXPORT_UNUSABLE, sentence) for sentence in sentences]
    planned: list[Planned] = []
    for name, export in ((one.source_table, one.export) for one in given):
        if name in by_source:
            planned.append(Planned(by_source[name], export))
        else:
            known = ", ".join(by_source)
            sentence = f"{export.uri}: is of the table {name!r}, which has no definition; there are {known} (NAME=URI picks one)"
            findings.append(problem(Code.UNKNOWN_TABLE, sentence))
    order = list(by_source)
    planned.sort(key=lambda one: order.index(one.table.source))
    findings.extend(_twice(planned))
    for one in planned:
        findings.extend(_export_findings(one))
    there = {one.table.source for one in planned}
    # One that is there, but not sound, is told already.
    if not sentences:
        findings.extend(_missing(table) for table in tables if table.source not in there)
    return planned, findings


def output_findings(output: OutputFolder) -> Iterator[Finding]:
    """Of the folder in which each run gets its own."""
    sentence = output.why_not_writable()
    if sentence:
        yield problem(Code.OUTPUT_NOT_WRITABLE, f"--output {sentence}")


def _missing(table: Table) -> Finding:
    return warning(Code.NO_EXPORT, f"no export was given for {table.source}")


def _twice(planned: Sequence[Planned]) -> Iterator[Finding]:
    first: dict[str, Export] = {}
    for one in planned:
        other = first.setdefault(one.table.source, one.export)
        if other is not one.export:
            sentence = f"{one.export.uri} and {other.uri}: are both of {one.table.source}; give one of them"
            yield problem(Code.TWO_EXPORTS, sentence)


def _export_findings(planned: Planned) -> Iterator[Finding]:
    export, name = planned.export, planned.table.target
    size = decimal(sum(data_file.bytes or 0 for data_file in export.data_files))
    shown = f"{export.items:,} items in {len(export.data_files):,} data files ({size})"
    if not export.has_manifest:
        yield fact(Code.EXPORT, f"export of {planned.table.source}: {shown}, counted, for there is no manifest; {export.uri}", name)
        sentence = f"{export.uri} has no manifest: every item of these files will be accounted for, but nothing proves that they are all"
        yield warning(Code.EXPORT_WITHOUT_MANIFEST, sentence, name)
        return
    yield fact(
        Code.EXPORT,
        f"export {export.export_id} of {planned.table.source} as of {export.export_time or 'an unknown time'}: {shown}, all there; each is "
        f"compared with its MD5 and count before a row of it is written; {export.uri}",
        name,
    )
    if not export.are_manifests_verified:
        sentence = (
            f"{export.uri}: the manifests have no side files with their MD5 (manifest-*.md5), so nothing proves that they are whole; "
            "copy those, too"
        )
        yield warning(Code.MANIFEST_NOT_VERIFIED, sentence, name)
