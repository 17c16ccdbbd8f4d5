"""Which objects of a store are new. A listing tells their ETags; content is read where an ETag is not known yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from batch.errors import DataError, InputError
from batch.publish import write_file, writing
from batch.s3 import Object, Store
from batch.s3_client import UnreadableError
from section1 import reading
from section1.discover import Found, Source, digest, is_packed, matches, printable

Digests = dict[str, tuple[str, int, str]]  # address: ETag, size and SHA-256 of the content


def discover(folder: str, patterns: Iterable[str], known: Path | None, *, remember: bool) -> Found:
    """Every readable object right below the prefix that matches. Raises InputError when it cannot be listed.

    What is deeper is somebody else's, and objects that cannot be read or change meanwhile are left for a later run.
    """
    store, found = Store(folder, InputError), Found()
    digests = _load(known)
    seen: Digests = {}
    for item in store.list()[0]:
        if not matches(item.name, patterns):
            continue
        url, name = store.url(item.name), printable(item.name)
        try:
            sha256 = _digest(url, item, digests)
        except DataError:
            found.skipped[name] = "is still being written"
        except UnreadableError as error:
            found.skipped[name] = f"cannot be read: {error.what}"
        else:
            seen[url] = item.etag, item.bytes, sha256
            found.sources.append(Source(url, name, sha256, item.bytes, (item.etag, item.bytes)))
    if known and remember and seen != digests:
        with writing(known.parent):
            write_file(known, msgspec.json.encode(seen))
    return found


def _digest(url: str, item: Object, digests: Digests) -> str:
    etag, size, sha256 = digests.get(url, ("", 0, ""))
    if (etag, size) == (item.etag, item.bytes):
        return sha256
    with reading.binary(url, item.etag, item.bytes) as file:
        return digest(file, item.bytes, packed=is_packed(item.name))


def _load(known: Path | None) -> Digests:
    """What was kept; nothing where that is missing or damaged."""
    try:
        return msgspec.json.decode(known.read_bytes(), type=Digests) if known else {}
    except (OSError, msgspec.DecodeError):
        return {}
