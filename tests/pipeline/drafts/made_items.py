"""Made-up exports for drafts: a single-table design of customers beside orders, and what is around it."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

Item = dict[str, Any]


def line_of(item: Item) -> bytes:
    """The line of an item in typed JSON."""
    return json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode()


def customer(number: int, random: Random) -> Item:
    """Its key, `CUSTOMER#<uuid>` and `PROFILE`, and the index GSI1 say nothing that its attributes do not say."""
    identity = str(uuid.UUID(int=random.getrandbits(128), version=4))
    email = f"marker-mail-{number}@example.org"
    return {
        "PK": {"S": f"CUSTOMER#{identity}"},
        "SK": {"S": "PROFILE"},
        "entity": {"S": "CUSTOMER"},
        "customerId": {"S": identity},
        "email": {"S": email},
        "GSI1PK": {"S": f"EMAIL#{email}"},
        "createdAt": {"S": f"2024-03-{number % 28 + 1:02}T10:00:{number % 60:02}.{number % 1000:03}Z"},
        "birthDate": {"S": f"19{50 + number % 50}-01-31"},
        "points": {"N": str(4_815_000 + number)},
        "active": {"BOOL": number % 3 == 0},
        "tags": {"SS": ["marker-tag-a", f"marker-tag-{number}"]},
    }


def order(number: int, owner: Item, random: Random) -> Item:
    identity = owner["customerId"]["S"]
    day = f"2025-0{number % 9 + 1}-15"
    item = {
        "PK": {"S": f"CUSTOMER#{identity}"},
        "SK": {"S": f"ORDER#{day}#{number:06}"},
        "entity": {"S": "ORDER"},
        "customerId": {"S": identity},
        "total": {"N": f"{random.randrange(1, 100_000)}.{random.randrange(10, 100)}"},
        "placedAt": {"N": str(1_735_000_000 + number)},
        "ttl": {"N": str(1_790_000_000 + number)},
        "note": {"S": f"marker note number {number}"},
        "user": {"S": f"marker-user-{number}"},
        "lines": {"L": [{"M": {"sku": {"S": f"marker-sku-{number}"}, "quantity": {"N": "2"}}}]},
        "receipt": {"B": base64.b64encode(f"marker-receipt-{number}".encode()).decode()},
    }
    if number % 4 == 0:
        item["couponCode"] = {"S": f"marker-coupon-{number}"}
    return item


def shop(customers: int = 60, orders: int = 300, seed: int = 5) -> list[Item]:
    """Customers beside their orders."""
    random = Random(seed)
    people = [customer(number, random) for number in range(customers)]
    return [*people, *(order(number, random.choice(people), random) for number in range(orders))]


def values_of(value: Any) -> Iterator[str]:
    """All texts and numbers in an attribute value, as they stand there."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from values_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from values_of(inner)
    elif isinstance(value, str):
        yield value
