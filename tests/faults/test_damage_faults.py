"""Data files that are damaged in any place and manifests that lie: refused by name, nothing of it loaded; mended, the end is the truth."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sample_export import write_sample_exports
from tests.faults.conclusion import Conclude
from tests.faults.conftest import AUDIT
from tests.faults.jobs import Job
from tests.pipeline.source.made_exports import base64_md5
from tests.postgres_server import Database, Server

Damage = Callable[[bytes], bytes]
Manifest = list[dict[str, Any]]


def _changed(position: int) -> Damage:
    def change(content: bytes) -> bytes:
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        return bytes(damaged)

    return change


def _changed_in_the_middle(content: bytes) -> bytes:
    return _changed(len(content) // 2)(content)


def _cut_at_random(chance: random.Random) -> Damage:
    return lambda content: content[: chance.randrange(len(content))]


def _changed_at_random(chance: random.Random) -> Damage:
    # Not in the header: time and system in it mean nothing.
    return lambda content: _changed(chance.randrange(10, len(content)))(content)


# RFC 1952: a header of ten bytes without a name; at the end CRC-32 and length, four bytes each.
CLASSES: dict[str, Damage] = {
    "header": _changed(0),
    "method": _changed(2),
    "middle": _changed_in_the_middle,
    "CRC": _changed(-6),
    "length": _changed(-2),
    "end cut off": lambda content: content[:-9],
    "all but nothing cut off": lambda content: content[:3],
    "behind the end": lambda content: content + b"garbage",
}


class Export:
    """A small export of one table whose parts a test makes wrong, and sound again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_sample_exports(root, items=90, seed=94, faulty=0.1, odd=0.1, items_per_file=30, tables=[AUDIT])
        [self.folder] = (root / AUDIT / "AWSDynamoDB").iterdir()
        self._sound = root.parent / "sound"
        shutil.copytree(self.folder, self._sound)
        self.manifest: Manifest = [json.loads(line) for line in (self.folder / "manifest-files.json").read_text().splitlines()]
        self.summary: dict[str, Any] = json.loads((self.folder / "manifest-summary.json").read_text())
        self.entry = next(entry for entry in self.manifest if entry["itemCount"])
        self.data_file = self.folder / "data" / self.entry["dataFileS3Key"].rpartition("/")[2]
        self.content = self.data_file.read_bytes()

    def write_manifests(self, manifest: Manifest, summary: dict[str, Any]) -> None:
        """With side files that are right, so that nothing but the lie is wrong."""
        texts = {"manifest-files": "".join(f"{json.dumps(entry)}\n" for entry in manifest), "manifest-summary": json.dumps(summary)}
        for name, text in texts.items():
            (self.folder / f"{name}.json").write_text(text)
            (self.folder / f"{name}.md5").write_text(base64_md5(text.encode()))

    def mend(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self._sound, self.folder)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path / "export")


def _assert_only_the_damaged_file_is_out(export: Export, database: Database, job: Job, exit_code: int) -> None:
    assert exit_code == 1, job.stdout
    assert export.data_file.name in job.stdout + job.stderr
    [loaded] = database.query(
        "SELECT count(*) FILTER (WHERE data_file = %s), sum(items) FROM ddb2pg.chunk c JOIN ddb2pg.load l USING (load_id) "
        "WHERE l.rolled_back_at IS NULL",
        export.data_file.name,
    )
    assert loaded == (0, 60)


def test_damage_that_the_manifest_knows_nothing_of(export: Export, database: Database, job: Job, conclude: Conclude) -> None:
    """One load, refused for one class after another of what can be damaged, goes on when the file is sound again."""
    chance = random.Random(1)
    # Of the time in the header the MD5 alone can tell.
    damages = [*CLASSES.values(), _changed(5), *(_cut_at_random(chance) for _ in range(2))]
    for damage in damages:
        export.data_file.write_bytes(damage(export.content))
        exit_code = job.migrate(database.url, export.root, "--chunk_items=10", "--validate=none")
        _assert_only_the_damaged_file_is_out(export, database, job, exit_code)
    export.mend()

    assert job.migrate(database.url, export.root) == 3, job.stderr

    conclude("gzip damaged after its manifest", len(damages), export.root, database, job.last_run, job.printed)


