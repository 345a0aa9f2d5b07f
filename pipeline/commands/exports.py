"""`export`, `inspect` and `sample-export`: exports requested, inspected, and made."""

from __future__ import annotations

from rich.console import Console

from pipeline.console import counted_in_words, print_json
from pipeline.errors import Refused
from pipeline.inspection.inspect_exports import Depth, inspect_export
from pipeline.inspection.terminal import print_inspection
from pipeline.options import ExportCommandOptions, InspectOptions, SampleExportOptions
from pipeline.outcome.verdict import ExitCode
from pipeline.places.place import StorageFailed
from pipeline.source.given import read_given_exports
from transforms.tables.medzen import TABLES


def export(options: ExportCommandOptions, console: Console) -> ExitCode:
    """Ask DynamoDB for exports."""
    from pipeline.source.ask_dynamodb import ExportsFailed, export_tables  # noqa: PLC0415 - boto3 takes long to import
    from pipeline.source.export_plan import ExportOptions, split_target  # noqa: PLC0415

    bucket, prefix = split_target(options.to)
    tables = options.table or tuple(table.source for table in TABLES)
    wanted = ExportOptions(tables, bucket, prefix, options.export_time, not options.no_wait, options.kms_key)
    try:
        exports = export_tables(wanted, options.aws, console)
    except ExportsFailed as failed:
        if options.json:
            print_json(failed.exports)
        raise
    if options.json:
        print_json(exports)
    return ExitCode.DONE


def inspect(options: InspectOptions, console: Console) -> ExitCode:
    """Show what exports are and what their items look like, without their values."""
    given, problems = read_given_exports(options.exports, options.storage)
    inspections = []
    for export_given in given:
        try:
            inspections.append(inspect_export(export_given, Depth(options.sample, options.full, options.processes), options.storage))
        except StorageFailed as failed:
            problems.append(str(failed))
            continue
        if not options.json:
            print_inspection(console, inspections[-1])
    if options.json:
        print_json(inspections)
    if problems:
        raise Refused(problems)
    return ExitCode.FAILED if any(inspection.problems for inspection in inspections) else ExitCode.DONE


def sample_export(options: SampleExportOptions, console: Console) -> ExitCode:
    """Write sample exports and say where they are."""
    from sample_export import write_sample_exports  # noqa: PLC0415 - only this command needs it

    try:
        exports = write_sample_exports(
            options.folder,
            items=options.items,
            faulty=options.faulty,
            odd=options.odd,
            seed=options.seed,
            items_per_file=options.items_per_file,
            processes=options.processes,
        )
    except (FileExistsError, ValueError) as error:
        raise Refused([str(error)]) from None
    for written in exports:
        size = f"{counted_in_words(written.items, 'item')} in {counted_in_words(written.data_files, 'data file')}"
        console.print(f"{written.source_table}: {size}, {written.folder}")
    console.print(f"the truth (what each item must become): {exports[0].truth.parent}")
    return ExitCode.DONE
