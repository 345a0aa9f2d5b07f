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
    """A definition, and an export that is to be loaded into its target; several definitions may take from one export."""

    table: Table
    export: Export


def find_exports(arguments: Sequence[ExportArgument], tables: Sequence[Table], storage: Storage) -> tuple[list[Planned], list[Finding]]:
    """Each sound export with each definition that takes from it, in the order of the tables; and findings about all exports."""
    given, sentences = read_given_exports(arguments, storage)
    findings = [problem(Code.EXPORT_UNUSABLE, sentence) for sentence in sentences]
    planned = [Planned(table, one.export) for table in tables for one in given if one.source_table == table.source]
    sources = list(dict.fromkeys(table.source for table in tables))
    for one in given:
        if one.source_table not in sources:
            sentence = (
                f"{one.export.uri}: is of the table {one.source_table!r}, which has no definition; there are {', '.join(sources)} "
                "(NAME=URI picks one)"
            )
            findings.append(problem(Code.UNKNOWN_TABLE, sentence))
    findings.extend(_twice(planned))
    for pair in planned:
        findings.extend(_export_findings(pair))
    # One that is there, but not sound, is told already.
    if not sentences:
        exported = {pair.table.source for pair in planned}
        findings.extend(_missing(source) for source in sources if source not in exported)
    return planned, findings


def output_findings(output: OutputFolder) -> Iterator[Finding]:
    """Of the folder in which each run gets its own."""
    sentence = output.why_not_writable()
    if sentence:
        yield problem(Code.OUTPUT_NOT_WRITABLE, f"--output {sentence}")


def _missing(source: str) -> Finding:
    return warning(Code.NO_EXPORT, f"no export was given for {source}")


def _twice(planned: Sequence[Planned]) -> Iterator[Finding]:
    """Of one definition: one export may well be for several."""
    first: dict[tuple[str, str], Export] = {}
    for one in planned:
        other = first.setdefault((one.table.source, one.table.target), one.export)
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
