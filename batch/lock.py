"""One run at a time: a kernel lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch.errors import BusyError


@contextmanager
def exclusive(path: Path, label: str) -> Iterator[None]:
    """Hold the lock file for the length of the block; `label` tells others who holds it.

    Raises BusyError at once when another process has it. The file stays behind, the lock does not.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
            raise BusyError(
                f"another run is going on: {holder or 'it has just started'}",
                hint="Nothing was changed. It is safe to try again when that run has ended.",
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{label}, process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
