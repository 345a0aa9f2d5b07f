"""Writes made-up exports for the tables of any definition, with the truth of every item for each of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path as File
from random import Random
from typing import Any

from sample_export.any_table import (
    NULL,
    CannotMakeUp,
    Error,
    Made,
    Plain,
    Typed,
    Value,
    encode_json,
    faults_of,
    in_words,
    kind_of,
    make,
    meaning_of_missing,
    paths_taken,
    put,
    steps,
    to_json,
)
from sample_export.any_table import Path as Steps
from sample_export.child_rows import Children
from sample_export.children import Fault
from sample_export.conditions import equals_of, holds, look_up, paths_of, satisfy
from sample_export.values import to_uuid
from sample_export.write import ExportIdentity, SampleExport, WrittenFile, write_manifests

_TRIES = 20
_encode_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_any_exports(
    root: File, tables: Sequence[Plain], ignored: Sequence[Plain], *, items: int, faulty: float, odd: float, seed: int, items_per_file: int
) -> list[SampleExport]:
    """An export for each source of the tables, of so many items, below `root`, and `root/truth/NAME.jsonl` for each table by its `name`.

    Raises ValueError for what cannot be made up or arguments that make no sense, FileExistsError where there is something already.
    """
    if not (0 <= faulty <= 1 and 0 <= odd <= 1):
        message = "faulty and odd are shares and must be in 0..1."
        raise ValueError(message)
    sources = dict.fromkeys(table["source"] for table in tables)
    for source in sources:
        if (root / source).exists():
            message = f"There is something in {root / source} already: choose another root, or remove it first."
            raise FileExistsError(message)
    return [
        export
        for source in sources
        for export in _Source(
            source,
            [MadeUpTable(table) for table in tables if table["source"] == source],
            [entry["where"] for entry in ignored if entry["source"] == source],
            Random(f"{seed} {source}"),
            odd,
        ).write(root, items, faulty, seed, items_per_file)
    ]


class _Source:
    """One DynamoDB table, of which several tables may take."""

    def __init__(self, name: str, tables: Sequence[MadeUpTable], ignored: Sequence[Any], chance: Random, odd: float) -> None:
        self._name, self._tables, self._ignored, self._chance, self._odd = name, tables, ignored, chance, odd

    def write(self, root: File, items: int, faulty: float, seed: int, items_per_file: int) -> Iterator[SampleExport]:
        digest = hashlib.blake2b(f"{seed} {self._name} {items} {faulty}".encode(), digest_size=16).hexdigest()
        started = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(milliseconds=int(digest[:7], 16))
        epoch_ms = (started - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        export = ExportIdentity(self._name, f"0{epoch_ms}-{digest[:8]}", started, "123456789012", to_uuid(digest))
        folder = root / export.prefix
        (folder / "data").mkdir(parents=True)
        (root / "truth").mkdir(parents=True, exist_ok=True)
        truths = {table.name: root / "truth" / f"{table.name}.jsonl" for table in self._tables}
        for path in truths.values():
            path.write_bytes(b"")
        files = []
        made = self._made(items, faulty)
        for number in range(max(1, -(-items // items_per_file))):
            name = f"{number:026d}.json.gz"
            lines = []
            told: dict[str, list[str]] = {table.name: [] for table in self._tables}
            for item_number, (line, outcomes) in zip(range(items_per_file), made, strict=False):
                lines.append(line + b"\n")
                for table_name, outcome in outcomes.items():
                    told[table_name].append(encode_json({"data_file": name, "item_number": item_number, **outcome}))
            content = b"".join(lines)
            compressed = gzip.compress(content, 1, mtime=0)
            (folder / "data" / name).write_bytes(compressed)
            files.append(WrittenFile(name, len(lines), hashlib.md5(compressed).digest(), len(content)))
            for table_name, outcomes_of_table in told.items():
                with truths[table_name].open("a", encoding="utf-8") as truth:
                    truth.writelines(f"{line}\n" for line in outcomes_of_table)
        write_manifests(folder, export, files)
        for path in truths.values():
            yield SampleExport(self._name, folder, path, items, len(files))

    def _made(self, items: int, faulty: float) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Lines, each with its truth for every table. The kinds of faults come round in a cycle, so that none is left out."""
        faults = [(table, fault) for table in self._tables for fault in table.faults()]
        odd_kinds = [*self._others()]
        kinds: list[Any] = [*faults, *odd_kinds]
        self._chance.shuffle(kinds)
        next_fault = 0
        for number in range(items):
            if kinds and int(number * faulty) != int((number + 1) * faulty):
                for _ in kinds:
                    kind = kinds[next_fault % len(kinds)]
                    next_fault += 1
                    told = kind if isinstance(kind[0], bytes) else self._faulty(*kind)
                    if told is not None:
                        yield told
                        break
                continue
            table = self._chance.choice(self._tables)
            made = self._sound(table)
            yield _line_of(made.item), self._truth(table, row_of(made))

    def _sound(self, table: MadeUpTable) -> Made:
        for _ in range(_TRIES):
            made = table.sound(self._chance, self._odd)
            if not any(other is not table and other.takes(made.item) for other in self._tables):
                return made
        message = f"an item of {table.name} is one of another table of {self._name}, too; sample-export does not make up such"
        raise CannotMakeUp(message)

    def _faulty(self, table: MadeUpTable, fault: Any) -> tuple[bytes, dict[str, Any]] | None:
        made = self._sound(table)
        errors = fault(made.item, self._chance)
        if not table.takes(made.item) or any(other is not table and other.takes(made.item) for other in self._tables):
            return None
        return _line_of(made.item), self._truth(table, dead("transform", errors))

    def _truth(self, table: MadeUpTable, outcome: dict[str, Any]) -> dict[str, Any]:
        return {other.name: outcome if other is table else {"outcome": "filtered"} for other in self._tables}

    def _others(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Lines that are no items, an item that no definition takes, and ones that are ignored."""
        for line, code in ((b"{", "invalid_json"), (b'{"Item":[]}', "not_an_item")):
            yield line, {table.name: dead("read", [(code, None)]) for table in self._tables}
        filtered = {table.name: {"outcome": "filtered"} for table in self._tables}
        for condition in self._ignored:
            item: Typed = {}
            if satisfy(condition, item, ()) and not any(table.takes(item) for table in self._tables):
                yield _line_of(item), filtered
        stray: Typed = {"madeUp": {"S": "x"}}
        if not any(table.takes(stray) for table in self._tables) and not any(holds(each, stray) for each in self._ignored):
            is_alone = len(self._tables) == 1 and not self._ignored
            yield _line_of(stray), filtered if is_alone else filtered | {self._tables[0].name: dead("transform", [("no_table", None)])}


def dead(stage: str, errors: Sequence[tuple[str, str | None]]) -> dict[str, Any]:
    return {"outcome": "dead_letter", "stage": stage, "errors": _listed(errors)}


def row_of(made: Made) -> dict[str, Any]:
    children = {"children": made.children} if made.children else {}
    return {"outcome": "row", "row": made.row, **children, "notices": _listed(made.notices)}


def _listed(codes: Sequence[tuple[str, str | None]]) -> list[dict[str, str | None]]:
    return [{"code": code, "attribute": attribute} for code, attribute in codes]


def _line_of(item: Typed) -> bytes:
    return _encode_line({"Item": item}).encode()


# -- one table -----------------------------------------------------------------------------------------------------------------------------


class _Fault:
    """Writes an attribute value that must be refused."""

    def __init__(self, path: Steps, value: Typed | None, code: str) -> None:
        self.path, self._value = path, value
        self._errors = [(code, in_words(path))]

    def __call__(self, item: Typed, _chance: Random) -> Sequence[Error]:
        put(item, self.path, self._value)
        return self._errors


class MadeUpTable:
    """A target's definition. `taken` are the paths that its columns take whole."""

    def __init__(self, plain: Plain) -> None:
        self.name: str = plain["name"]
        self._where = plain["where"]
        self._children = Children(plain, list(paths_of(self._where)), lambda inside: MadeUpTable({**inside, "where": None, "key": []}))
        self._columns = [*plain["columns"], *self._children.hidden]
        self._key: list[Steps] = [(name,) for name in plain["key"]]
        self._patterns: dict[Steps, str] = {}
        self.taken: list[Steps] = []
        for column in self._columns:
            self.taken += self._paths_of(column)
        self.taken += self._children.paths
        self._opened = {path[:length] for path in self.taken for length in range(len(path))} | set(self._children.paths)
        self._told = paths_of(self._where) | self._children.never_missing
        self._check()

    def _check(self) -> None:
        direct = [steps(column["source"]) for column in self._columns if isinstance(column["source"], str)]
        for path in {path for path in direct if direct.count(path) > 1 or path in self._patterns}:
            message = f"{self.name}: several columns take {in_words(path)}; sample-export does not make up a value for all of them"
            raise CannotMakeUp(message)
        for column in self._columns:
            is_whole = isinstance(column["source"], str) and kind_of(column["rule"])[0] in ("Jsonb", "Json")
            if not is_whole and any(map(self._has_members, paths_taken(column["source"]))):
                message = (
                    f"{self.name}: {column['name']} and others take parts of the same; sample-export makes up no value for all of them"
                )
                raise CannotMakeUp(message)

    def _paths_of(self, column: Plain) -> list[Steps]:
        source = column["source"]
        if source is None or source in ("ITEM", "REST"):
            return []
        if isinstance(source, str):
            return [steps(source)]
        name, of = kind_of(source)
        match name:
            case "Part":
                path = steps(of["path"])
                if self._patterns.setdefault(path, of["pattern"]) != of["pattern"]:
                    message = f"{self.name}: two patterns for {of['path']}; sample-export makes up no text for both"
                    raise CannotMakeUp(message)
                return [path]
            case "Joined" | "LaterOf":
                return paths_taken(source)
        message = f"{self.name}: what {name} makes of an item is not in the definition; sample-export makes up no items for it"
        raise CannotMakeUp(message)

    def takes(self, item: Typed) -> bool:
        return self._where is None or holds(self._where, item)

    @property
    def has_children(self) -> bool:
        return bool(self._children.paths)

    @property
    def where(self) -> Any:
        return self._where

    # -- sound items

    def sound(self, chance: Random, odd: float, of_key: Random | None = None, of_elements: Random | None = None) -> Made:
        """A sound item; `of_key` alone decides on DynamoDB's key, `of_elements` on elements of children; None: as they come."""
        made = Made({}, {})
        parts: dict[Steps, dict[str, str]] = {}
        for column in self._columns:
            is_key = of_key is not None and self._is_of_key(column)
            self._make_up(column, made, parts, of_key if of_key is not None and is_key else chance, 0.0 if is_key else odd)
        for path, filled in parts.items():
            put(made.item, path, {"S": _filled(self._patterns[path], filled, of_key if of_key and path in self._key else chance)})
        containers = self._children.put(made.item, of_elements or chance, odd)
        before = {*made.item, *(path[0] for path in (*self._children.texts, *equals_of(self._where)))}
        if self._where is not None and not satisfy(self._where, made.item, self.taken):
            message = f"{self.name}: its columns make up no item for which its condition holds"
            raise CannotMakeUp(message)
        if of_key is not None:
            self._complete_key(made.item, of_key)
        wholes = {column["source"] for column in self._columns if column["source"] in ("ITEM", "REST")}
        if not wholes:
            made.notices += [("unmapped_attribute", name) for name in made.item if name not in before]
        for column in self._columns:
            if column["source"] == "ITEM":
                made.row[column["name"]] = self._document(column, {"M": made.item})
            elif column["source"] == "REST":
                made.row[column["name"]] = self._document(column, {"M": self._rest(made.item)})
            elif isinstance(column["source"], str) and self._has_members(steps(column["source"])):
                made.row[column["name"]] = self._document(column, look_up(made.item, steps(column["source"])) or NULL)
        self._children.finish(made, containers)
        return made

    def _is_of_key(self, column: Plain) -> bool:
        """Whether DynamoDB's key, and nothing else, feeds it."""
        paths = self._paths_of(column)
        of_key = [path for path in paths if path in self._key]
        if of_key and len(of_key) < len(paths):
            message = f"{self.name}, {column['name']}: sample-export makes up no changes where a column takes the key and other attributes"
            raise CannotMakeUp(message)
        return bool(of_key)

    def _complete_key(self, item: Typed, of_key: Random) -> None:
        """What of the key no column takes is told from others by a number at its end, as far as the condition lets it."""
        for path in self._key:
            number = of_key.randrange(10**12)
            if path in self.taken:
                continue
            before = look_up(item, path)
            put(item, path, {"S": f"{(before or {}).get('S', '')}{number}"})
            if self._where is not None and not holds(self._where, item):
                put(item, path, before)

    def _has_members(self, path: Steps) -> bool:
        return path in self._opened

    def _document(self, column: Plain, value: Typed) -> dict[str, str]:
        return {"jsonb": to_json(value, typed=kind_of(column["rule"])[1]["typed"])}

    def _rest(self, item: Typed) -> Typed:
        left: Typed = dict(item)
        for path in sorted((*self.taken, *self._children.texts), key=len):
            if any(isinstance(step, int) for step in path):
                if path[:1] in self.taken:
                    continue
                message = f"{self.name}: sample-export does not know what REST is beside {in_words(path)}"
                raise CannotMakeUp(message)
            _take_out(left, path)
        return left

    def _make_up(self, column: Plain, made: Made, parts: dict[Steps, dict[str, str]], chance: Random, odd: float) -> None:
        source, name = column["source"], column["name"]
        if source in ("ITEM", "REST") or self._children.told_by_elements(column):
            return
        if source is None:
            made.row[name] = meaning_of_missing(column)
            return
        if isinstance(source, str):
            path = steps(source)
            if self._has_members(path):
                return
            if column["missing"] != "REFUSED" and _is_plain(column) and path not in self._told and chance.random() < odd:
                made.row[name] = meaning_of_missing(column)
                if column["missing"] == "MIGRATION_TIME":
                    made.notices.append(("timestamp_defaulted", in_words(path)))
                put(made.item, path, chance.choice([None, NULL]))
                return
            value = _cleaned(column, make(column["rule"], chance))
            content = value.content
            if "TRIM" in column["clean"] and value.tag == "S" and chance.random() < odd:
                content = f" {content}"
                made.notices.append(("trimmed", in_words(path)))
            put(made.item, path, {value.tag: content})
            made.row[name] = value.meaning
            return
        kind, of = kind_of(source)
        if kind == "Part":
            value = _cleaned(column, self.of_text(column, chance))
            parts.setdefault(steps(of["path"]), {})[of["name"]] = value.content
            made.row[name] = value.meaning
        elif kind == "Joined":
            if kind_of(column["rule"])[0] not in ("Text", "Citext"):
                message = f"{self.name}, {name}: sample-export joins texts for Text() alone"
                raise CannotMakeUp(message)
            texts = [str(chance.randrange(1000)) for _ in of["paths"]]
            for path_text, text in zip(of["paths"], texts, strict=True):
                put(made.item, steps(path_text), {"S": text})
            made.row[name] = of["separator"].join(texts)
        else:
            first, second = make(column["rule"], chance), make(column["rule"], chance)
            put(made.item, steps(of["first"]), {first.tag: first.content})
            put(made.item, steps(of["second"]), {second.tag: second.content})
            made.row[name] = max(first.meaning, second.meaning)

    def of_text(self, column: Plain, chance: Random) -> Value:
        """A value in an S, without what stands between the parts of its pattern."""
        ((name, of),) = column["rule"].items()
        literals = _literals_of(kind_of(column["source"])[1]["pattern"])
        for _ in range(_TRIES):
            value = make({name: {**of, "tags": ["S"]}}, chance)
            if value.content and not any(literal in value.content for literal in literals):
                return value
        message = f"{self.name}, {column['name']}: sample-export makes up no part of a text for it"
        raise CannotMakeUp(message)

    # -- faults

    def faults(self) -> Iterator[Fault]:
        """Every kind, for each column that can have it alone, and those of child rows."""
        for column in self._columns:
            if column["source"] is None or column["source"] in ("ITEM", "REST") or self._children.told_by_elements(column):
                continue
            of_column = self._faults_in(column)
            yield from (self._children.with_rows(fault, column) for fault in of_column) if column in self._children.hidden else of_column
        yield from self._children.faults()

    def _faults_in(self, column: Plain) -> Iterator[Fault]:
        source = column["source"]
        keeps_nul = "REPLACE_NUL" not in column["clean"]
        if isinstance(source, str):
            path = steps(source)
            if self._has_members(path):
                return
            for code, value in faults_of(column["rule"], keeps_nul=keeps_nul):
                if not (column["clean"] and value == {"S": ""}):
                    yield _Fault(path, value, code)
            if column["missing"] == "REFUSED":
                yield _Fault(path, None, "missing_required")
                yield _Fault(path, NULL, "missing_required")
            return
        kind, of = kind_of(source)
        path = paths_taken(source)[0]
        yield _Fault(path, {"SS": ["x"]}, "wrong_type")
        if kind == "Part":
            yield from self._faults_in_parts(column, path, of, keeps_nul=keeps_nul)

    def _faults_in_parts(self, column: Plain, path: Steps, of: Plain, *, keeps_nul: bool) -> Iterator[_Fault]:
        literals = _literals_of(of["pattern"])
        if literals:
            beginning = of["pattern"].partition("{")[0]
            if beginning:
                yield _Fault(path, {"S": beginning}, "pattern_mismatch")
            else:
                yield _Fault(path, {"S": "x"}, "pattern_mismatch")
        names = re.findall(r"\{(\w+)\}", of["pattern"])
        others = [
            each for each in self._columns if isinstance(each["source"], dict) and kind_of(each["source"])[1].get("path") == of["path"]
        ]
        ((name, arguments),) = column["rule"].items()
        for code, value in faults_of({name: {**arguments, "tags": ["S"]}}, keeps_nul=keeps_nul):
            content = value.get("S")
            if content and not any(literal in content for literal in literals):
                yield _FaultInPart(path, of, names, {kind_of(each["source"])[1]["name"]: each for each in others}, content, code, self)


class _FaultInPart(_Fault):
    """One part of a composite text is wrong, the others are sound."""

    def __init__(
        self, path: Steps, of: Plain, names: Sequence[str], others: dict[str, Plain], content: str, code: str, table: MadeUpTable
    ) -> None:
        super().__init__(path, None, code)
        self._pattern, self._of, self._others, self._content, self._table = of["pattern"], of, others, content, table
        self._names = names

    def __call__(self, item: Typed, chance: Random) -> Sequence[Error]:
        filled = {name: _cleaned(self._others[name], self._table.of_text(self._others[name], chance)).content for name in self._others}
        put(item, self.path, {"S": _filled(self._pattern, filled | {self._of["name"]: self._content}, chance)})
        return self._errors


@cache
def _literals_of(pattern: str) -> Sequence[str]:
    return [literal for literal in re.split(r"\{\w+\}", pattern) if literal]


def _filled(pattern: str, filled: dict[str, str], chance: Random) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: filled.get(part[1]) or str(chance.randrange(10**6)), pattern)


