"""The embedded server: whose it is, who gets in, and in which folders. Each test starts a real one."""

from __future__ import annotations

import contextlib
import os
import pickle
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from pipeline import embedded
from pipeline.errors import Refused
from pipeline.target.database_url import GIVEN
from tests.faults.jobs import wait_until
from tests.postgres_server import Database

AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")

SPACES = "with two  spaces"
LONG = "Überlänge-数据-" + "x" * 180
STRANGE = 'It\'s a "strange" $(touch made-by-a-shell) `name`, 100%41 \\n'

Result = TypeVar("Result")


def as_user(user: int, function: Callable[[], Result]) -> Result:
    """What a function gives, or raises, in a process of another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(pwd.getpwuid(user).pw_gid)
            os.setuid(user)
            outcome: Any = function()
        except BaseException as error:  # noqa: BLE001 - raised by who asked
            outcome = error
        with os.fdopen(writing, "wb") as stream:
            stream.write(pickle.dumps(outcome))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        outcome = pickle.loads(stream.read())  # noqa: S301 - our own
    os.waitpid(child, 0)
    if isinstance(outcome, BaseException):
        raise outcome
    result: Result = outcome
    return result


@pytest.fixture(scope="session")
def users() -> Iterator[list[int]]:
    """Two users of this machine, who exist for these tests."""
    names = [f"ddb2pg-test-{os.getpid()}-{number}" for number in (1, 2)]
    for name in names:
        subprocess.run(["useradd", "--no-create-home", "--user-group", name], check=True, capture_output=True)
    yield [pwd.getpwnam(name).pw_uid for name in names]
    for name in names:
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, as / is; what belongs into /var/lib goes into it, too."""
    folder = Path(tempfile.mkdtemp(prefix="ddb2pg-test-"))
    folder.chmod(0o755)
    if AS_ROOT:
        monkeypatch.setattr(embedded, "_ROOT_FOLDER", folder / "var")
    monkeypatch.setenv(GIVEN, "")  # set by a start, and undone
    yield folder
    for path in folder.rglob("postmaster.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(path.read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def user(users: list[int], open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """One who can run the programs, wherever they are installed."""
    programs = embedded._copied_programs(embedded._installed())
    monkeypatch.setattr(embedded, "_installed", lambda: programs)
    own_folder(open_folder, users[0])
    return users[0]


def own_folder(parent: Path, user: int) -> Path:
    folder = parent / f"of-{user}"
    folder.mkdir(0o700)
    os.chown(folder, user, user)
    return folder


def start(folder: Path) -> str:
    """The URL."""
    return embedded.start(str(folder))[0].url()


def modes(folder: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents)}


def keeps_rows(folder: Path) -> None:
    """Started, stopped and started again it has its rows, and the second start of one that runs finds it."""
    Database(start(folder)).execute("CREATE TABLE kept AS SELECT 'a row' AS text")
    embedded.stop(str(folder))
    url = start(folder)
    assert Database(url).value("SELECT text FROM kept") == "a row"
    process = Database(url).value("SELECT pg_backend_pid()")
    assert start(folder) == url
    assert process
    embedded.stop(str(folder))
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)


@pytest.mark.parametrize("name", ["plain", SPACES, LONG, STRANGE], ids=["plain", "spaces", "long", "strange"])
def test_rows_stay_in_any_folder(open_folder: Path, name: str) -> None:
    """As root, the data are in the folder itself where the server's user can reach it."""
    before = modes(open_folder)

    keeps_rows(open_folder / name)

    assert modes(open_folder) == before
    assert not (open_folder / name / "data").is_symlink()
    assert not Path("made-by-a-shell").exists()
    assert not Path("/made-by-a-shell").exists()


@needs_root
@pytest.mark.parametrize("name", [SPACES, LONG], ids=["spaces", "long"])
def test_another_user_keeps_rows_in_any_folder(open_folder: Path, user: int, name: str) -> None:
    as_user(user, lambda: keeps_rows(open_folder / f"of-{user}" / name))


@needs_root
def test_root_changes_no_mode_of_a_folder_that_others_may_not_enter(open_folder: Path) -> None:
    """The data go elsewhere, and the folder has a link."""
    closed = open_folder / "closed"
    closed.mkdir(0o700)
    before = modes(closed)

    keeps_rows(closed / "pg")

    assert modes(closed) == before
    assert (closed / "pg" / "data").resolve().parent == open_folder / "var"


@needs_root
def test_root_runs_programs_that_others_cannot_reach(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a virtual environment below /root: of a copy, and no mode is changed."""
    closed = open_folder / "closed"
    closed.mkdir(0o700)
    installed = embedded._installed()
    shutil.copytree(installed, closed / installed.parent.name / installed.name)
    libraries = installed.parent.parent / f"{installed.parent.name}.libs"
    shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(embedded, "_installed", lambda: closed / installed.parent.name / installed.name)

    keeps_rows(open_folder / "pg")

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@needs_root
@pytest.mark.parametrize("name", ["plain", LONG], ids=["plain", "long"])
def test_nobody_else_gets_in(open_folder: Path, users: list[int], name: str) -> None:
    """Neither to the socket nor to the data; and not even where both were open: the server asks the kernel who it is."""
    home = open_folder / name
    url = start(home)

    def look_in() -> list[str]:
        problems = []
        for look in (partial(psycopg2.connect, url), partial(os.listdir, home / "data"), (home / "log").read_bytes):
            try:
                look()
                problems.append("got in")
            except (psycopg2.Error, PermissionError) as error:
                problems.append(str(error))
        return problems

    assert all("ermission denied" in problem for problem in as_user(users[0], look_in))
    for folder in {Path(parse_dsn(url)["host"]), (home / "data").resolve()}:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder.chmod(0o755)
    assert "Peer authentication failed" in as_user(users[0], look_in)[0]


@needs_root
def test_clients_talk_to_no_other_users_server(open_folder: Path, user: int, users: list[int]) -> None:
    """Who puts a server of their own where the socket was gets no rows."""
    url = as_user(user, lambda: start(open_folder / f"of-{user}" / "pg"))

    with pytest.raises(psycopg2.OperationalError, match="requirepeer"):
        psycopg2.connect(make_dsn(url, requirepeer=pwd.getpwuid(users[1]).pw_name))


@needs_root
def test_two_users_have_servers_at_a_time(open_folder: Path, user: int, users: list[int]) -> None:
    """And with root's there are three; nothing of one is in another's way."""
    second = own_folder(open_folder, users[1])

    urls = [
        start(open_folder / "pg"),
        as_user(user, lambda: start(open_folder / f"of-{user}" / LONG)),
        as_user(users[1], lambda: start(second / LONG)),
    ]

    assert len({Database(url).value("SHOW data_directory") for url in urls[:1]} | set(urls)) == 4
    assert as_user(users[1], lambda: Database(urls[2]).value("SELECT current_user")) == "postgres"


@needs_root
def test_another_users_folder_is_refused_in_a_sentence(open_folder: Path, users: list[int]) -> None:
    (open_folder / "made").mkdir(0o777)
    (open_folder / "made").chmod(0o777)
    start(open_folder / "made")
    (open_folder / "closed").mkdir(0o700)

    for name in ("made", "closed/pg", "new"):
        with pytest.raises(Refused) as refused:
            as_user(users[0], lambda name=name: start(open_folder / name))  # type: ignore[misc]
        assert "name a folder of your own" in str(refused.value)


@needs_root
def test_root_uses_a_users_server_as_that_user(open_folder: Path, user: int) -> None:
    home = open_folder / f"of-{user}" / "pg"
    as_user(user, lambda: keeps_rows(home))

    assert Database(start(home)).value("SELECT text FROM kept") == "a row"
    assert (home / "data" / "postmaster.pid").stat().st_uid == user
    embedded.stop(str(home))
    as_user(user, lambda: start(home))


def test_a_database_of_an_earlier_form_is_named(open_folder: Path) -> None:
    (open_folder / "PG_VERSION").write_text("18\n")

    with pytest.raises(Refused, match="was not made by this version of ddb2pg"):
        start(open_folder)


def test_a_lost_socket_is_made_again(open_folder: Path) -> None:
    """Programs tidy up temporary folders."""
    url = start(open_folder / LONG)
    shutil.rmtree(parse_dsn(url)["host"])

    again = start(open_folder / LONG)

    assert again != url
    assert Database(again).value("SELECT 1") == 1


def test_after_a_crash_it_starts_again(open_folder: Path) -> None:
    """Also while a process of the old server has not noticed it: that keeps its memory, and a new one ends at once."""
    home = open_folder / "pg"
    database = Database(start(home))
    database.execute("CREATE TABLE kept AS SELECT 1 AS number")
    busy = database.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    process = int((home / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(busy, signal.SIGSTOP)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    log = home / "log"
    before = log.stat().st_size
    with ThreadPoolExecutor() as pool:
        started = pool.submit(start, home)
        wait_until(lambda: log.stat().st_size > before or started.done())
        os.kill(busy, signal.SIGCONT)

        assert Database(started.result()).value("SELECT number FROM kept") == 1


def test_two_commands_start_one_server(open_folder: Path) -> None:
    """In the same moment."""
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(start(open_folder / "pg"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == 3
    assert len(set(urls)) == 1


def test_no_secret_stays_with_the_server(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It outlives the command, whose environment may hold some; nor does it leave a core file, and its log has no rows."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("PGPORT", "1")
    database = Database(start(open_folder / "pg"))
    process = (open_folder / "pg" / "data" / "postmaster.pid").read_text().split()[0]
    with pytest.raises(psycopg2.IntegrityError):
        database.execute("CREATE TABLE narrow (text text CHECK (text <> 'planted-row')); INSERT INTO narrow VALUES ('planted-row')")

    assert b"planted-secret" not in Path(f"/proc/{process}/environ").read_bytes()
    assert "planted-row" not in (open_folder / "pg" / "log").read_text()
    assert [line.split()[4] for line in Path(f"/proc/{process}/limits").read_text().splitlines() if "core file" in line] == ["0"]
