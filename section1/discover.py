"""Which input files are new. A file is its content (SHA-256), not its name or its time."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import signal
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

import msgspec

from batch import s3_url
from batch.errors import InputError
from section1 import reading
from section1.reading import Stamp

BLOCK = 1 << 20
MUCH = 1 << 26  # bytes, which take some ten milliseconds to hash
UNPACKED_TIMES, UNPACKED_FLOOR = 200, 1 << 28  # a gzip file may hold this many times its size, or this many bytes
CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)}


class GzipError(Exception):
    """A gzip file that cannot be unpacked; its text is the reason that the file is refused with."""


class Source(msgspec.Struct, frozen=True):
    """A file to process; `stamp` changes when somebody writes to it.

    `sha256` is that of the content: of a gzip file, of what is packed in it where that can be unpacked.
    """

    path: str
    name: str
    sha256: str
    bytes: int
    stamp: Stamp

    @property
    def etag(self) -> str:
        """The version of an object; empty for a file on a path."""
        return reading.etag(self.path, self.stamp)


class Found(msgspec.Struct):
    """The files of the input folder, and what was left out with the reason."""

    sources: list[Source] = []
    skipped: dict[str, str] = {}


def discover(
    folder: str | Path,
    patterns: Iterable[str],
    known: Path | None = None,
    *,
    remember: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> Found:
    """Every readable file that matches in any letter case, by name. Raises InputError when the folder cannot be listed.

    In a store, `known` is where the digests of objects are kept from one run to the next, unless `remember` is false.
    `meanwhile` is called while much is read from a folder.
    Directories, symbolic links, hidden names, files that cannot be read and files that are still being written
    are left for a later run and reported.
    """
    if s3_url.is_url(str(folder)):
        from section1 import discover_s3

        return discover_s3.discover(str(folder), patterns, known, remember=remember)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"cannot list the input folder: {error.strerror}",
            where=str(folder),
            hint="Make the folder, or name another one with --input.",
        ) from error
    found = Found()
    wanted = [entry for entry in entries if matches(entry.name, patterns)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 1) as pool:
        if sum(map(_size, wanted)) >= MUCH:
            pool.submit(meanwhile)
        for entry, taken in zip(wanted, pool.map(_take, wanted), strict=True):
            if isinstance(taken, Source):
                found.sources.append(taken)
            else:
                found.skipped[printable(entry.name)] = taken
    return found


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file is meant, by its name."""
    name = name.lower()
    return not name.startswith(".") and any(fnmatchcase(name, pattern.lower()) for pattern in patterns)


def printable(name: str) -> str:
    """A file's name as valid text on one line, another text for each name.

    Control characters and bytes that are not UTF-8 are written as \\xNN, a backslash as two.
    """
    return os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace").translate(CONTROL)


def is_packed(name: str) -> bool:
    """Whether a file is to be unpacked, by its name."""
    return name.lower().endswith(".gz")


def unpack(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What is packed in a gzip file of this size, in blocks. Raises GzipError, also where it would fill the disk."""
    most = max(UNPACKED_TIMES * size, UNPACKED_FLOOR)
    try:
        with gzip.open(file) as packed:
            while block := packed.read(BLOCK):
                if (most := most - len(block)) < 0:
                    raise GzipError("gzip_too_large")
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise GzipError("corrupt_gzip") from error


def _size(entry: os.DirEntry[str]) -> int:
    """The bytes of a file; 0 where it cannot be asked, as when it is gone."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _take(entry: os.DirEntry[str]) -> Source | str:
    """The file to process, or why it is left for a later run."""
    if not entry.is_file(follow_symlinks=False):
        return "is not a regular file"
    try:
        return _read(Path(entry.path))
    except BlockingIOError:
        return "is still being written"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _read(path: Path) -> Source:
    """Hash a file. Raises BlockingIOError while somebody has it open for writing or writes to it."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        if _has_writer(fd):
            raise BlockingIOError
        read = digest(file, status.st_size, packed=is_packed(path.name))
        if reading.stamp(str(path)) != reading.local_stamp(status):
            raise BlockingIOError
    return Source(str(path), printable(path.name), read, status.st_size, reading.local_stamp(status))


def digest(file: BinaryIO, size: int, *, packed: bool) -> str:
    """The SHA-256 of a file's content."""
    if packed:
        try:
            return _sha256(unpack(file, size))
        except GzipError:
            file.seek(0)
    return _sha256(iter(lambda: file.read(BLOCK), b""))


def _sha256(blocks: Iterable[bytes]) -> str:
    """Of large blocks: hashlib.file_digest takes 256 kB, each of which would wait for those who import libraries."""
    content = hashlib.sha256()
    for block in blocks:
        content.update(block)
    return content.hexdigest()


def _has_writer(fd: int) -> bool:
    """Whether any process has the file open for writing, as the kernel knows it (a read lease is refused then).

    Where leases are not to be had (other owners' files, network file systems), only a change of size or time
    while the file is read tells.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # who opens it just now sends a signal: not one that kills
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
