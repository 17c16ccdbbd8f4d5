"""Kill a run at its N-th effect, or let that effect fail, without hooks in the product.

This file is a server as well: started once, it imports the product and its libraries, and forks a child for each
command line that it is asked to run. In the child all functions through which effects go are wrapped: writes, syncs,
opens, folders, renames, links, removals, SQLite statements and commits, requests to a store, the reading of input, and
each chunk's verdict. Every call is a numbered point with a label; a write is two, before it and after half of its data.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("discover", "intake", "judge", "publish", "record")
TIMEOUT_SECONDS = 120


class Outcome(NamedTuple):
    """How a command line ended: its exit code (minus the signal's number where it was killed) and what it wrote."""

    code: int
    out: str
    err: str
    points: list[str]


class Server:
    """Runs command lines of section 1, each in a forked process."""

    def __init__(self, *, spark: bool = False) -> None:
        command = [sys.executable, __file__, *(["spark"] if spark else [])]
        self._mark = f"run-by-{uuid.uuid4()}"
        # without coverage's: it would write files of its own
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | {"STARTED_BY_FAULTS": self._mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")

    def run(self, *arguments: str | Path, stop: int = 0, error: str = "", lasting: bool = False) -> Outcome:
        """Run one command line; at point `stop` (from 1) it is killed, or that call raises OSError with this errno.

        With `lasting`, all later calls that need space fail too, as on a full disk.
        """
        folder = Path(self._folder.name)
        request = {
            "arguments": [str(argument) for argument in arguments],
            "stop": stop,
            "error": error,
            "lasting": lasting,
            "folder": str(folder),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server has died"
        out, err, points = ((folder / name).read_text() for name in ("out", "err", "points"))
        return Outcome(int(answer), out, err, points.splitlines())

    def wait_for_others(self, seconds: float) -> list[str]:
        """Wait for what the command lines have started, such as a JVM; returns what is still there after the time."""
        import psutil

        others = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                marked = process.environ().get("STARTED_BY_FAULTS") == self._mark
                if marked and process.pid != self._process.pid:
                    others.append(process)
        _, alive = psutil.wait_procs(others, seconds)
        return [str(process) for process in alive]

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT_SECONDS)
        self._folder.cleanup()


class Effects:
    """Counts the points of this process, and stops or fails at one of them."""

    def __init__(self, stop: int, error: str, points: int, *, lasting: bool) -> None:
        self.stop, self.error, self.lasting = stop, error, lasting
        self.number, self.step, self._points, self._main = 0, "discover", points, threading.get_ident()

    def point(self, label: str, *, grows: bool = False, fails: bool = True) -> bool:
        """Count a point; at the one that was asked for: die, or raise OSError. `grows` says that it needs space.

        Only the main thread counts, so that the numbers are the same each time. Returns whether a point that cannot
        fail on its own was the one.
        """
        if threading.get_ident() != self._main:
            return False
        self.number += 1
        REAL_WRITE(self._points, f"{self.step}: {re.sub(r'[0-9]{8}T[0-9]{9}Z-[0-9]+', 'RUN', label)}\n".encode())
        if self.number == self.stop:
            if not fails:
                return True
            self.fire()
        elif self.lasting and grows and 0 < self.stop < self.number:
            self.fire()
        return False

    def fire(self) -> None:
        """Do what was asked for."""
        if not self.error:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(getattr(errno, self.error), os.strerror(getattr(errno, self.error)))


REAL_WRITE, REAL_OPEN = os.write, io.open


def _wrap(effects: Effects, module: Any, name: str, *, grows: bool = False) -> None:
    real = getattr(module, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            effects.point(f"{name} {_name(arguments[0])}", grows=grows)
        except OSError as error:
            if isinstance(arguments[0], str | os.PathLike):
                error.filename = os.fspath(arguments[0])
            raise
        return real(*arguments, **options)

    setattr(module, name, wrapped)


def _name(target: Any) -> str:
    """The last part of what a path or a file descriptor stands for."""
    if isinstance(target, int):
        target = os.readlink(f"/proc/self/fd/{target}")
    return os.path.basename(os.fspath(target)) if isinstance(target, str | os.PathLike) else ""


def _half(effects: Effects, name: str, data: Any, write: Callable[[Any], Any]) -> Any:
    """Write, with a point before and one after half of the data."""
    effects.point(f"write {name}", grows=True)
    if effects.point(f"half of {name}", fails=False):
        write(data[: len(data) // 2])
        effects.fire()
    return write(data)


class _File:
    """A file that is open for writing."""

    def __init__(self, effects: Effects, file: Any, name: str) -> None:
        self._effects, self._file, self._name = effects, file, name

    def write(self, data: Any) -> Any:
        def flushed(part: Any) -> Any:
            written = self._file.write(part)
            self._file.flush()
            return written

        return _half(self._effects, self._name, data, flushed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def install(effects: Effects) -> None:
    """Wrap everything in this process."""
    for name in ("fsync", "rename", "replace", "unlink", "rmdir", "ftruncate", "pread"):
        _wrap(effects, os, name)
    for name in ("mkdir", "symlink", "pwrite"):
        _wrap(effects, os, name, grows=True)
    _wrap(effects, hashlib, "file_digest")
    real_open = os.open

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            effects.point(f"open {_name(path)}", grows=True)
        return real_open(path, flags, *arguments, **options)

    def file_opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wxa+") or isinstance(file, int):
            return REAL_OPEN(file, mode, *arguments, **options)
        effects.point(f"open {_name(file)}", grows=True)
        return _File(effects, REAL_OPEN(file, mode, *arguments, **options), _name(file))

    os.open = opened
    os.write = lambda fd, data: _half(effects, _name(fd), data, lambda part: REAL_WRITE(fd, part))
    setattr(io, "open", file_opened)  # noqa: B010 - mypy knows the real one
    setattr(builtins, "open", file_opened)  # noqa: B010
    _install_sqlite(effects)
    _install_store(effects)
    _install_steps(effects)


def _install_sqlite(effects: Effects) -> None:
    def point(label: str) -> None:
        try:
            effects.point(label, grows=True)
        except OSError as error:
            raise sqlite3.OperationalError(f"disk I/O error ({error.strerror})") from error

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            point(f"sqlite {' '.join(sql.split()[:5])}")
            return super().execute(sql, *arguments)

        def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
            def pointed() -> Any:
                for row in rows:
                    point(f"sqlite {' '.join(sql.split()[:5])}")
                    yield row

            return super().executemany(sql, pointed())

        def executescript(self, sql: str) -> sqlite3.Cursor:
            point("sqlite schema")
            return super().executescript(sql)

        def __exit__(self, kind: Any, error: Any, at: Any) -> Any:
            if kind is None:
                point("sqlite commit")
            ended = super().__exit__(kind, error, at)
            if kind is None:
                point("sqlite after the commit")
            return ended

    real = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, factory=Connection, **options)

    setattr(sqlite3, "connect", connect)  # noqa: B010


def _install_store(effects: Effects) -> None:
    from batch.s3 import Store

    def pointed(name: str) -> None:
        real = getattr(Store, name)

        def called(store: Store, at: str = "", *arguments: Any, **options: Any) -> Any:
            effects.point(f"store {name} {'/'.join(at.split('/')[-2:])}")
            return real(store, at, *arguments, **options)

        setattr(Store, name, called)

    for name in ("list", "get", "put", "upload", "delete"):
        pointed(name)


def _install_steps(effects: Effects) -> None:
    from batch.ledger import Ledger
    from batch.publish import Output
    from section1 import discover, intake, report

    def entering(step: str, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def entered(*arguments: Any, **options: Any) -> Any:
            effects.step = step
            return real(*arguments, **options)

        setattr(owner, name, entered)

    entering("discover", discover, "discover")
    entering("intake", intake.Intake, "take")
    entering("publish", Output, "publish")
    entering("record", Ledger, "record")
    count = report.count

    def counted(*arguments: Any) -> None:
        effects.step = "judge"
        effects.point("verdict")
        count(*arguments)

    setattr(report, "count", counted)  # noqa: B010


def _child(request: dict[str, Any]) -> int:
    """Run one command line in this process; returns its exit code."""
    signal.alarm(TIMEOUT_SECONDS)
    folder = Path(request["folder"])
    descriptors = [os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("out", "err", "points")]
    os.dup2(descriptors[0], 1)
    os.dup2(descriptors[1], 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = REAL_OPEN(1, "w", closefd=False), REAL_OPEN(2, "w", closefd=False)
    import section1_manage

    install(Effects(request["stop"], request["error"], descriptors[2], lasting=request["lasting"]))
    try:
        return section1_manage.main(request["arguments"])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve(*, spark: bool) -> None:
    """Fork a child for each request; answer with its exit code, or minus the signal that ended it."""
    sys.path.insert(0, str(ROOT))
    import section1_manage  # noqa: F401 - so that a child need not

    if not spark:
        from batch import imports

        imports.refuse("pandas")
        import concurrent.futures.thread

        import duckdb
        import numpy
        import pyarrow.compute
        import pyarrow.csv

        _ = concurrent.futures.thread, duckdb, numpy, pyarrow.compute, pyarrow.csv
        from section1 import engine_duckdb, job, replay

        _ = engine_duckdb, job, replay
    assert threading.active_count() == 1
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = _child(json.loads(line))
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(spark="spark" in sys.argv[1:])
