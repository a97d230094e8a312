"""A private PostgreSQL on a Unix socket in a temporary directory, removed without a trace when it is closed."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # only a crash of this machine would lose anything by it
    "autovacuum": "off",  # it would go around all databases, however short they are there
    "max_connections": "300",
    "shared_buffers": "32MB",
    "timezone": "Asia/Kathmandu",
}
"""What differs from a server's own settings; no statement may rely on these."""

OTHER_ORDER = 15
"""From this version on a cluster can order text by ICU's rules, which no statement may rely on either."""

UNPRIVILEGED = "nobody"
"""Who runs it if this process is root, which PostgreSQL refuses to run as."""


def programs() -> Path:
    """Where PostgreSQL's programs are, which Debian keeps out of the path. Raises `RuntimeError` if there are none."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent  # a link to one of them may stand alone
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        raise RuntimeError("there is no PostgreSQL on this machine: install it (on Debian, the package postgresql)")
    return versions[-1]


class PrivatePostgres:
    """A cluster that nobody else can reach. A context manager: started inside, ended and removed outside."""

    def __init__(self) -> None:
        self.settings = dict(SETTINGS)
        """What it is started with; may be changed before."""
        self._programs = programs()
        self._made = 0
        self.directory = Path(tempfile.mkdtemp(prefix="bq-pg-"))
        self._become = self._unprivileged()

    def __enter__(self) -> Self:
        try:
            order = ["--locale-provider=icu", "--icu-locale=en-US"] if self._version >= OTHER_ORDER else []
            locale = ["--locale=C.UTF-8", *order]
            self._run("initdb", "-D", self._data, "-U", "bq", "--auth=trust", "--encoding=UTF8", "--no-sync", *locale)
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = [f"-c {name}='{value}'" for name, value in self.settings.items()]
        options = " ".join([f"-k {self.directory}", *settings])
        self._run("pg_ctl", "-D", self._data, "-l", str(self.directory / "log"), "-o", options, "-w", "start")

    def kill(self) -> None:
        """Stop it at once, as a crash would: every connection breaks, and what was not committed is gone."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop", check=False)

    def close(self) -> None:
        """Stop it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to all of its processes."""
        parent = self.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for process in (parent, *map(int, children)):
            with suppress(ProcessLookupError):  # the parent, which goes on first, may have ended a child meanwhile
                os.kill(process, number)

    @property
    def pid(self) -> int:
        """The process whose children all others are, while it runs."""
        return int((Path(self._data) / "postmaster.pid").read_text().split()[0])

    def database(self, template: str | None = None) -> str:
        """The URL of a new database: an empty one, or a copy of the one at that URL, which nobody is connected to."""
        self._made += 1
        name = f"db{self._made}"
        self._run("createdb", *self._where, *(() if template is None else ("-T", _name(template))), name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove the database at that URL, and end whatever uses it."""
        self._run("dropdb", *self._where, "--force", _name(url))

    def replace(self, url: str, template: str) -> None:
        """Put a copy of the database at `template` in the place of the one at `url`, whoever uses that."""
        self.drop(url)
        self._run("createdb", *self._where, "-T", _name(template), _name(url))

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://bq@/{database}?host={quote(str(self.directory), safe='')}&port={self._port}"

    def put(self, name: str, content: str) -> Path:
        """A file that nobody but the server can read."""
        path = self.directory / name
        path.write_text(content)
        path.chmod(0o600)
        owner = self.directory.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
        return path

    @property
    def _where(self) -> tuple[str, ...]:
        return ("-h", str(self.directory), "-p", self._port, "-U", "bq")

    @property
    def _port(self) -> str:
        """Names the socket, too."""
        return self.settings.get("port", "5432")

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    @property
    def _version(self) -> int:
        ask = [str(self._programs / "postgres"), "--version"]
        said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout  # noqa: S603 - PostgreSQL's own
        return int(said.split()[2].split(".")[0])

    def _unprivileged(self) -> Callable[[], None] | None:
        if os.geteuid() != 0:
            return None
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(self.directory, user.pw_uid, user.pw_gid)

        def become() -> None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

        return become

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        # Into a file: the server that is started would hold a pipe open for as long as it runs.
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(  # noqa: S603 - PostgreSQL's own
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
                preexec_fn=self._become,
                check=False,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if check and ended.returncode:
            raise RuntimeError(f"PostgreSQL's {program} ended with {ended.returncode}: {said[-2000:]}")


def _name(url: str) -> str:
    return urlsplit(url).path[1:]
