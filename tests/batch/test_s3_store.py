"""Objects in a store: any range of one version, uploads of any size, and what is told when something fails."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store import Bucket, Environ, StandIn

from batch import s3
from batch.errors import DataError, InputError, PublishError
from batch.s3 import RemoteFile, Store
from batch.s3_client import ConflictError, UnconditionalError

SIZE = 1000


@pytest.fixture(scope="module")
def whole(store: StandIn) -> tuple[str, bytes]:
    """An object and what is in it."""
    data = random.Random(1).randbytes(SIZE)
    bucket = store.bucket("ranges")
    bucket.put("a folder/an object+?#%.csv", data)
    return "s3a://ranges/a folder/an object+?#%.csv", data


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2 * SIZE), st.lists(st.tuples(st.integers(0, SIZE + 10), st.integers(0, SIZE + 10)), max_size=5))
def test_any_range(whole: tuple[str, bytes], piece: int, ranges: list[tuple[int, int]]) -> None:
    url, data = whole
    etag, size = s3.head(url)
    assert size == SIZE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "PIECE", max(piece, 100))
        with RemoteFile(url, etag, size) as file:
            for length, offset in ranges:
                assert file.pread(length, offset) == data[offset : offset + length]
            assert io.BufferedReader(file, 64).read() == data


def test_a_connection_that_breaks_is_tried_again(store: StandIn, bucket: Bucket) -> None:
    bucket.put("x", b"x" * 5000)
    etag, _ = s3.head(f"s3a://{bucket.name}/x")
    store.cut = 2
    assert s3.read(f"s3a://{bucket.name}/x", 5000, 0, etag) == b"x" * 5000
    store.cut = 100
    with pytest.raises(InputError, match="does not answer"):
        s3.read(f"s3a://{bucket.name}/x", 5000, 0, etag)


def test_another_version_is_not_read(bucket: Bucket) -> None:
    url = f"s3a://{bucket.name}/x"
    bucket.put("x", b"old")
    etag, _ = s3.head(url)
    bucket.put("x", b"new")
    with pytest.raises(DataError, match="changed while it was read"):
        s3.read(url, 3, 0, etag)
    bucket.client.delete_object(Bucket=bucket.name, Key="x")
    with pytest.raises(DataError, match="changed while it was read"):
        s3.read(url, 3, 0, etag)
    assert s3.head(url) == ("", 0)


def test_put_on_a_condition(bucket: Bucket) -> None:
    store = Store(bucket.output, PublishError)
    first = store.put("x", b"1", seen="")
    with pytest.raises(ConflictError):
        store.put("x", b"2", seen="")
    second = store.put("x", b"2", seen=first)
    with pytest.raises(ConflictError):
        store.put("x", b"3", seen=first)
    with pytest.raises(ConflictError):
        store.put("never there", b"3", seen=first)
    found = store.get("x")
    assert found is not None
    assert (found.data, found.etag) == (b"2", second)
    assert 0 <= found.age < 60
    assert store.get("never there") is None
    bucket.store.fault = lambda _: (501, "NotImplemented")
    with pytest.raises(UnconditionalError):
        store.put("x", b"4", seen="")


def test_large_files_go_up_in_parts(store: StandIn, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(environ: Environ) -> None:
        asked.append(f"{environ['REQUEST_METHOD']} {environ['QUERY_STRING'].partition('=')[0]}")

    monkeypatch.setattr(s3, "SINGLE", 20 << 20)
    data = bytes(range(256)) * (21 << 12)
    store.fault = noted
    Store(bucket.output, PublishError).upload("large", io.BytesIO(data))
    assert asked.count("PUT uploadId") > 1
    store.fault = lambda _: None
    assert bucket.get("out/large") == data


def test_folders(bucket: Bucket) -> None:
    store = Store(bucket.output, PublishError)
    for name in ("out/a/manifest.json", "out/a/b/c", "out/a/d", "out/e", "other/f"):
        bucket.put(name, b"x")
    objects, folders = store.list()
    assert ([found.name for found in objects], folders) == (["e"], ["a"])
    removed: list[str] = []
    bucket.store.fault = lambda environ: (
        removed.append(environ["PATH_INFO"].rpartition("/")[2]) if environ["REQUEST_METHOD"] == "DELETE" else None
    )
    store.delete_folder("a/", last="manifest.json")
    assert removed == ["c", "d", "manifest.json"]
    assert bucket.names() == {"out/e", "other/f"}
