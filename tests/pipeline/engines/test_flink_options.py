"""The options that a job on Flink gets where none were given."""

from __future__ import annotations

import pytest

from pipeline.engines.arguments import given_number
from pipeline.engines.flink import FlinkCluster, usual_parallelism, with_flink_defaults

OF_CLUSTER = {
    "environment_type": "PROCESS",
    "environment_config": "{}",
    "job_endpoint": "localhost:1",
    "artifact_endpoint": "localhost:2",
}
POOL = ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"]


def cluster(*slots: int, **job_options: str) -> FlinkCluster:
    return FlinkCluster("http://flink:8081", "1.19", slots, is_here=False, begins_again=True, job_options=job_options)


@pytest.mark.parametrize(
    ("slots", "parallelism"),
    [((), 0), ((4,), 4), ((2, 2), 2), ((1, 1), 2), ((4, 4, 4), 8), ((1, 1, 1), 3), ((1, 7), 2)],
)
def test_what_is_lost_with_a_task_manager_finds_room_on_the_others(slots: tuple[int, ...], parallelism: int) -> None:
    """As many slots as are left without the largest TaskManager, but at least one each."""
    assert usual_parallelism(slots) == parallelism


def test_a_job_without_options_gets_those_that_it_needs() -> None:
    """Slots and processes of two TaskManagers, new tries, a pool of workers beside each, and all of it in one jar."""
    assert with_flink_defaults(["--runner=FlinkRunner"], cluster(4, 4)) == [
        "--runner=FlinkRunner",
        "--parallelism=4",
        "--sdk_worker_parallelism=2",
        "--number_of_execution_retries=3",
        "--execution_retry_delay=5000",
        "--environment_cache_millis=4000",
        *POOL,
        "--flink_submit_uber_jar",
    ]


def test_nothing_is_said_of_slots_that_come_as_they_are_needed() -> None:
    """A cluster that starts TaskManagers for a job has its own default."""
    assert not [argument for argument in with_flink_defaults([], cluster()) if "parallelism" in argument]


@pytest.mark.parametrize("given", [["--parallelism=6"], ["--parallelism", "6"]])
def test_what_was_given_stands(given: list[str]) -> None:
    """In either spelling; Python processes follow the slots that were asked for."""
    arguments = with_flink_defaults([*given, "--number_of_execution_retries=0"], cluster(4, 4))

    assert given_number(arguments, "parallelism") == 6
    assert [argument for argument in arguments if argument.startswith("--parallelism=")] == [one for one in given if "=" in one]
    assert "--sdk_worker_parallelism=3" in arguments
    assert "--number_of_execution_retries=3" not in arguments


def test_a_cluster_says_how_its_workers_start_and_which_job_server_is_its_own() -> None:
    """In its configuration, under names that begin with ddb2pg."""
    arguments = with_flink_defaults([], cluster(2, 2, **OF_CLUSTER))

    assert {f"--{name}={value}" for name, value in OF_CLUSTER.items()} <= set(arguments)
    assert not [argument for argument in arguments if argument.startswith("--flink_submit_uber_jar")]


def test_halves_of_two_settings_are_not_mixed() -> None:
    """Who says how workers start, or which job server, says all of it."""
    arguments = with_flink_defaults(["--environment_type=DOCKER", "--job_endpoint=elsewhere:1"], cluster(2, 2, **OF_CLUSTER))

    assert not [argument for argument in arguments if "environment_config" in argument or "artifact_endpoint" in argument]
    assert "--job_endpoint=localhost:1" not in arguments
