"""An inspected export as a person reads it on the terminal. No value of an item is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import counted_in_words, print_grid
from pipeline.inspection.inspect_exports import ExportInspection
from pipeline.inspection.statistics import Unreadable
from pipeline.inspection.summary import AttributeSummary, Extent, ItemSummary, MemberSummary, NumberSummary, TextSummary

# Only from this many numbers of an attribute on, the output says that they look like times.
_MOSTLY_TIMES: Final = 0.9
_MOST_MEMBERS: Final = 60

_WORDS: Final[dict[str, str]] = {
    Unreadable.INVALID_JSON: "not one JSON object in UTF-8",
    Unreadable.NOT_AN_ITEM: 'without the one member "Item"',
    Unreadable.INCREMENTAL_RECORD: "records of an incremental export",
    Unreadable.MALFORMED_ATTRIBUTE: "with a malformed attribute value",
    Unreadable.NESTED_TOO_DEEPLY: "nested too deeply",
}


def print_inspection(console: Console, details: Console | None, inspection: ExportInspection) -> None:
    """One export: what it is, whether it is whole, and what its items look like; all that is known of them goes to `details`."""
    _print_export(console, inspection)
    print_attributes(console, inspection.looked_at, is_short=True)
    if inspection.looked_at.attributes and details is None:
        _print_line(console, "more about each attribute, its sizes and its members: --details FILE")
    console.print()
    if details:
        _print_export(details, inspection)
        print_attributes(details, inspection.looked_at)
        details.print()


def _print_export(console: Console, inspection: ExportInspection) -> None:
    console.print(inspection.source_table, style="bold", highlight=False, markup=False)
    for sentence in _about_export(inspection):
        console.print(f"  {sentence}", highlight=False, markup=False)
    for problem in inspection.problems:
        console.print(f"  DAMAGED: {problem}", style="bold red", highlight=False, markup=False)


def _about_export(inspection: ExportInspection) -> Iterator[str]:
    manifest = (
        "manifest" if inspection.has_manifest else "count of the data files; there is no manifest, so nothing proves that they are all"
    )
    yield f"export {inspection.export_id} of {inspection.export_time or 'unknown time'}, {inspection.format}, {inspection.uri}"
    yield (
        f"{counted_in_words(inspection.items, 'item')} in {counted_in_words(inspection.data_files, 'data file')} "
        f"(at most {inspection.largest_data_file_items:,} in one), "
        f"{decimal(inspection.bytes)}, by the {manifest}"
    )
    if inspection.has_manifest:
        yield "manifests: " + ("MD5 verified" if inspection.are_manifests_verified else "no side files with their MD5, so not verified")
    if inspection.are_data_files_verified:
        yield "data files: MD5 and count of each verified"
    elif inspection.has_manifest and not inspection.problems:
        yield "data files: all there, not verified; --full compares MD5 and count of each, and looks at every item"


# -- items ---------------------------------------------------------------------------------------------------------------------------------


def print_attributes(console: Console, summary: ItemSummary, *, is_short: bool = False) -> None:
    """The lines, a table of the attributes, in short one line of each, and what is not shown."""
    for sentence in _about_lines(summary):
        _print_line(console, sentence)
    if summary.attributes:
        print_grid(console, _short_grid(summary) if is_short else _grid(summary))
    for sentence in _about_others(summary):
        _print_line(console, sentence)


def _print_line(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, markup=False)


def _about_lines(summary: ItemSummary) -> Iterator[str]:
    size = f"; a line has {_extent(summary.line_bytes, 'byte')}" if summary.line_bytes else ""
    lines, items = counted_in_words(summary.lines, "line"), counted_in_words(summary.items, "item")
    yield f"{lines} = {items} + {summary.lines - summary.items:,} unreadable{size}"
    for kind, count in summary.unreadable.items():
        yield f"  unreadable: {count:,} {_WORDS.get(kind, kind)}"
    if summary.items_with_nul_character:
        yield f"  U+0000, which PostgreSQL does not store: in {counted_in_words(summary.items_with_nul_character, 'item')}"


def _about_others(summary: ItemSummary) -> Iterator[str]:
    others = counted_in_words(summary.other_attributes, "other attribute name")
    if summary.other_attributes_capped:
        yield f"and more than {others}: of so many, only those that a tenth of the items have are shown"
    elif summary.other_attributes:
        yield f"and {others}, not shown for looking like data"


def _grid(summary: ItemSummary) -> Grid:
    grid = Grid(box=box.HORIZONTALS, pad_edge=False)
    grid.add_column("attribute", overflow="fold", ratio=2)
    grid.add_column("present", justify="right", no_wrap=True)
    grid.add_column("types and values", overflow="fold", ratio=5)
    for attribute in summary.attributes:
        present = f"{_share(attribute.items, summary.items)}\n{attribute.items:,}"
        # Text, not str: a name is no markup.
        cells = map(Text, (attribute.name, present, "\n".join(_about_attribute(attribute))))
        members = attribute.members[:_MOST_MEMBERS]
        grid.add_row(*cells, end_section=not members)
        for member in members:
            grid.add_row(*map(Text, _member_cells(attribute, member)), end_section=member is members[-1])
    return grid


def _short_grid(summary: ItemSummary) -> Grid:
    grid = Grid(box=box.HORIZONTALS, pad_edge=False)
    grid.add_column("attribute", overflow="fold", ratio=2)
    grid.add_column("present", justify="right", no_wrap=True)
    grid.add_column("types", overflow="fold", ratio=2)
    grid.add_column("values", overflow="fold", ratio=4)
    for attribute in summary.attributes:
        present = _share(attribute.items, summary.items)
        grid.add_row(*map(Text, (attribute.name, present, _counts(attribute.types), "; ".join(_most_about(attribute)))))
    return grid


def _most_about(attribute: AttributeSummary) -> Iterator[str]:
    """What decides about the column's type, and what is wrong."""
    if attribute.texts:
        yield _counts(attribute.texts.shapes)
    if attribute.numbers:
        numbers = attribute.numbers
        yield _epoch_hint(numbers) or _digits(numbers)
        if numbers.invalid:
            yield f"{numbers.invalid:,} NOT A NUMBER"
    if attribute.members:
        yield counted_in_words(len(attribute.members), "place") + " inside"
    if attribute.malformed:
        yield f"malformed in {counted_in_words(attribute.malformed, 'more item')}"


