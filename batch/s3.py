"""Objects in an S3 store, at s3a://bucket/prefix: what jobs need of them, and errors that one can act on.

Credentials come from AWS's standard chain; endpoint and region too, AWS_ENDPOINT_URL_S3 and AWS_DEFAULT_REGION among
others.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

import msgspec

from batch.errors import BatchError, DataError, InputError
from batch.s3_client import AWAY, AbsentError, ConflictError, client, told, tried
from batch.s3_url import split

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")
PIECE = 8 << 20  # bytes of one ranged read
SINGLE = 64 << 20  # bytes; what is larger goes up in parts, and is seen once all are there


class Object(msgspec.Struct, frozen=True):
    """An object as a listing shows it; `name` is relative to the store's prefix, the ETag changes with the content."""

    name: str
    bytes: int
    etag: str


class Content(msgspec.Struct, frozen=True):
    """A whole small object; `age` in seconds, by the store's clock."""

    data: bytes
    etag: str
    age: float


class Store:
    """The objects below a prefix. What fails is raised as `failure`: InputError or PublishError."""

    def __init__(self, url: str, failure: type[BatchError]) -> None:
        self.address = url.rstrip("/")
        self.bucket, prefix = split(self.address)
        self.prefix = f"{prefix}/" if prefix else ""
        self.failure = failure

    def url(self, name: str) -> str:
        """The address of an object."""
        return f"{self.address}/{name}"

    def list(self, folder: str = "") -> tuple[list[Object], list[str]]:
        """The objects in a folder (a name that ends in /) and its folders, each by name."""
        start = self.prefix + folder
        objects: list[Object] = []
        folders: list[str] = []
        with told(self.address, self.failure):
            pages = client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=start, Delimiter="/"):
                objects += (
                    Object(found["Key"].removeprefix(self.prefix), found["Size"], found["ETag"])
                    for found in page.get("Contents", [])
                    if found["Key"] != start
                )
                folders += (found["Prefix"][len(start) : -1] for found in page.get("CommonPrefixes", []))
        return sorted(objects, key=lambda found: found.name), sorted(folders)

    def get(self, name: str) -> Content | None:
        """A whole small object, or None where there is none."""

        def got() -> Content:
            answer = client().get_object(Bucket=self.bucket, Key=self.prefix + name)
            return Content(answer["Body"].read(), answer["ETag"], _age(answer))

        try:
            return tried(self.url(name), self.failure, got)
        except AbsentError:
            return None

    def put(self, name: str, data: bytes, *, seen: str | None = None) -> str:
        """Put a small object at once and return its ETag.

        With `seen`, only if the object still has this ETag or, where it is empty, if there is none; else ConflictError.
        Raises UnconditionalError where the store says that it knows no such condition.
        """
        condition = {} if seen is None else {"IfMatch": seen} if seen else {"IfNoneMatch": "*"}
        try:
            with told(self.url(name), self.failure):
                answer = client().put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data, **condition)
        except AbsentError as error:
            raise ConflictError from error
        return str(answer["ETag"])

    def upload(self, name: str, file: IO[bytes]) -> None:
        """Put a file of any size; it is seen once it is whole."""
        with told(self.url(name), self.failure):
            from boto3.s3.transfer import TransferConfig

            config = TransferConfig(multipart_threshold=SINGLE, multipart_chunksize=SINGLE // 4)
            client().upload_fileobj(file, self.bucket, self.prefix + name, Config=config)

    def fetched(self, name: str) -> RemoteFile | None:
        """An object of any size as a file to read, or None where there is none."""
        etag, size = head(self.url(name), self.failure)
        return RemoteFile(self.url(name), etag, size, self.failure) if etag else None

    def delete(self, name: str) -> None:
        """Remove an object, or nothing where there is none."""
        with told(self.url(name), self.failure):
            client().delete_object(Bucket=self.bucket, Key=self.prefix + name)

    def delete_folder(self, folder: str, last: str = "") -> None:
        """Remove what is in a folder (a name that ends in /); `last` at the end of all."""
        objects, folders = self.list(folder)
        for inner in folders:
            self.delete_folder(f"{folder}{inner}/")
        for found in sorted(objects, key=lambda found: found.name == f"{folder}{last}"):
            self.delete(found.name)


def head(url: str, failure: type[BatchError] = InputError) -> tuple[str, int]:
    """The ETag and the size of an object; an empty ETag where there is none."""
    bucket, key = split(url)
    try:
        with told(url, failure):
            answer = client().head_object(Bucket=bucket, Key=key)
    except AbsentError:
        return "", 0
    return answer["ETag"], answer["ContentLength"]


def read(url: str, length: int, offset: int, etag: str, failure: type[BatchError] = InputError) -> bytes:
    """A range of one version of an object; less where it ends before. Raises DataError when the object has changed."""
    bucket, key = split(url)

    def got() -> bytes:
        span = f"bytes={offset}-{offset + length - 1}"
        answer = client().get_object(Bucket=bucket, Key=key, Range=span, IfMatch=etag)
        data: bytes = answer["Body"].read()
        return data

    try:
        return tried(url, failure, got)
    except (ConflictError, AbsentError) as error:
        raise DataError(
            f"{url} changed while it was read", hint="Nothing was published. The next run takes it as it is then."
        ) from error


class RemoteFile(io.RawIOBase):
    """One version of an object as a file: read piece by piece, while the next piece is on its way."""

    def __init__(self, url: str, etag: str, size: int, failure: type[BatchError] = InputError) -> None:
        from concurrent.futures import Future, ThreadPoolExecutor

        self.url, self.etag, self.size, self.failure = url, etag, size, failure
        self._at = 0
        self._pieces: dict[int, Future[bytes]] = {}
        self._ahead = ThreadPoolExecutor(1)

    def pread(self, length: int, offset: int) -> bytes:
        """The bytes from an offset on, as many as there are."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        wanted = range(offset // PIECE, -(-end // PIECE))
        for number in (*wanted, wanted.stop):
            if number * PIECE < self.size and number not in self._pieces:
                self._pieces[number] = self._ahead.submit(self._piece, number)
        self._pieces = {number: piece for number, piece in self._pieces.items() if number in (*wanted, wanted.stop)}
        pieces = [self._pieces[number].result() for number in wanted]
        first = wanted.start * PIECE
        whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return whole[offset - first : end - first]

    def _piece(self, number: int) -> bytes:
        data = read(self.url, PIECE, number * PIECE, self.etag, self.failure)
        if len(data) != min(PIECE, self.size - number * PIECE):
            raise self.failure("the store sent less than it holds", where=self.url, hint=AWAY)
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As for any file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As for any file."""
        view = memoryview(buffer)
        data = self.pread(len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Forget the pieces."""
        if not self.closed:
            self._ahead.shutdown(cancel_futures=True)
            self._pieces.clear()
        super().close()


def _age(answer: dict[str, Any]) -> float:
    """Seconds from an object's last change to the store's answer."""
    from email.utils import parsedate_to_datetime

    changed: datetime = answer["LastModified"]
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return (now - changed).total_seconds()
