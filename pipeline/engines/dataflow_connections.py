"""How many connections a job may open: machines x processes x threads, each of which loads through one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipeline.engines.beam_arguments import given_number, given_values
from pipeline.engines.dataflow_options import MACHINE_TYPE, THREADS, experiments

_MACHINES: Final = "max_num_workers"
# https://cloud.google.com/compute/docs/general-purpose-machines: those whose names do not end with the number of their processors.
_SHARED_CORES: Final = {"e2-micro": 2, "e2-small": 2, "e2-medium": 2, "f1-micro": 1, "g1-small": 1}


def connections_each(arguments: Sequence[str]) -> int | None:
    """Those of one machine; None for a machine type whose processors are not to be told from its name."""
    threads = given_number(arguments, THREADS) or 1
    if "no_use_multiple_sdk_containers" in experiments(arguments):
        return threads
    processors = _processors(given_values(arguments, *MACHINE_TYPE)[-1:])
    return processors * threads if processors else None


def planned_connections(arguments: Sequence[str]) -> int | None:
    """At most so many at once; None where nobody set a limit."""
    fixed = "NONE" in given_values(arguments, "autoscaling_algorithm")
    machines = given_number(arguments, "num_workers" if fixed else _MACHINES)
    each = connections_each(arguments)
    return machines * each if machines and each else None


def _processors(machine_type: Sequence[str]) -> int | None:
    """`n2-standard-4` has 4, `custom-6-20480` 6: https://cloud.google.com/compute/docs/instances/creating-instance-with-custom-machine-type."""
    for name in machine_type:
        found = re.search(r"custom-(\d+)-\d+", name) or re.fullmatch(r"[a-z0-9]+-[a-z]+-(\d+)(?:-[a-z]+)?", name)
        return int(found[1]) if found else _SHARED_CORES.get(name)
    return None