def _member_cells(attribute: AttributeSummary, member: MemberSummary) -> tuple[str, str, str]:
    path = f"  {member.path.removeprefix(attribute.name)}"
    if path.endswith("[]"):
        return path, f"{member.present:,}", f"elements: {_counts(member.types)}"
    return path, _share(member.present, member.of), _counts(member.types)


def _about_attribute(attribute: AttributeSummary) -> Iterator[str]:
    yield _counts(attribute.types)
    if attribute.texts:
        yield f"S: {_about_texts(attribute.texts)}"
    if attribute.numbers:
        yield from (f"N: {line}" for line in _about_numbers(attribute.numbers))
    sizes = (
        ("B", attribute.binary_bytes, "byte"),
        ("SS, NS, BS", attribute.set_members, "member"),
        ("M", attribute.map_members, "member"),
        ("L", attribute.list_elements, "element"),
    )
    yield from (f"{types}: {_extent(extent, unit)}" for types, extent, unit in sizes if extent)
    if attribute.depth > 1:
        yield f"{attribute.depth} levels deep"
    if attribute.other_members or attribute.other_members_capped:
        more = "more than " if attribute.other_members_capped else ""
        yield f"and {more}{counted_in_words(attribute.other_members, 'other member name')}"
    if len(attribute.members) > _MOST_MEMBERS:
        yield f"of its places, {len(attribute.members) - _MOST_MEMBERS:,} are in the JSON form only"
    if attribute.malformed:
        yield f"malformed in {counted_in_words(attribute.malformed, 'more item')}"


def _about_texts(texts: TextSummary) -> str:
    size = _extent(texts.characters, "character")
    if texts.utf8_bytes != texts.characters:
        size += f", {_extent(texts.utf8_bytes, 'byte')}"
    return f"{_counts(texts.shapes)}; {size}"


def _about_numbers(numbers: NumberSummary) -> Iterator[str]:
    if numbers.valid > numbers.zeros:
        yield f"{_digits(numbers)}{'' if numbers.least is None else f', {numbers.least} to {numbers.greatest}'}"
    epoch = _epoch_hint(numbers)
    if epoch:
        yield epoch
    counts = (
        ("negative", numbers.negative),
        ("zero", numbers.zeros),
        ("with a fraction", numbers.fractional),
        ("not as DynamoDB writes", numbers.non_canonical),
        ("NOT A NUMBER", numbers.invalid),
    )
    odd = [f"{count:,} {words}" for words, count in counts if count]
    if odd:
        yield ", ".join(odd)


def _digits(numbers: NumberSummary) -> str:
    if not numbers.fractional:
        return f"integers of up to {counted_in_words(numbers.digits_before_point, 'digit')}"
    return f"up to {counted_in_words(numbers.digits_before_point, 'digit')} before and {numbers.digits_after_point} after the point"


def _epoch_hint(numbers: NumberSummary) -> str:
    """Which unit of time the numbers look like; nothing unless most of them do."""
    times = sum(numbers.epoch_units.values())
    if not times or times < _MOSTLY_TIMES * numbers.valid:
        return ""
    units = list(numbers.epoch_units)
    if numbers.epoch_units[units[0]] == numbers.valid:
        return f"looks like epoch {units[0]}"
    return f"looks like epoch {_counts(numbers.epoch_units, numbers.valid)}"


# -- figures -------------------------------------------------------------------------------------------------------------------------------


def _counts(counts: Mapping[str, int], of: int = 0) -> str:
    """Kinds with their shares, rare ones with their number; one kind that all are of without."""
    of = of or sum(counts.values())
    if len(counts) == 1 and of in counts.values():
        return next(iter(counts))
    return ", ".join(f"{kind} {_share(count, of)}" if count * 100 >= of else f"{count:,} {kind}" for kind, count in counts.items())


def _share(count: int, of: int) -> str:
    """Per cent, so that neither few look like none nor most like all. No space in it: a cell is broken there."""
    if not count or count >= of:
        return "100%" if count else "0%"
    per_cent = 100 * count / of
    if per_cent < 0.1:
        return "<0.1%"
    if per_cent > 99.9:
        return ">99.9%"
    return f"{per_cent:.0f}%" if 1 <= per_cent <= 99 else f"{per_cent:.1f}%"


def _extent(extent: Extent, unit: str) -> str:
    if extent.least == extent.greatest:
        return counted_in_words(extent.least, unit)
    return f"{extent.least:,} to {counted_in_words(extent.greatest, unit)}"
