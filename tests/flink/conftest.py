"""Fixtures of the tests on Flink and Prism: skipped where their parts cannot be had, unless DDB2PG_REQUIRE_FLINK=1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from tests.flink.cluster import CACHE, Cluster, why_not_to_be_had
from tests.postgres_server import Server

AUDIT = "medzen-meeting-audit"
BUCKET = "flink-tests"
LARGE = 24_000
CHUNKS = "--chunk_items=400"
DATABASE_OF_WORKERS = "DDB2PG_DATABASE_OF_WORKERS"
"""A variable that means a database of nobody's in the environment of the workers."""


@pytest.fixture(scope="session")
def flink_parts() -> Path:
    """The cache of what is fetched once: jars, and programs made from Go."""
    reason = why_not_to_be_had()
    if reason is None:
        return CACHE
    if os.environ.get("DDB2PG_REQUIRE_FLINK") == "1":
        pytest.fail(f"Flink is required here (DDB2PG_REQUIRE_FLINK=1), but cannot be had: {reason}")
    pytest.skip(f"NOT TESTED, Flink cannot be had here: {reason}")


@pytest.fixture(scope="session")
def flink(flink_parts: Path, aws_server: AwsServer, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests; its workers know the S3 test server."""
    assert (flink_parts / "flink").is_dir()
    cluster = Cluster(tmp_path_factory.mktemp("flink"), {**aws_server.environment, DATABASE_OF_WORKERS: server.new_database().url})
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def large_export(aws_server: AwsServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24,000 faulty and unusual items of one table in 12 data files, in S3 too, under `large`; with CHUNKS they are 60 chunks and more."""
    root = tmp_path_factory.mktemp("large") / "export"
    write_sample_exports(root, items=LARGE, seed=61, faulty=0.01, odd=0.02, items_per_file=2_000, tables=[AUDIT], processes=2)
    aws_server.upload_tree(root / AUDIT, BUCKET, f"large/{AUDIT}/")
    return root


@pytest.fixture(scope="session")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 items, on disk; with --chunk_items=50 they are 80 chunks."""
    root = tmp_path_factory.mktemp("small") / "export"
    write_sample_exports(root, items=4_000, seed=62, faulty=0.02, odd=0.02, items_per_file=500, tables=[AUDIT], processes=2)
    return root
