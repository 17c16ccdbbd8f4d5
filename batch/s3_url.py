"""Addresses in an S3 store: s3a://bucket/key. Everybody asks for these, few for the store: so they stand alone."""

from __future__ import annotations

SCHEME = "s3a://"


def is_url(path: str) -> bool:
    """Whether this names something in a store."""
    return path.startswith(SCHEME)


def split(url: str) -> tuple[str, str]:
    """The bucket and the key of s3a://bucket/key."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    return bucket, key
