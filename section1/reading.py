"""Input files wherever they are: a path, or an object of which the version that was discovered is read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from batch.s3_url import is_url

Read = Callable[[int, int], bytes]
"""Gives so many bytes (or what there is) from an offset on, as os.pread does."""
Stamp = tuple[int | str, ...]


def stamp(path: str) -> Stamp:
    """What changes when a file is written to or replaced: inode, size and time of change in nanoseconds.

    Of an object, ETag and size.
    """
    if not is_url(path):
        return local_stamp(os.stat(path))
    from batch import s3

    return s3.head(path)


def local_stamp(status: os.stat_result) -> Stamp:
    """The stamp of a file on a path."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def etag(path: str, known: Stamp) -> str:
    """The version of an object, by its stamp; empty for a file on a path."""
    return str(known[0]) if is_url(path) else ""


@contextmanager
def opened(path: str, version: str = "", size: int = 0) -> Iterator[Read]:
    """A file to read, best from front to back. `version` and `size` are an object's. DataError where it has changed."""
    if is_url(path):
        from batch import s3

        with s3.RemoteFile(path, version, size) as remote:
            yield remote.pread
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        yield lambda length, offset: os.pread(fd, length, offset)
    finally:
        os.close(fd)


def binary(path: str, version: str = "", size: int = 0) -> BinaryIO:
    """The same as a file object."""
    if not is_url(path):
        return open(path, "rb")
    from batch import s3

    return io.BufferedReader(s3.RemoteFile(path, version, size), 1 << 20)


def load(path: str, version: str, length: int, offset: int) -> bytes:
    """One range of a file."""
    if is_url(path):
        from batch import s3

        return s3.read(path, length, offset, version)
    with opened(path) as read:
        return read(length, offset)
