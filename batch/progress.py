"""A progress bar for people: on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Something that can be told how much more was done."""

    def update(self, n: int) -> object:
        """Count `n` more units as done."""


class _Silent:
    def update(self, n: int) -> None:
        pass


@contextmanager
def progress(label: str, total: int, unit: str = "B") -> Iterator[Progress]:
    """A bar that counts to `total`; nothing is shown where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from tqdm import tqdm

    with tqdm(desc=label, total=total, unit=unit, unit_scale=True, leave=False, delay=0.5) as bar:
        yield bar
