"""Sales from files: all or nothing, every wrong record named."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_shop import DEFINITIONS
from test_totals import WRONG_ITEM_SALES, WRONG_MEMBER_SALES, WRONG_TOTALS

from batch.errors import DataError, InputError
from batch.postgres import Database
from section2 import sales, settings

Sql = Callable[..., list[tuple[Any, ...]]]
TRANSACTIONS = "transaction_id,email,occurred_at,status\n"
LINES = "transaction_id,item_id,quantity,unit_price,unit_weight_kg,discount\n"
GOOD_TRANSACTION = "7,ANN@example.com,2022-05-06T07:08:09Z,paid\n"
GOOD_LINE = "7,2,3,,,\n"


def load(shop: Database, folder: Path, transactions: str, lines: str, *, first: bool = False) -> tuple[int, int]:
    (folder / "transactions.csv").write_text(transactions)
    (folder / "lines.csv").write_text(lines)
    with settings.connected(shop, "owner" if first else "loader") as connection:
        return sales.load_sales(connection, folder / "transactions.csv", folder / "lines.csv", first=first)


def empty(sale: Sql, first: bool) -> None:
    """The first load needs a shop without transactions."""
    if first:
        sale("delete from sales_transaction")


@pytest.mark.parametrize("first", [False, True])
def test_a_sale_arrives_with_prices_of_today_or_its_own(shop: Database, sale: Sql, tmp_path: Path, first: bool) -> None:
    empty(sale, first)
    before = sale(DEFINITIONS)
    lines = LINES + GOOD_LINE + "7,1,10,0.08,0.002,0.5\n"
    assert load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION, lines, first=first) == (1, 2)
    assert sale(DEFINITIONS) == before
    for wrong in (WRONG_TOTALS, WRONG_ITEM_SALES, WRONG_MEMBER_SALES):
        assert sale(wrong) == []
    assert sale("select total_price, total_weight_kg, status from sales_transaction where transaction_id = 7") == [
        (Decimal("37.42"), Decimal("6.020"), "paid")  # 3 x 12.34 + 10 x 0.08 / 2
    ]
    assert sale("select item_id, units, revenue from item_sales order by item_id") == [
        (1, 10, Decimal("0.40")),
        (2, 3, Decimal("37.02")),
    ]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("transactions", "lines", "problem"),
    [
        (GOOD_TRANSACTION.replace("ANN", "Eve"), GOOD_LINE, "transactions.csv: line 2, transaction 7: unknown member"),
        (GOOD_TRANSACTION * 2, GOOD_LINE, "line 3, transaction 7: transaction given twice"),
        (GOOD_TRANSACTION.replace("paid", "shipped"), GOOD_LINE, "line 2, transaction 7: unknown status"),
        (GOOD_TRANSACTION.replace("2022", "1022"), GOOD_LINE, "line 2, transaction 7: no plausible time"),
        (GOOD_TRANSACTION.replace("7,", ",", 1), GOOD_LINE, "line 2, transaction None: no transaction_id"),
        (GOOD_TRANSACTION, "", "line 2, transaction 7: no lines"),
        (GOOD_TRANSACTION.replace("2022-05-06T07:08:09Z", "soon"), GOOD_LINE, "line 2, column occurred_at"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,99,1,,,\n", "lines.csv: line 3, transaction 7: unknown item"),
        (GOOD_TRANSACTION, GOOD_LINE + "8,1,1,,,\n", "line 3, transaction 8: unknown transaction"),
        (GOOD_TRANSACTION, GOOD_LINE * 2, "line 3, transaction 7: item given twice"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,-3,,,\n", "line 3, transaction 7: quantity"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,1,0.001,,\n", "line 3, transaction 7: unit_price"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,1,NaN,,\n", "line 3, transaction 7: unit_price"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,1,,0,\n", "line 3, transaction 7: unit_weight_kg"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,1,,,15\n", "line 3, transaction 7: discount"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1,many,,,\n", "line 3, column quantity"),
        (GOOD_TRANSACTION, GOOD_LINE + "7,1\n", "line 3"),
    ],
)
def test_a_wrong_record_is_named_and_nothing_is_loaded(
    shop: Database, sale: Sql, tmp_path: Path, transactions: str, lines: str, problem: str, first: bool
) -> None:
    empty(sale, first)
    before = sale("select count(*), sum(total_price) from sales_transaction"), sale(DEFINITIONS)
    with pytest.raises(DataError) as refused:
        load(shop, tmp_path, TRANSACTIONS + transactions, LINES + lines, first=first)
    assert problem in str(refused.value)
    assert (sale("select count(*), sum(total_price) from sales_transaction"), sale(DEFINITIONS)) == before
    assert sale("select count(*) from sales_line") == [(0,)]


def test_a_line_for_a_transaction_of_another_file_is_refused(shop: Database, sale: Sql, tmp_path: Path) -> None:
    """Transaction 1 is in the shop, and not in this file."""
    with pytest.raises(DataError, match="line 3, transaction 1: unknown transaction"):
        load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION, LINES + GOOD_LINE + "1,1,1,,,\n")
    assert sale("select count(*) from sales_line") == [(0,)]


def test_a_transaction_is_loaded_once(shop: Database, sale: Sql, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2, transaction 1: transaction loaded before"):
        load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION.replace("7,", "1,", 1), LINES + "1,1,1,,,\n")


def test_the_first_load_is_for_an_empty_shop(shop: Database, sale: Sql, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are sales already"):
        load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION, LINES + GOOD_LINE, first=True)


@pytest.mark.parametrize("first", [False, True])
def test_the_shops_own_numbers_go_on_above_the_files(shop: Database, sale: Sql, tmp_path: Path, first: bool) -> None:
    empty(sale, first)
    load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION, LINES + GOOD_LINE, first=first)
    for number in range(8, 12):
        insert = "insert into sales_transaction (member_id, occurred_at) values (1, now()) returning transaction_id"
        assert sale(insert, role="loader") == [(number,)]
    load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION.replace("7,", "5,", 1), LINES + GOOD_LINE.replace("7", "5", 1))
    assert sale(insert, role="loader") == [(12,)]


@pytest.mark.parametrize("content", [b"\xff\xfe7\x00", b"7,\x00,\n", b"\xef\xbb\xbf", b"PK\x03\x04"])
@pytest.mark.parametrize("header", [TRANSACTIONS.encode(), b""])
def test_a_file_that_is_no_csv_is_refused(
    shop: Database, sale: Sql, tmp_path: Path, header: bytes, content: bytes
) -> None:
    (tmp_path / "transactions.csv").write_bytes(header + content)
    (tmp_path / "lines.csv").write_text(LINES + GOOD_LINE)
    with settings.connected(shop, "loader") as connection, pytest.raises(DataError, match=r"transactions\.csv"):
        sales.load_sales(connection, tmp_path / "transactions.csv", tmp_path / "lines.csv")
    assert sale("select count(*) from sales_line") == [(0,)]


def test_many_wrong_records_are_counted(shop: Database, sale: Sql, tmp_path: Path) -> None:
    wrong = "".join(f"7,{item},1,,,\n" for item in range(100, 140))
    with pytest.raises(DataError, match="and 35 more"):
        load(shop, tmp_path, TRANSACTIONS + GOOD_TRANSACTION, LINES + wrong)


def test_a_missing_file_is_named(shop: Database, tmp_path: Path) -> None:
    with settings.connected(shop, "loader") as connection, pytest.raises(InputError, match=r"none\.csv"):
        sales.load_sales(connection, tmp_path / "none.csv", tmp_path / "none.csv")
