"""Fixtures: a table that lives, and `follow` of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.faults.jobs import Job
from tests.living_table import LivingTable, environment_of, model_dynamodb
from tests.pipeline.commands.following import Following
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB
from tests.pipeline.target.made_loads import PLAIN
from tests.postgres_server import Database

Use = Callable[[Mapping[str, str]], None]


@pytest.fixture
def dynamodb(use_aws: Use, aws_server: AwsServer) -> Iterator[ModelDynamoDB]:
    with model_dynamodb() as model:
        use_aws(environment_of(model, aws_server))
        yield model


@pytest.fixture
def table(dynamodb: ModelDynamoDB, aws_server: AwsServer, bare: Database, tmp_path: Path) -> LivingTable:
    """Of three things as of three hours ago."""
    table = LivingTable(dynamodb, aws_server, tmp_path)
    bare.execute(PLAIN)
    for number in (1, 2, 3):
        table.put(number, -1, name="a")
    return table


@pytest.fixture
def following(table: LivingTable, bare: Database, job: Job, monkeypatch: pytest.MonkeyPatch) -> Following:
    return Following(table, bare, job, monkeypatch)
