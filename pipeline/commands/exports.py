"""`export`, `inspect` and `sample-export`: exports requested, inspected, and made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from pipeline.console import counted_in_words, details_console
from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from pipeline.errors import Refused
from pipeline.inspection.inspect_exports import Depth, ExportInspection, inspect_export
from pipeline.inspection.inspect_windows import UNREADABLE, WindowInspection, inspect_window, print_window
from pipeline.inspection.terminal import print_inspection
from pipeline.ledger.applied import applied_tables
from pipeline.options import ExportCommandOptions, InspectOptions, SampleExportOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict
from pipeline.places.place import StorageFailed
from pipeline.source.given import read_given_exports
from pipeline.source.windows import Applied, WantedWindows
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Session
from transforms.table import Table
from transforms.tables.medzen import TABLES


def export(options: ExportCommandOptions, console: Console) -> Run:
    """Ask DynamoDB for exports."""
    from pipeline.source.ask_dynamodb import export_tables  # noqa: PLC0415 - boto3 takes long to import
    from pipeline.source.dynamodb_calls import ExportStatus  # noqa: PLC0415
    from pipeline.source.export_plan import ExportOptions, split_target  # noqa: PLC0415

    bucket, prefix = split_target(options.to)
    tables = options.table or tuple(table.source for table in TABLES)
    wanted = ExportOptions(
        tables, bucket, prefix, options.export_time, _wanted_windows(options, tables), not options.no_wait, options.kms_key
    )
    exports = export_tables(wanted, options.aws, console)
    checks = [
        Check("export", Verdict.FAIL, each.problem)
        if each.problem
        else Check("export", Verdict.FACT, f"{each.source_table}: {each.status}")
        for each in exports
    ]
    in_progress = dict.fromkeys(each.source_table for each in exports if each.status is ExportStatus.IN_PROGRESS)
    return Run("export", checks={"exports": checks}, left_running=tuple(in_progress), results={"exports": exports})


def _wanted_windows(options: ExportCommandOptions, tables: Sequence[str]) -> WantedWindows | None:
    """None where full exports are wanted. Raises `Refused`, also with what the ledger has against windows."""
    from pipeline.source.export_plan import name_of_table  # noqa: PLC0415 - see above

    given: dict[str, object] = {"--from": options.begin, "--until": options.until, "--view": options.view}
    given |= {"--database": options.database_url, "--database_secret": options.database_secret}
    if not options.incremental:
        problems = [f"{flag} is for windows; give --incremental as well, or leave it out" for flag, value in given.items() if value]
        if problems:
            raise Refused(problems)
        return None
    names = [name for table in tables if (name := name_of_table(table))]
    if options.begin:
        return WantedWindows({name: Applied(options.begin) for name in names}, options.until, options.view)
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([f"{sentence}. Its ledger knows where the windows begin; or say it with --from"])
    with Session(options.database) as session:
        applied = session.transact(lambda cursor: applied_tables(cursor, names))
    return WantedWindows(applied, options.until, options.view)


def inspect(options: InspectOptions, console: Console) -> Run:
    """Show what exports are and what their items look like, without their values."""
    given = read_given_exports(options.exports, options.storage, takes_windows=True)
    checks = [Check("export_unusable", Verdict.FAIL, problem) for problem in given.problems]
    depth = Depth(options.sample, options.full, options.processes)
    inspections, windows = [], []
    with details_console(options.details) as details:
        for one in (*given.sound, *given.windows):
            try:
                if one.export.window:
                    windows.append(inspect_window(one, one.export.window, depth, options.storage))
                    print_window(console, windows[-1])
                else:
                    inspections.append(inspect_export(one, depth, options.storage))
                    print_inspection(console, details, inspections[-1])
            except StorageFailed as failed:
                checks.append(Check("export_unusable", Verdict.FAIL, str(failed)))
    outcomes = (*map(_lines_of, inspections), *map(_records_of, windows))
    results = {"exports": inspections, "windows": windows}
    return Run(
        "inspect", outcomes, {"exports": checks}, results=results, places={"details": str(options.details)} if options.details else {}
    )


def _lines_of(inspection: ExportInspection) -> Outcome:
    """What its lines are, as far as they were looked at."""
    return _outcome_of(inspection, inspection.looked_at.lines, inspection.looked_at.items)


def _records_of(inspection: WindowInspection) -> Outcome:
    """The same of a window."""
    return _outcome_of(inspection, inspection.lines, inspection.lines - inspection.kinds.get(UNREADABLE, 0))


def _outcome_of(inspection: ExportInspection | WindowInspection, lines: int, items: int) -> Outcome:
    return Outcome(
        source_table=inspection.source_table,
        target_table="",
        export_id=inspection.export_id,
        counted="line",
        total=lines,
        total_words="looked at",
        seen=lines,
        seen_words="read",
        parts=(Part("items", "items", items, PartKind.GOOD), Part("unreadable", "unreadable", lines - items, PartKind.REVIEW)),
        problems=inspection.problems,
        done_now=lines,
    )


def sample_export(options: SampleExportOptions, console: Console) -> Run:
    """Write sample exports and say where they are."""
    from sample_export import write_any_exports, write_sample_exports  # noqa: PLC0415 - only this command needs it

    if options.fresh and (not options.windows or options.fresh.resolve().is_relative_to(options.folder.resolve())):
        raise Refused(["--fresh_export takes a folder beside the other one, and belongs to --windows"])
    tables = find_tables(options.tables_from) if options.tables_from else ()
    if options.windows:
        return _sample_chains(options, options.windows, tables, console)
    wanted: dict[str, Any] = {
        "items": options.items,
        "faulty": options.faulty,
        "odd": options.odd,
        "seed": options.seed,
        "items_per_file": options.items_per_file,
    }
    try:
        if tables:
            exports = write_any_exports(options.folder, **(describe(tables) | wanted))
        else:
            exports = write_sample_exports(options.folder, **wanted, processes=options.processes)
    except (FileExistsError, ValueError) as error:
        raise Refused([str(error)]) from None
    written = {each.folder: each for each in exports}.values()
    for each in written:
        size = f"{counted_in_words(each.items, 'item')} in {counted_in_words(each.data_files, 'data file')}"
        console.print(f"{each.source_table}: {size}, {each.folder}")
    truth = str(exports[0].truth.parent)
    console.print(f"the truth (what each item must become): {truth}")
    return Run("sample-export", results={"exports": list(written), "truth": truth})


def _sample_chains(options: SampleExportOptions, windows: int, tables: Sequence[Table], console: Console) -> Run:
    from sample_export import ChainSettings, write_any_chains, write_sample_chains  # noqa: PLC0415 - only this command needs it

    settings = ChainSettings(
        windows=windows,
        view=options.view,
        items=options.items,
        changes=options.changes or max(options.items // 10, 1),
        faulty=options.faulty,
        odd=options.odd,
        seed=options.seed,
        items_per_file=options.items_per_file,
    )
    try:
        chains = (
            write_any_chains(options.folder, **describe(tables), settings=settings, fresh=options.fresh)
            if tables
            else write_sample_chains(options.folder, settings, fresh=options.fresh)
        )
    except (FileExistsError, ValueError) as error:
        raise Refused([str(error)]) from None
    for chain in chains:
        size = f"{counted_in_words(chain.full.items, 'item')}, then {counted_in_words(chain.records, 'change')} in "
        size += counted_in_words(len(chain.windows), "window")
        console.print(f"{chain.full.source_table}: {size}, {chain.full.folder.parent}")
        if chain.fresh:
            console.print(f"  as of the end of the last window: {counted_in_words(chain.fresh.items, 'item')}, {chain.fresh.folder}")
    truth = str(chains[0].full.truth.parent)
    console.print(f"the truth (what each item and change must do): {truth}")
    return Run("sample-export", results={"chains": list(chains), "truth": truth})
