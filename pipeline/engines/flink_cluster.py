"""What a Flink cluster says of itself, and of its jobs, through its REST API."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from pipeline.errors import Refused

_TIMEOUT: Final = 10  # seconds
_GIVE_UP: Final = ("none", "off", "disable")
OUR_KEYS: Final = "ddb2pg."
"""How keys of a cluster's configuration begin that are options of jobs: what a cluster alone knows, as how its workers start."""


@dataclass(frozen=True, slots=True)
class FlinkCluster:
    """What counts for a job."""

    url: str
    """Of the web page, too."""
    version: str
    """As Beam names it: 1.19."""
    slots: tuple[int, ...]
    """Of each TaskManager; none where they come as they are needed."""
    is_here: bool
    """Whether all of it runs on this machine, so that its workers see the same files."""
    begins_again: bool
    """Whether it begins a job that failed again."""
    told: Mapping[str, str]
    """Options of jobs from the cluster's configuration, by their names."""


def is_cluster(master: str) -> bool:
    """Whether `--flink_master` names a cluster; `[local]` and `[auto]` are Flink within this process's own job server."""
    return not master.startswith("[")


def url_of(master: str) -> str:
    """Of `HOST:PORT`, or of a URL."""
    url = master.strip().rstrip("/")
    return url if re.match(r"https?://", url) else f"http://{url}"


def look_at_cluster(master: str) -> FlinkCluster:
    """Ask a cluster. Raises `Refused`."""
    url = url_of(master)
    try:
        version = ".".join(_get(url, "config")["flink-version"].split(".")[:2])
        task_managers = _get(url, "taskmanagers")["taskmanagers"]
        configuration = {entry["key"]: entry["value"] for entry in _get(url, "jobmanager/config")}
        hosts = {host_of(task_manager["path"]) for task_manager in task_managers}
        slots = tuple(task_manager["slotsNumber"] for task_manager in task_managers)
    except (requests.RequestException, ValueError, KeyError, TypeError):
        message = f"--flink_master: no Flink answers at {url}; look at the address (the JobManager's REST port, often 8081) and the network"
        raise Refused([message]) from None
    is_here = bool(hosts) and all(map(_is_this_machine, {*hosts, host_of(url)}))
    strategy = configuration.get("restart-strategy.type", configuration.get("restart-strategy", "none"))
    told = {key.removeprefix(OUR_KEYS): value for key, value in configuration.items() if key.startswith(OUR_KEYS)}
    return FlinkCluster(url, version, slots, is_here, strategy not in _GIVE_UP, told)


def find_job(url: str, name: str) -> str | None:
    """The id of the newest job of a name; None where there is none, or nobody answers."""
    try:
        jobs = [job for job in _get(url, "jobs/overview")["jobs"] if job["name"] == name]
        return max(jobs, key=lambda job: int(job["start-time"]))["jid"] if jobs else None
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def host_of(address: str) -> str:
    """The host of a URL, or of an address of Flink's own: pekko.tcp://flink@HOST:PORT/user/..."""
    found = re.search(r"://(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+)", address)
    return found[1].strip("[]") if found else ""


def _get(url: str, path: str) -> Any:
    answer = requests.get(f"{url}/v1/{path}", timeout=_TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def _is_this_machine(host: str) -> bool:
    """An address that we can listen on is ours."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return bool(found) and all(_is_ours(family, address) for family, _, _, _, address in found)


def _is_ours(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        try:
            one.bind(address)
        except OSError:
            return False
    return True
