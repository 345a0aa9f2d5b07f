"""`dead-letters summary` and `show`: what was refused, for the engineer who reviews it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Mapping

import orjson
from rich.console import Console

from pipeline.console import print_json
from pipeline.options import DeadLettersOptions, ShowOptions
from pipeline.outcome.verdict import ExitCode
from pipeline.records.mask import named_paths
from pipeline.records.reading import DeadLetterFiles, find_dead_letters, read_dead_letters
from pipeline.records.summary import Filter, Names, print_dead_letter, print_summary, record_to_json, summarise


def summary(options: DeadLettersOptions, console: Console) -> ExitCode:
    """What was refused and why, by table, code and attribute."""
    tables = summarise(read_dead_letters(_find(options).uris, options.storage), _named_paths(options))
    if options.json:
        print_json(tables)
    else:
        print_summary(console, tables)
    return ExitCode.DONE


def show(options: ShowOptions, console: Console) -> ExitCode:
    """Single dead letters."""
    wanted = Filter(options.table, options.code, options.attribute)
    named = _named_paths(options)
    is_any = False
    records = filter(wanted.takes, read_dead_letters(_find(options).uris, options.storage))
    for record in itertools.islice(records, options.limit):
        is_any = True
        names = Names(named.get(record["source_table"], ()), options.show_values)
        if options.json:
            sys.stdout.buffer.write(orjson.dumps(record_to_json(record, names), option=orjson.OPT_APPEND_NEWLINE))
        else:
            print_dead_letter(console, record, names)
    if not is_any and not options.json:
        console.print("there is no such dead letter")
    return ExitCode.DONE


def _find(options: DeadLettersOptions) -> DeadLetterFiles:
    files = find_dead_letters(options.folder, str(options.output_given), options.storage)
    if not files.is_whole_run:
        sys.stderr.write(f"ddb2pg: {options.folder}: the run did not come to its end, so this may not be all; run its command again\n")
    return files


def _named_paths(options: DeadLettersOptions) -> Mapping[str, Collection[str]]:
    named: dict[str, frozenset[str]] = {}
    for table in options.tables:
        named[table.source] = named.get(table.source, frozenset()) | named_paths(table)
    return named
