"""The Flink cluster of `deploy/flink/`, started for tests as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

SCRIPTS = Path(__file__).parent.parent.parent / "deploy" / "flink"

CACHE = Path(os.environ.get("DDB2PG_FLINK_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddb2pg" / "flink")


class Cluster:
    """Two TaskManagers, in a folder of their own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._environment = {
            **os.environ,
            **environment,
            "PYTHON": sys.executable,
            "DDB2PG_FLINK_STATE": str(folder),
            "DDB2PG_FLINK_PORT": "0",
            "DDB2PG_FLINK_SLOTS": "2",
            "DDB2PG_FLINK_SECONDS": "600",
        }
        self.folder = folder

    def up(self) -> None:
        """Start it, or what is not running of it."""
        started = self._run("up.sh")
        assert started.returncode == 0, started.stdout + started.stderr

    def down(self) -> None:
        stopped = self._run("down.sh")
        assert stopped.returncode == 0, stopped.stderr

    def _run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / script], env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def submit(self, database_url: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """`submit.sh`, in a process group of its own."""
        return subprocess.Popen(
            [SCRIPTS / "submit.sh", *arguments],
            env={**self._environment, "DATABASE_URL": database_url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def address(self) -> str:
        return f"localhost:{(self.folder / 'ports').read_text().split()[0]}"

    def ask(self, path: str) -> Any:
        answer = requests.get(f"http://{self.address}/v1/{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    @property
    def newest_job(self) -> dict[str, Any]:
        job: dict[str, Any] = max(self.ask("jobs/overview")["jobs"], key=lambda job: job["start-time"])
        return job

    def failures(self, job_id: str) -> int:
        """How often Flink saw a job fail; of one that finished all the same, as often did it begin again."""
        return len(self.ask(f"jobs/{job_id}/exceptions")["exceptionHistory"]["entries"])

    def kill_task_manager(self, number: int) -> None:
        os.kill(int((self.folder / "pids" / f"taskmanager-{number}").read_text().split()[0]), signal.SIGKILL)


def why_not_to_be_had() -> str | None:
    """Why there can be no cluster here: no Java, or nothing to fetch its parts with or from."""
    java = subprocess.run(["sh", "-c", "java -version"], capture_output=True, text=True, check=False)
    if java.returncode:
        return "java is missing"
    fetched = subprocess.run(
        [SCRIPTS / "fetch.sh", "--for-tests"], env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False
    )
    return None if fetched.returncode == 0 else f"deploy/flink/fetch.sh: {fetched.stderr.strip()[-2000:]}"


def wait_until(is_so: Callable[[], bool], seconds: float = 600) -> None:
    """Look again and again, for so long at most."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)  # between two looks, not for a state
