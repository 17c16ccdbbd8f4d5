"""Part files: how the lines that Spark's workers write reach the driver, over a path that all share or a store."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from batch import s3_url
from batch.errors import DataError, PublishError
from batch.publish import FILE_MODE
from section1 import reading
from section1.reading import Read

if TYPE_CHECKING:
    from batch.s3 import Store

BLOCK = 1 << 20


@contextmanager
def written(folder: str, name: str) -> Iterator[IO[bytes]]:
    """A new part file to write to, which is whole at the end of the block."""
    if not s3_url.is_url(folder):
        descriptor = os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with open(descriptor, "wb", BLOCK) as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        _store(folder).upload(name, file)


@contextmanager
def collected(folder: str, name: str) -> Iterator[Read]:
    """A part file to read, which is removed after that."""
    path = f"{folder}/{name}"
    version, size = _version(path)
    with reading.opened(path, version, size) as read:
        yield read
    if s3_url.is_url(path):
        _store(folder).delete(name)
    else:
        os.unlink(path)


def blocks(read: Read, name: str, offset: int, length: int) -> Iterator[memoryview]:
    """A stretch of a part file. Raises DataError where the file ends before it."""
    while length:
        block = read(min(length, BLOCK), offset)
        if not block:
            raise DataError("a worker's part file is too short", where=name, hint="Nothing was published.")
        offset, length = offset + len(block), length - len(block)
        yield memoryview(block)


def shared(folder: str, path: str) -> tuple[str, str]:
    """Put a file into the store, where the workers see it; returns its address and version there."""
    store, name = _store(folder), f"{uuid.uuid4().hex}.csv"
    with open(path, "rb") as file:
        store.upload(name, file)
    return store.url(name), _version(store.url(name))[0]


def _store(folder: str) -> Store:
    from batch.s3 import Store

    return Store(folder, PublishError)


def _version(path: str) -> tuple[str, int]:
    from batch import s3

    return s3.head(path, PublishError) if s3_url.is_url(path) else ("", 0)
