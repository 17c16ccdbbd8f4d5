"""What follows from a date alone, worked out once for each day: there are few days and many records."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from section1.dates import EPOCH, OK, STATUSES

if TYPE_CHECKING:
    import pyarrow as pa

    from section1.dates import Ints

FIRST = 1 - EPOCH  # 0001-01-01, in days since 1970-01-01
DAYS = 3_652_059  # up to 9999-12-31
MOST_KNOWN = 50_000  # people are born on 40,000 days
SPAN = 256  # days that are learned together where records have many


class Dated(NamedTuple):
    """One date of some records: the readings that are known so far, and the place of each record's among them."""

    places: Ints
    known: pa.Table


class Known:
    """The readings of one configured date so far: one row for what is no day, by its status, then one for each day.

    Its columns are what the date gives the query: `_date`, `_ymd`, `_digest` (hex) and `_status`.
    """

    def __init__(self, name: str, key: bytes) -> None:
        self._name = name
        self._key = key
        self._lock = Lock()
        self._forget()

    def dated(self, days: Ints, status: Ints) -> Dated:
        """The readings of records: days since 1970-01-01 and the positions in STATUSES, as `dates.read` gives them.

        A table that was given before is not changed.
        """
        import numpy as np

        readable = status == OK
        some = days - FIRST if readable.all() else days[readable] - FIRST
        with self._lock:
            of_days = self._places.take(some)
            if not of_days.all():
                new = self._around(some[of_days == 0])
                if len(self._table) + len(new) > MOST_KNOWN:
                    self._forget()
                    new = np.unique(some)
                self._learn(new)
                of_days = self._places.take(some)
            known = self._table
        if len(some) == len(days):
            return Dated(of_days, known)
        places = status.astype(np.int32) - 1
        places[readable] = of_days
        return Dated(places, known)

    def _around(self, days: Ints) -> Ints:
        """The new ones of these days, in order. Of many, also those near them, so that few are left to be learned."""
        import numpy as np

        spans = np.unique(days // SPAN)
        if len(spans) * SPAN > min(len(days), MOST_KNOWN - len(self._table)):
            return np.unique(days)
        near = (spans[:, None] * SPAN + np.arange(SPAN)).ravel()
        near = near[near < DAYS]
        return np.asarray(near[self._places.take(near) == 0])

    def _forget(self) -> None:
        import numpy as np
        import pyarrow as pa

        self._places = np.zeros(DAYS, np.int32)  # 0 where a day is not known; only touched pages take memory
        self._table = self._readings(pa.nulls(len(STATUSES) - 1, pa.date32()), STATUSES[OK + 1 :])

    def _learn(self, days: Ints) -> None:
        import numpy as np
        import pyarrow as pa

        dates = pa.array((days + FIRST).astype(np.int32)).view(pa.date32())
        new = self._readings(dates, STATUSES[OK : OK + 1] * len(days))
        self._places[days] = np.arange(len(self._table), len(self._table) + len(days), dtype=np.int32)
        self._table = pa.concat_tables([self._table, new]).combine_chunks()

    def _readings(self, dates: pa.Array, statuses: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.replace_substring(dates.cast(pa.string()), "-", "")
        columns = {
            "date": dates,
            "ymd": texts,
            "digest": pa.array(self._digests(texts.cast(pa.binary()).to_pylist()), pa.string()),
            "status": pa.array(statuses, pa.string()),
        }
        return pa.table({f"{self._name}_{column}": values for column, values in columns.items()})

    def _digests(self, texts: list[bytes | None]) -> list[str | None]:
        """The SHA-256 of each text in hex; with a key, its HMAC-SHA-256 (RFC 2104)."""
        if self._key:
            return [None if text is None else hmac.digest(self._key, text, "sha256").hex() for text in texts]
        return [None if text is None else sha256(text).hexdigest() for text in texts]


@lru_cache
def known(name: str, key: bytes) -> Known:
    """The readings of one date that this process has met."""
    return Known(name, key)
