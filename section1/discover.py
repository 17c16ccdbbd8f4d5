"""Which input files are new. A file is its content (SHA-256), not its name or its time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from batch.errors import InputError


class Source(msgspec.Struct, frozen=True):
    """A file to process; `stamp` changes when somebody writes to it."""

    path: str
    name: str
    sha256: str
    bytes: int
    stamp: tuple[int, ...]


class Found(msgspec.Struct):
    """The files of the input folder, and what was left out with the reason."""

    sources: list[Source] = []
    skipped: dict[str, str] = {}


def discover(folder: Path, patterns: Iterable[str]) -> Found:
    """Every readable file that matches, by name. Raises InputError when the folder cannot be listed.

    Directories, symbolic links, hidden names, files that cannot be read and files that are still being written
    are left for a later run and reported.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"cannot list the input folder: {error.strerror}",
            where=str(folder),
            hint="Make the folder, or name another one with --input.",
        ) from error
    found = Found()
    for entry in entries:
        if entry.name.startswith(".") or not any(fnmatch(entry.name, pattern) for pattern in patterns):
            continue
        if not entry.is_file(follow_symlinks=False):
            found.skipped[printable(entry.name)] = "is not a regular file"
            continue
        try:
            found.sources.append(_read(Path(entry.path)))
        except BlockingIOError:
            found.skipped[printable(entry.name)] = "is still being written"
        except OSError as error:
            found.skipped[printable(entry.name)] = f"cannot be read: {error.strerror}"
    return found


def printable(name: str) -> str:
    """A file's name as valid text: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def stamp(path: str) -> tuple[int, ...]:
    """What changes when a file is written to or replaced: inode, size and time of change in nanoseconds."""
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> Source:
    """Hash a file. Raises BlockingIOError while somebody has it open for writing or writes to it."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        before = stamp(str(path))
        if _has_writer(fd):
            raise BlockingIOError
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stamp(str(path)) != before:
            raise BlockingIOError
    return Source(str(path), printable(path.name), digest, before[1], before)


def _has_writer(fd: int) -> bool:
    """Whether any process has the file open for writing, as the kernel knows it (a read lease is refused then).

    Where leases are not to be had (other owners' files, network file systems), only a change of size or time
    while the file is read tells.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
