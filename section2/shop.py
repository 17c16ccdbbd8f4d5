"""A made-up shop: items, members where there are too few, and what they bought, skewed as real sales are.

A few items sell most (Zipf), a few members buy most (Pareto), business grows and is brisk before Christmas and in the
evening, every tenth line is discounted, and prices rise over the years. The same seed gives the same shop.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from batch.errors import DataError
from batch.postgres_load import copy_csv, copy_rows
from section2 import bulk

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

Ints = NDArray[np.int64]

FIRST_DAY, DAYS = date(2020, 1, 1), 3 * 365
CHUNK = 200_000  # transactions in memory at a time
STATUSES = ["complete", "delivering", "paid", "cancelled", "pending", "returned"]
STATUS_SHARES = [0.88, 0.03, 0.03, 0.03, 0.02, 0.01]
LINES_PER_TRANSACTION = 3.0
TRANSACTION = ["transaction_id", "member_id", "occurred_at", "status", "total_price", "total_weight_kg"]
LINE = ["transaction_id", "item_id", "quantity", "unit_price", "unit_weight_kg", "discount"]

_HEADS = ["Ar", "Bel", "Cor", "Dun", "El", "Fer", "Gil", "Hol", "Is", "Jor"]
_MAKERS = [head + tail for head in _HEADS for tail in ("don", "mark", "vex", "ton")]
_LOOKS = ["plain", "oak", "steel", "blue", "folding", "travel", "tall", "low", "quiet", "bright", "soft", "heavy"]
_KINDS = ["kettle", "lamp", "chair", "desk", "radio", "bottle", "blanket", "torch", "mirror", "clock", "basket"]


class Made(msgspec.Struct):
    """How many rows were made of each."""

    manufacturers: int
    items: int
    members: int
    transactions: int
    lines: int


def generate(
    connection: Connection,
    lines: int,
    items: int,
    members: int,
    seed: int,
    progress: Callable[[int], object] = lambda count: None,
) -> Made:
    """Fill an empty shop with about `lines` lines, all or nothing; `progress` gets the lines copied since it was last
    called.

    Members are those that are there, and made-up ones up to `members`. Raises DataError when the shop has items or
    sales already.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from sales.item), exists (select from sales.sales_transaction)")
        if any(cursor.fetchone() or ()):
            raise DataError("the shop has items or sales already", hint="Generate into an empty database.")
        manufacturers = _manufacturers(cursor)
        shelf = _items(cursor, rng, items, manufacturers)
        made_up = _members(cursor, rng, members)
        cursor.execute("select array_agg(member_id order by member_id) from sales.member")
        buyers = np.array((cursor.fetchone() or [None])[0] or [], dtype=np.int64)
        if not len(buyers):
            raise DataError("there is nobody to sell to", hint="Load members first, or ask for some: --members 1000.")
        with bulk.loading(cursor):
            transactions, written = _sales(cursor, rng, lines, buyers, shelf, progress)
            bulk.check_totals(cursor)
    connection.commit()
    bulk.settle(connection)
    return Made(len(manufacturers), items, made_up, transactions, written)


def _manufacturers(cursor: Cursor) -> list[int]:
    """Ids of the manufacturers made."""
    cursor.execute("insert into sales.manufacturer (name) select unnest(%s) on conflict do nothing", [_MAKERS])
    cursor.execute("select manufacturer_id from sales.manufacturer where name = any (%s) order by name", [_MAKERS])
    return [number for (number,) in cursor.fetchall()]


def _items(cursor: Cursor, rng: np.random.Generator, count: int, manufacturers: list[int]) -> list[Ints]:
    """Ids, cents and grams of the items made, the best sold first."""
    ids = np.arange(1, count + 1)
    cents = np.maximum(np.rint(np.exp(rng.normal(7.6, 1.0, count))), 50).astype(np.int64)
    grams = np.maximum(np.rint(np.exp(rng.normal(6.5, 1.2, count))), 5).astype(np.int64)
    rows = (
        (
            number,
            manufacturers[number % len(manufacturers)],
            f"{_LOOKS[number % len(_LOOKS)]} {_KINDS[number // len(_LOOKS) % len(_KINDS)]} {number}",
            f"{cents[number - 1] / 100:.2f}",
            f"{grams[number - 1] / 1000:.3f}",
        )
        for number in ids.tolist()
    )
    copy_rows(cursor, "sales.item", ["item_id", "manufacturer_id", "name", "cost", "weight_kg"], rows)
    cursor.execute("select setval(pg_get_serial_sequence('sales.item', 'item_id'), max(item_id)) from sales.item")
    order = rng.permutation(count)
    return [ids[order], cents[order], grams[order]]