def _random_damages() -> dict[str, Damage]:
    chance = random.Random(2)
    return {f"{what} {number}": how(chance) for number in range(25) for what, how in (("cut", _cut_at_random), ("at", _changed_at_random))}


@pytest.mark.parametrize(
    "damages",
    [
        {name: CLASSES[name] for name in ("middle", "CRC", "length")},
        pytest.param({**CLASSES, **_random_damages()}, marks=pytest.mark.soak),
    ],
    ids=["3", "58"],
)
def test_damage_that_the_manifest_has_the_md5_of(
    export: Export, server: Server, job: Job, conclude: Conclude, damages: dict[str, Damage]
) -> None:
    """Written damaged: gzip's own sums tell. What was loaded is rolled back, and a sound export loaded in its place."""
    for name, damage in damages.items():
        database = server.new_database()
        export.data_file.write_bytes(damage(export.content))
        entry = {**export.entry, "md5Checksum": base64_md5(export.data_file.read_bytes())}
        export.write_manifests([entry if one is export.entry else one for one in export.manifest], export.summary)
        exit_code = job.migrate(database.url, export.root, "--validate=none")
        _assert_only_the_damaged_file_is_out(export, database, job, exit_code)
        arguments = ("--export", export.root, "--output", job.output, "--direct_num_workers=1")
        assert job(database.url, "rollback", *arguments, "--yes") in (0, 1), (name, job.stdout, job.stderr)
        export.mend()

        assert job.migrate(database.url, export.root, "--validate=none") == 3, (name, job.stderr)

        conclude("gzip damaged before its manifest", 1, export.root, database, job.last_run, job.printed)


HUGE = 10**15
LIES: dict[str, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    "count negative": lambda entry, _: {**entry, "itemCount": -1},
    "count text": lambda entry, _: {**entry, "itemCount": "30"},
    "count fraction": lambda entry, _: {**entry, "itemCount": 30.0},
    "count boolean": lambda entry, _: {**entry, "itemCount": True},
    "count huge": lambda entry, _: {**entry, "itemCount": HUGE},
    "count beyond 64 bits": lambda entry, _: {**entry, "itemCount": 10**30},
    "MD5 number": lambda entry, _: {**entry, "md5Checksum": 5},
    "MD5 missing": lambda entry, _: {name: value for name, value in entry.items() if name != "md5Checksum"},
    "key list": lambda entry, _: {**entry, "dataFileS3Key": [entry["dataFileS3Key"]]},
    "key up": lambda entry, _: {**entry, "dataFileS3Key": "../../../../outside/outside.json.gz"},
    "key up from data": lambda entry, _: {**entry, "dataFileS3Key": "data/../../../../../outside/outside.json.gz"},
    "key absolute": lambda entry, outside: {**entry, "dataFileS3Key": str(outside)},
    "key as URI": lambda entry, outside: {**entry, "dataFileS3Key": f"file://{outside}"},
}


def test_a_manifest_that_lies_is_refused_before_anything_is_written(
    export: Export, tmp_path: Path, database: Database, job: Job, conclude: Conclude
) -> None:
    """Whatever is wrong with it. A file outside of the export is not read although it is just what the manifest says."""
    outside = tmp_path / "outside" / "outside.json.gz"
    outside.parent.mkdir()
    outside.write_bytes(export.content)
    manifests = {name: [lie(one, outside) if one is export.entry else one for one in export.manifest] for name, lie in LIES.items()}
    manifests["named twice"] = [*export.manifest, export.entry]
    for name, manifest in manifests.items():
        export.write_manifests(manifest, export.summary)
        assert job.migrate(database.url, export.root) == 2, (name, job.stdout, job.stderr)
        assert database.value("SELECT to_regclass('ddb2pg.load') IS NULL"), name
    for count in (-1, "90", HUGE, 10**30):
        export.write_manifests(export.manifest, {**export.summary, "itemCount": count})
        assert job.migrate(database.url, export.root) == 2, (count, job.stdout, job.stderr)
    huge = {**export.summary, "itemCount": export.summary["itemCount"] - export.entry["itemCount"] + HUGE}
    export.write_manifests(manifests["count huge"], huge)
    assert job.migrate(database.url, export.root) == 2, (job.stdout, job.stderr)
    export.mend()

    assert job.migrate(database.url, export.root) == 3, job.stderr

    conclude("manifest that lies", len(manifests) + 5, export.root, database, job.last_run, job.printed)
