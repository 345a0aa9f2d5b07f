"""Fixtures: a model of DynamoDB with three tables, and the command against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.pipeline.source.dynamodb.exporting import THREE, Exporting
from tests.pipeline.source.dynamodb.model_dynamodb import REGION, ModelDynamoDB


@pytest.fixture
def dynamodb(use_aws: Callable[[Mapping[str, str]], None]) -> Iterator[ModelDynamoDB]:
    use_aws({"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": REGION})
    model = ModelDynamoDB()
    for name in THREE:
        model.add_table(name)
    yield model
    model.stop()


@pytest.fixture
def export(dynamodb: ModelDynamoDB) -> Exporting:
    return Exporting(dynamodb.endpoint_url)
