"""A PostgreSQL of the tests' own: Debian's programs, a folder of its own, a socket in it, loopback only by name.

`with postgres.server() as server:` makes a cluster with two roles: `owner`, who migrates, and `serving`, whom row-level
security binds. `server.database()` makes an empty database and gives addresses. It is ended by its pid.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg

from wardlight import bootstrap  # noqa: F401 - brings every slice's tables
from wardlight.db.engine import open_database
from wardlight.db.schema import ensure

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
#: Speed, where durability is not under test.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_SMALL = ("shared_buffers=64MB", "max_connections=100", "listen_addresses=", "logging_collector=off")


@dataclass
class Server:
    """A running cluster; `folder` holds its data and its socket."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = _FAST
    made: list[str] = field(default_factory=list)
    template: Addresses | None = None

    def start(self) -> None:
        arguments = [argument for option in (*_SMALL, *self.options) for argument in ("-c", option)]
        command = [str(_PROGRAMS[-1] / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command + arguments, stdout=log, stderr=log, **_as_user())
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.address("postgres", "postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends connections; SIGQUIT is as a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def address(self, database: str, role: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def run(self, *statements: str, database: str = "postgres", role: str = "postgres") -> None:
        with psycopg.connect(self.address(database, role), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def _new_name(self) -> str:
        self.made.append(f"test_{len(self.made)}_{os.getpid()}")
        return self.made[-1]

    def migrated(self) -> Addresses:
        """A new database with this version's schema; a copy of one that is made once."""
        if self.template is None:
            self.template = self.database()
            database = open_database(self.template.owner)
            ensure(database, migrate=True)
            database.close()
        name = self._new_name()
        self.run(f"CREATE DATABASE {name} OWNER owner TEMPLATE {self.template.name}")
        return Addresses(self, name)

    def database(self) -> Addresses:
        """A new database as docs/how-to/postgresql-and-s3.md makes it, without tables."""
        name = self._new_name()
        self.run(f"CREATE DATABASE {name} OWNER owner")
        self.run(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO serving",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO serving",
            database=name,
            role="owner",
        )
        return Addresses(self, name)

    def files(self) -> list[Path]:
        """Folders of what a thief of the disk gets, brought up to date: tables, and the log of changes."""
        self.run("CHECKPOINT")
        return [self.folder / "data" / "base", self.folder / "data" / "pg_wal"]

    def drop(self, addresses: Addresses) -> None:
        self.run(f"DROP DATABASE {addresses.name} WITH (FORCE)")


@dataclass(frozen=True)
class Addresses:
    """One database, by the role that connects."""

    server: Server
    name: str

    @property
    def owner(self) -> str:
        return self.server.address(self.name, "owner")

    @property
    def serving(self) -> str:
        return self.server.address(self.name, "serving")

    @property
    def superuser(self) -> str:
        return self.server.address(self.name, "postgres")


def _as_user() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {} if os.getuid() else {"user": "postgres", "group": "postgres", "extra_groups": []}


@contextmanager
def server(options: tuple[str, ...] = _FAST) -> Iterator[Server]:
    """A cluster of the test's own."""
    assert _PROGRAMS, "tools/system-packages.sh postgresql"
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="wardlight-pg-", dir=memory))
    folder.chmod(0o755)
    if not os.getuid():
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    running = Server(folder, options=options)
    try:
        command = [str(_PROGRAMS[-1] / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust"]
        # A locale of people: what must not depend on it is seen to.
        command += ["-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **_as_user())
        running.start()
        running.run("CREATE ROLE owner LOGIN", "CREATE ROLE serving LOGIN")
        yield running
    finally:
        running.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


@cache
def shared() -> Server:
    """The cluster that the tests of one process share; it ends with the process."""
    context = server()
    running = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return running
