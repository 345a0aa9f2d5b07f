"""What is checked and made ready before a job goes to a Flink cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engines.arguments import Submission
from pipeline.engines.flink import FlinkCluster, FlinkJob, host_of, look_at_cluster, ready_for_flink, url_of
from pipeline.engines.runners import RunnerKind, runner_of
from pipeline.errors import Refused
from pipeline.places.storage import OutputFolder
from pipeline.source.given import ExportArgument

HERE = FlinkCluster("http://localhost:8081", "1.19", (2, 2), is_here=True, begins_again=True, job_options={"job_endpoint": "localhost:1"})
ELSEWHERE = FlinkCluster("http://flink:8081", "1.19", (2, 2), is_here=False, begins_again=True, job_options={"job_endpoint": "flink:1"})
IN_S3 = Submission([], [ExportArgument(None, "s3://bucket/export")], OutputFolder("s3://bucket/out"))
ON_DISK = Submission([], [ExportArgument("table", "export")], OutputFolder("out"))


def ready(given: Submission, cluster: FlinkCluster, *, shared: bool = False, url: bool = False) -> Submission:
    return ready_for_flink(given, cluster, ["1.19", "2.2"], has_shared_folders=shared, is_url_given=url)


@pytest.mark.parametrize(("cluster", "shared"), [(HERE, False), (ELSEWHERE, True)])
def test_paths_are_absolute_for_workers_that_see_the_same_folders(cluster: FlinkCluster, shared: bool) -> None:
    """Their working folder is another one."""
    found = ready(ON_DISK, cluster, shared=shared)

    assert found.exports == [ExportArgument("table", str(Path.cwd() / "export"))]
    assert found.output == OutputFolder(str(Path.cwd() / "out"))


def test_what_is_in_s3_stays_as_it_is() -> None:
    found = ready(IN_S3, ELSEWHERE)

    assert found.exports == list(IN_S3.exports)
    assert found.output == IN_S3.output


def test_folders_of_this_machine_are_refused_for_workers_on_others() -> None:
    """Every one, and a database's URL that they cannot see, in one message."""
    with pytest.raises(Refused) as refused:
        ready(ON_DISK, ELSEWHERE, url=True)

    assert len(refused.value.problems) == 3
    assert all(word in str(refused.value) for word in ("--export export", "--output out", "--shared_folders", "--database_secret"))


def test_a_flink_that_beam_has_no_job_server_for_is_refused_by_its_version() -> None:
    """Unless there is a job server of another Beam's."""
    old = FlinkCluster("http://flink:8081", "1.15", (2, 2), is_here=True, begins_again=True, job_options={})

    with pytest.raises(Refused, match=r"Flink 1\.15.*1\.19, 2\.2"):
        ready(IN_S3, old)
    assert ready(Submission(["--job_endpoint=flink:1"], IN_S3.exports, IN_S3.output), old).warnings == ()


def test_a_flink_that_gives_up_at_once_is_warned_of() -> None:
    hopeless = FlinkCluster("http://flink:8081", "1.19", (2, 2), is_here=True, begins_again=False, job_options={"job_endpoint": "flink:1"})

    [warning] = ready(IN_S3, hopeless).warnings

    assert "restart-strategy.type" in warning


def test_nobody_answering_is_a_refusal() -> None:
    with pytest.raises(Refused, match="no Flink answers at http://localhost:1;"):
        look_at_cluster("localhost:1")
    assert "look at http://localhost:1" in FlinkJob("localhost:1", "job").whereabouts()


def test_addresses() -> None:
    """As people write them, and as Flink does."""
    assert runner_of(["--runner=FlinkRunner", "--flink_master=[local]"]).kind is RunnerKind.OTHER
    assert url_of("flink:8081") == "http://flink:8081"
    assert url_of("https://flink/") == "https://flink"
    assert host_of("pekko.tcp://flink@10.0.0.7:41233/user/rpc/taskmanager_0") == "10.0.0.7"
    assert host_of("http://[::1]:8081") == "::1"