def _members(cursor: Cursor, rng: np.random.Generator, wanted: int) -> int:
    cursor.execute("select count(*) from sales.member")
    missing = max(wanted - (cursor.fetchone() or (0,))[0], 0)
    births = rng.integers(0, 365 * 50, missing).tolist()
    columns = ["membership_id", "first_name", "last_name", "date_of_birth", "mobile_no", "email"]

    def rows() -> Iterator[list[str]]:
        for number, birth in enumerate(births):
            born = date.fromordinal(date(1950, 1, 1).toordinal() + birth)
            digest = hashlib.sha256(f"{born:%Y%m%d}".encode()).hexdigest()
            last = f"{_MAKERS[number % len(_MAKERS)]}sen"
            email = f"member{number}@shop.example.com"
            yield [f"{last}_{digest[:5]}", "Robin", last, str(born), f"{number % 10**8:08}", email]

    return copy_rows(cursor, "sales.member", columns, rows())


def _sales(
    cursor: Cursor,
    rng: np.random.Generator,
    wanted: int,
    buyers: Ints,
    shelf: list[Ints],
    progress: Callable[[int], object],
) -> tuple[int, int]:
    item_share = np.cumsum(1 / np.arange(1, len(shelf[0]) + 1) ** 0.8)
    buyer_share = np.cumsum(rng.permutation(rng.pareto(1.6, len(buyers)) + 0.05))
    transactions = written = 0
    while written < wanted:
        count = max(min(CHUNK, round((wanted - written) / LINES_PER_TRANSACTION)), 1)
        ids = np.arange(transactions + 1, transactions + count + 1)
        sizes = np.minimum(rng.geometric(1 / LINES_PER_TRANSACTION, count), len(shelf[0]))
        # One line for each item of a transaction: an item drawn twice stands once.
        drawn = np.searchsorted(item_share, rng.random(sizes.sum()) * item_share[-1])
        cells = np.unique(np.repeat(np.arange(count), sizes) * len(shelf[0]) + drawn)
        at, item = cells // len(shelf[0]), cells % len(shelf[0])
        bought_by = buyers[np.searchsorted(buyer_share, rng.random(count) * buyer_share[-1])]
        seconds = _moments(rng, count)
        quantity = np.minimum(rng.geometric(0.7, len(cells)), 20)
        inflation = 85 + 15 * (seconds[at] - seconds.min()) // (DAYS * 86400)
        unit_cents = np.maximum(shelf[1][item] * inflation // 100, 1)
        percent = np.where(rng.random(len(cells)) < 0.1, rng.choice([5, 10, 15, 20, 25], len(cells)), 0)
        cents = (unit_cents * quantity * (100 - percent) + 50) // 100  # half a cent goes up, as numeric's round has it
        grams = shelf[2][item] * quantity
        totals = [np.bincount(at, weights, count).astype(np.int64) for weights in (cents, grams)]
        status = rng.choice(len(STATUSES), count, p=STATUS_SHARES)
        _copy(
            cursor,
            "sales.sales_transaction",
            TRANSACTION,
            [ids, bought_by, _times(seconds), _words(STATUSES, status), _decimal(totals[0], 2), _decimal(totals[1], 3)],
        )
        line = [ids[at], shelf[0][item], quantity]
        exact = [_decimal(unit_cents, 2), _decimal(shelf[2][item], 3), _decimal(percent, 2)]
        _copy(cursor, "sales.sales_line", LINE, [*line, *exact])
        progress(len(cells))
        transactions, written = transactions + count, written + len(cells)
    return transactions, written


def _moments(rng: np.random.Generator, count: int) -> Ints:
    """Moments as seconds since 1970, more of them later, before Christmas and in the evening."""
    days = np.arange(DAYS)
    of_year = days % 365
    busy = (1 + days / DAYS) * (1 + (of_year > 320) * 0.8)
    day = np.searchsorted(np.cumsum(busy), rng.random(count) * busy.sum())
    hour = np.clip(rng.normal(18, 4, count), 0, 23.999)
    start = int(datetime(FIRST_DAY.year, 1, 1, tzinfo=UTC).timestamp())
    return np.asarray(start + day * 86400 + (hour * 3600).astype(np.int64), dtype=np.int64)


def _copy(cursor: Cursor, table: str, columns: list[str], values: list[Any]) -> None:
    import pyarrow as pa
    from pyarrow import csv

    buffer = io.BytesIO()
    csv.write_csv(pa.table(dict(zip(columns, values, strict=True))), buffer)
    buffer.seek(0)
    copy_csv(cursor, table, columns, buffer)


def _decimal(scaled: Ints, scale: int) -> Any:
    """Whole cents or grams as exact decimals: 128-bit numbers whose upper half is empty."""
    import pyarrow as pa

    wide = np.zeros((len(scaled), 2), dtype="<i8")
    wide[:, 0] = scaled
    return pa.Array.from_buffers(pa.decimal128(18, scale), len(scaled), [None, pa.py_buffer(wide)])


def _times(seconds: Ints) -> Any:
    import pyarrow as pa

    return pa.array(seconds.astype("datetime64[s]"), pa.timestamp("s", "UTC"))


def _words(words: list[str], index: Ints) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(words)).dictionary_decode()
