"""Heartbeats: items that are written into a table only to be seen in its stream.

A shard that shows one has shown all that was written into it before. So when each open shard has shown one that was written after the
application stopped, nothing of the application is left in the stream, whatever DynamoDB's clock or our own says.

They are known by an attribute, and are never converted. Their keys are made by chance, so each shard gets some.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson
from botocore import exceptions

from pipeline.errors import Stopped, StoppedForNow
from pipeline.places.aws import client, error_code, why
from pipeline.places.place import AwsSettings
from pipeline.stream.reader import StreamRecord

ATTRIBUTE: Final = "ddb2pg_heartbeat"
_MARK: Final = b'"ddb2pg_heartbeat"'
_DENIED: Final = ("AccessDeniedException", "AccessDenied", "UnauthorizedException")


def heartbeat_of(record: StreamRecord) -> str | None:
    """Which heartbeat a record is of; None for one of the application."""
    for image in (record.new, record.old):
        # Nearly all are the application's, and need not be parsed for this.
        if image is not None and _MARK in image:
            value = orjson.loads(image).get(ATTRIBUTE)
            if type(value) is dict and type(value.get("S")) is str:
                return str(value["S"])
    return None


class Heartbeats:
    """Of one table. Each call may raise `Stopped`."""

    def __init__(self, aws: AwsSettings, table: str) -> None:
        self._table = table
        self._client = client("dynamodb", aws)
        described = self._ask("describe_table")["Table"]
        types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
        self._key = {each["AttributeName"]: types[each["AttributeName"]] for each in described["KeySchema"]}
        self._written: dict[str, Mapping[str, Any]] = {}

    def write(self, count: int) -> set[str]:
        """So many more; returns which they are."""
        new: set[str] = set()
        for _ in range(count):
            name, key = secrets.token_hex(8), {attribute: _made(kind) for attribute, kind in self._key.items()}
            # Before the write, whose answer may be lost.
            self._written[name] = key
            try:
                self._ask("put_item", Item={**key, ATTRIBUTE: {"S": name}})
            except Stopped as stopped:
                if not isinstance(stopped, StoppedForNow):
                    del self._written[name]
                raise
            new.add(name)
        return new

    def delete(self) -> None:
        """All that were written."""
        while self._written:
            name = next(iter(self._written))
            self._ask("delete_item", Key=self._written[name])
            del self._written[name]

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(TableName=self._table, **parameters)
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            action, code = self._client.meta.method_to_api_mapping[operation], error_code(error)
            if code in _DENIED:
                message = f"{self._table}: access is denied; allow these credentials dynamodb:{action}, or leave out --heartbeat"
                raise Stopped(message) from None
            # Without DynamoDB's own words.
            sentence = why(error) or f"DynamoDB refuses {action} ({code or type(error).__name__})"
            message = f"{self._table}: {sentence}; run the same command again"
            raise StoppedForNow(message) from None
        return answer


def _made(kind: str) -> dict[str, Any]:
    """An attribute of a key, by chance."""
    match kind:
        case "N":
            return {"N": str(secrets.randbelow(10**15))}
        case "B":
            return {"B": secrets.token_bytes(16)}
    # A UUID, because many keys are one, and a definition may want one.
    return {"S": str(uuid.uuid4())}
