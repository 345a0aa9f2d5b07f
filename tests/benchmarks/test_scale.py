"""What is computed for large loads, beside sums that can be done in the head."""

from __future__ import annotations

import pytest

from benchmarks.scale import Estimate, PerItem

ONE = PerItem(cpu_seconds=20e-6, server_cpu_seconds=10e-6, wal_bytes=600, target_bytes=400, json_bytes=1000, compressed_bytes=250)


def test_workers_are_the_limit_until_the_server_is_full() -> None:
    few, enough, many = (Estimate(3.6e9, cores, server_cores=4, per_item=ONE) for cores in (4, 8, 16))
    assert [round(one.items_per_second) for one in (few, enough, many)] == [200_000, 400_000, 400_000]
    assert [one.bottleneck for one in (few, enough, many)] == ["workers", "server", "server"]
    assert few.hours == pytest.approx(5)
    assert enough.disk_megabytes_per_second == pytest.approx(400)
    assert many.connections == 17
    assert few.cost(0.5) == pytest.approx(20)
