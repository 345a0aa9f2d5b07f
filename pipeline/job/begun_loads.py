"""The loads that validate and rollback are asked about: found in the ledger, and such that the same rows can be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.engines.arguments import option_names
from pipeline.errors import Refused
from pipeline.job.loading import LoadPlan
from pipeline.ledger.loads import Load, is_ledger_ours, ledger_exists, version_problems
from pipeline.ledger.replays import is_key_another
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.exports import find_exports, output_findings
from pipeline.preflight.findings import problems_in
from pipeline.source.given import ExportArgument
from pipeline.source.manifest import Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session, why_not_connected
from pipeline.target.target import Target, find_target
from transforms.table import Table, Unmapped


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a command was asked for that looks at what was loaded."""

    exports: Sequence[ExportArgument]
    database: DatabaseReference
    output: OutputFolder
    tables: Sequence[Table]
    unmapped: Unmapped | None
    """None: as the load was begun."""
    storage: Storage
    beam_arguments: Sequence[str]

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {
            "exports": [argument.uri for argument in self.exports],
            "output": str(self.output),
            "beam_options": option_names(self.beam_arguments),
        }


@dataclass(frozen=True, slots=True)
class BegunLoad:
    """An export and its load."""

    export: Export
    plan: LoadPlan


FindLoad = Callable[[Cursor, str, str], Load | None]
"""By export id and target."""
ProblemsOf = Callable[[Cursor, Table, Target, Load], Iterator[str]]
"""What speaks against the command, besides what speaks against every one."""


def find_begun_loads(options: CheckOptions, run_id: str, find: FindLoad, problems_of: ProblemsOf) -> list[BegunLoad]:
    """The load of each export that is given, in the order of the tables. Raises `Refused` with every problem that there is."""
    planned, findings = find_exports(options.exports, options.tables, options.storage)
    problems = [*problems_in(findings), *problems_in(output_findings(options.output))]
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([*problems, sentence])

    def work(cursor: Cursor) -> list[BegunLoad]:
        found = list(problems)
        found.extend(_problems_of_ledger(cursor))
        if found:
            raise Refused(found)
        begun = []
        for one_planned in planned:
            one = _find(cursor, options, run_id, one_planned.table, one_planned.export, find)
            if isinstance(one, BegunLoad):
                begun.append(one)
                found.extend(problems_of(cursor, one_planned.table, one.plan.target, one.plan.load))
            else:
                found.extend(one)
        if found:
            raise Refused(found)
        return begun

    with Session(options.database) as session:
        return session.transact(work)


def _problems_of_ledger(cursor: Cursor) -> Iterator[str]:
    if not ledger_exists(cursor):
        yield "no load was ever started in this database; is it the right one?"
    elif not is_ledger_ours(cursor):
        yield "the ledger, the schema ddb2pg, belongs to another role than this one; connect as the role that loaded"
    else:
        yield from version_problems(cursor)


def _find(cursor: Cursor, options: CheckOptions, run_id: str, table: Table, export: Export, find: FindLoad) -> BegunLoad | list[str]:
    """The load, or what is wrong with it."""
    target = find_target(cursor, table.target)
    if target is None:
        return [f"{table.target}: there is no such table on the search path"]
    load = find(cursor, export.export_id, target.qualified)
    if load is None:
        return [f"{table.target}: the ledger knows no load of export {export.export_id} into it"]
    problems = list(_problems_of_load(cursor, options, table, export, target, load))
    return problems or BegunLoad(export, LoadPlan(load, table, target, options.database, run_id, options.storage))


def has_key_of_items(target: Target, table: Table) -> bool:
    """Whether the primary key tells of which item a row is: there is one, and the load fills its columns."""
    return bool(target.primary_key) and set(target.primary_key) <= set(table.column_names)


def _problems_of_load(cursor: Cursor, options: CheckOptions, table: Table, export: Export, target: Target, load: Load) -> Iterator[str]:
    if "SELECT" not in target.privileges:
        yield f"{table.target}: this role may not SELECT; let its owner GRANT SELECT ON {table.target}"
    if not has_key_of_items(target, table):
        yield f"{table.target}: has no primary key of columns that the load fills, so no row can be told to be that of an item"
    if is_key_another(cursor, load.load_id, target):
        yield (
            f"{table.target}: its primary key is not the one that it had when dead letters were brought in, so those cannot be told; "
            "change it back"
        )
    if load.export_digest != export.digest:
        yield f"{export.uri}: its manifest is not the one that the load of export {export.export_id} was begun with; give that one"
    if load.definition != table.fingerprint:
        yield f"{table.target}: the definition of {table.source} has changed since its load began; give the one that it was begun with"
    if options.unmapped not in (None, load.unmapped):
        yield f"{table.target}: its load was begun with --unmapped={load.unmapped.value}; give the same, or leave it out"