def _cleaned(column: Plain, value: Value) -> Value:
    """A value that the cleaning leaves as it is."""
    case = next((str.lower if name == "LOWER" else str.upper for name in column["clean"] if name in ("LOWER", "UPPER")), None)
    if case is None or value.tag != "S" or case(value.content) == value.content:
        return value
    if kind_of(column["rule"])[0] in ("Text", "Citext", "Varchar", "Char"):
        return Value("S", case(value.content), case(value.meaning))
    if kind_of(column["rule"])[0] in ("Uuid", "Inet"):
        return Value("S", case(value.content), value.meaning)
    message = f"{column['name']}: sample-export does not know what its rule says of a text in another case"
    raise CannotMakeUp(message)


# Of these, PostgreSQL reads a default as DynamoDB has it.
_PLAIN = (
    "Text",
    "Citext",
    "Varchar",
    "Char",
    "OneOf",
    "Enum",
    "Uuid",
    "Boolean",
    "SmallInt",
    "Integer",
    "BigInt",
    "Numeric",
    "Jsonb",
    "Json",
)


def _is_plain(column: Plain) -> bool:
    return column["missing"] in ("NULL", "MIGRATION_TIME", "COLUMN_DEFAULT") or kind_of(column["rule"])[0] in _PLAIN


def _take_out(members: Typed, path: Steps) -> None:
    """And the map that is empty then, though not one that was empty before. What is inside `members` stays as it is elsewhere."""
    name = path[0]
    if name not in members:
        return
    if len(path) == 1:
        del members[name]
    elif members[name].get("M"):
        left = dict(members[name]["M"])
        _take_out(left, path[1:])
        if left:
            members[name] = {"M": left}
        else:
            del members[name]
