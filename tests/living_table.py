"""A table that lives: a history of it in the past of a model of DynamoDB, which exports it into buckets, all over HTTP."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.places import aws
from tests.aws_server import AwsServer
from tests.handmade_export import write_export
from tests.histories import SECOND, History, Item, Operation, records_between
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB, ModelExport
from tests.pipeline.target.made_loads import THING, uuid

TABLE_ID = "00000000-0000-4000-8000-000000000000"
_buckets = itertools.count(1)


class LivingTable:
    """The things of `made_loads`, put and deleted at times of the past, `begin` minutes ago and later; exported as of `begin` at first."""

    def __init__(self, dynamodb: ModelDynamoDB, aws_server: AwsServer, folder: Path, begin: int = 180) -> None:
        self.dynamodb = dynamodb
        self.folder = folder
        self.bucket = f"living-{next(_buckets)}"
        self.begin = int((dynamodb.now - timedelta(minutes=begin)).timestamp())
        self.operations: list[Operation] = []
        self.definition = folder / "things.py"
        self.definition.write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = [THING]\n")
        self.to = f"s3://{self.bucket}/exports"
        self.options = ["--to", self.to, "--tables", str(self.definition), "--direct_num_workers=1"]
        """Of `follow` and its neighbours."""
        self._aws = aws_server
        aws_server.make_bucket(self.bucket)
        dynamodb.write = self._write
        dynamodb.looks_to_finish = 0
        dynamodb.add_table(THING.source).table_id = TABLE_ID

    def put(self, number: int, minute: float, **attributes: Any) -> None:
        """So many minutes after the full export; texts, or attribute values."""
        item = {"id": {"S": uuid(number)}} | {
            name: value if isinstance(value, dict) else {"S": value} for name, value in attributes.items()
        }
        self._happen(number, minute, item)

    def delete(self, number: int, minute: float) -> None:
        self._happen(number, minute, None)

    def _happen(self, number: int, minute: float, item: Item | None) -> None:
        self.operations.append(Operation(round((self.begin + minute * 60) * SECOND), {"id": {"S": uuid(number)}}, item))
        self.operations.sort(key=lambda operation: operation.micros)

    @property
    def history(self) -> History:
        return History(self.operations, [self.begin])

    def names_at(self, time: datetime) -> dict[str, Any]:
        """The truth: what the target must hold of the items' names, as of a time, if items whose name is no text never had another."""
        items = self.history.items_at(int(time.timestamp()))
        return {item["id"]["S"]: item["name"]["S"] for item in items if "S" in item["name"]}

    def full_export(self) -> Path:
        """On disk."""
        time = datetime.fromtimestamp(self.begin, UTC)
        return write_export(
            self.folder / "full", THING.source, [self.history.full_export()], f"0{self.begin * 1000}-00000000", exportTime=time.isoformat()
        )

    def _write(self, export: ModelExport) -> int:
        begin, end = export.window
        view = export.parameters["IncrementalExportSpecification"]["ExportViewType"]
        lines = list(records_between(self.history, int(begin.timestamp()), int(end.timestamp()), view))
        with tempfile.TemporaryDirectory() as folder:
            write_export(
                Path(folder),
                THING.source,
                [lines[::2], lines[1::2]],
                export.arn.rpartition("/")[2],
                is_shared=True,
                exportTime=None,
                exportFromTime=begin.isoformat(),
                exportToTime=end.isoformat(),
                outputView=view,
                exportType="INCREMENTAL_EXPORT",
            )
            self._aws.upload_tree(Path(folder), self.bucket, "exports/")
        return len(lines)


@contextmanager
def model_dynamodb() -> Iterator[ModelDynamoDB]:
    """A server, and clients of this process that know it."""
    model = ModelDynamoDB()
    aws._client.cache_clear()
    yield model
    model.stop()
    aws._client.cache_clear()


def environment_of(dynamodb: ModelDynamoDB, aws_server: AwsServer) -> dict[str, str]:
    """DynamoDB at one server, S3 at the other."""
    environment = {**aws_server.environment, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint_url}
    environment["AWS_ENDPOINT_URL_S3"] = environment.pop("AWS_ENDPOINT_URL")
    return environment
