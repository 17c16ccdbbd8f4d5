"""The questions: right answers with ties, statuses and discounts, in every format and for every role that asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batch.errors import ConfigError
from batch.postgres import Database
from section2 import query, settings

Sql = Callable[..., list[tuple[Any, ...]]]


def ask(shop: Database, name: str, role: str = "analytics", **parameters: str) -> query.Answer:
    with settings.connected(shop, role) as connection:
        return query.ask(connection, query.find(name), parameters)


def column(answer: query.Answer, name: str) -> list[Any]:
    return [row[answer.columns.index(name)] for row in answer.rows]


@pytest.fixture
def busy(sale: Sql) -> Sql:
    """Twelve more members; member n > 1 bought n pins (11 and 12 both 10) and one pot, in a transaction that counts."""
    sale(
        "insert into member (membership_id, first_name, last_name, date_of_birth, mobile_no, email)"
        " select 'Doe_2b72a', 'M', 'N' || n, '1980-01-01', '01234567', 'm' || n || '@x.com'"
        " from generate_series(2, 13) n"
    )
    sale(
        "insert into sales_transaction (transaction_id, member_id, occurred_at, status)"
        " select 100 + n, n, '2022-01-31 23:00-02', (array['paid', 'delivering', 'complete'])[n % 3 + 1]"
        " from generate_series(2, 13) n"
    )
    sale(
        "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
        " select 100 + n, 1, case when n in (4, 5) then 4 else n end, 0.10, 0.001 from generate_series(2, 13) n"
    )
    return sale


def test_the_tenth_place_is_shared_with_all_who_tie(shop: Database, busy: Sql) -> None:
    answer = ask(shop, "top10")
    assert column(answer, "member_id") == [13, 12, 11, 10, 9, 8, 7, 6, 4, 5, 3][:10]
    busy("update sales_line set quantity = 4 where transaction_id = 106")  # 6 now ties with 4 and 5: places 8, 8, 8
    answer = ask(shop, "top10")
    assert column(answer, "place") == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]
    busy("update sales_line set quantity = 4 where transaction_id in (102, 103)")
    answer = ask(shop, "top10")
    assert column(answer, "place") == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]
    assert column(answer, "spent")[-1] == Decimal("0.40")


def test_only_statuses_that_count_count(shop: Database, busy: Sql) -> None:
    busy("update sales_transaction set status = 'cancelled' where member_id = 13")
    busy("update sales_transaction set status = 'pending' where member_id = 12")
    assert 13 not in column(ask(shop, "top10"), "member_id")
    assert 12 not in column(ask(shop, "top10"), "member_id")
    assert column(ask(shop, "top3"), "transactions") == [10, 10]
    busy("update transaction_status set counts_as_sale = true where status = 'pending'")
    assert column(ask(shop, "top10"), "member_id")[0] == 12
    assert column(ask(shop, "top3"), "transactions") == [11, 11]


def test_both_readings_of_most_and_their_ties(shop: Database, busy: Sql) -> None:
    busy(
        "insert into item (manufacturer_id, name, cost, weight_kg)"
        " select 1, 'i' || n, 1, 1 from generate_series(3, 6) n"
    )
    busy(
        "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
        " select 1, item_id, case item_id when 2 then 500 else 2 end, 1, 1 from item where item_id >= 2"
    )
    answer = ask(shop, "top3")
    shown = [(reading, place, item) for reading, place, item, *_ in answer.rows]
    assert shown[:2] == [("units", 1, "pot"), ("units", 2, "pin")]
    assert [place for reading, place, _ in shown if reading == "units"] == [1, 2, 3, 3, 3, 3]
    assert ("transactions", 1, "pin") in shown
    assert [place for reading, place, _ in shown if reading == "transactions"] == [1, 2, 2, 2, 2, 2]


def test_names_are_shown_to_those_who_may_see_them(shop: Database, busy: Sql) -> None:
    assert column(ask(shop, "top10", role="owner"), "member")[0] == "M N13"
    assert column(ask(shop, "top10", role="analytics"), "member")[0] == "member 13"


def test_revenue_by_month_is_of_the_month_in_utc_and_counts_discounts(shop: Database, busy: Sql) -> None:
    busy(
        "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg, discount)"
        " values (1, 2, 1, 12.34, 2, 0.5)"
    )
    answer = ask(shop, "revenue_by_month_and_manufacturer")
    assert [(str(row[0]), row[1], row[2], row[3]) for row in answer.rows] == [
        ("2022-02-01", "Acme", 89, Decimal("8.90")),
        ("2022-03-01", "Acme", 1, Decimal("6.17")),
    ]


def test_repeat_purchases_and_basket_size(shop: Database, busy: Sql) -> None:
    busy("insert into sales_transaction (member_id, occurred_at, status) values (2, '2022-02-11 01:00+00', 'paid')")
    (row,) = ask(shop, "repeat_purchase_rate").rows
    assert row == (13, 1, Decimal("7.7"), Decimal("10.0"))
    (row,) = ask(shop, "basket_size").rows
    assert row[:4] == (2022, 12, Decimal("1.00"), Decimal("7.42"))


def test_the_cost_of_a_transaction_takes_its_number(shop: Database, busy: Sql) -> None:
    (row,) = ask(shop, "transaction_cost", role="logistics", transaction_id="103").rows
    assert row[2:9] == ("pin", 3, Decimal("0.10"), Decimal("0"), Decimal("0.30"), Decimal("0.30"), Decimal("0.003"))
    with pytest.raises(ConfigError, match=r"--set transaction_id="):
        ask(shop, "transaction_cost")
    with pytest.raises(ConfigError, match=r"takes no --set"):
        ask(shop, "top10", transaction_id="1")


def test_a_text_is_left_as_it_is(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text(
        "select 'a -- b', 'it''s :no', :word as \"c--:d\", 'it''s %' /* :none\n's */ -- :more"
    )
    with settings.connected(shop, "analytics") as connection:
        answer = query.ask(connection, tmp_path / "own.sql", {"word": "x"})
    assert answer.rows == [("a -- b", "it's :no", "x", "it's %")]
    assert answer.columns[2] == "c--:d"


def test_a_comment_has_no_parameters_and_a_cast_is_none(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text("-- Of :nobody, 100 %.\nselect :amount::integer % 7 as rest -- :more")
    with settings.connected(shop, "analytics") as connection:
        assert query.ask(connection, tmp_path / "own.sql", {"amount": "9"}).rows == [(2,)]


@pytest.mark.parametrize("name", list(query.questions()))
def test_every_question_may_be_asked_by_analytics_of_an_empty_shop(shop: Database, name: str) -> None:
    ask(shop, name, **({"transaction_id": "1"} if name == "transaction_cost" else {}))


def test_an_unknown_question_is_answered_with_a_suggestion() -> None:
    with pytest.raises(ConfigError) as refused:
        query.find("basket_sise")
    assert "Did you mean `basket_size`" in str(refused.value)
    with pytest.raises(ConfigError):
        query.find("top")  # two begin so


def test_formats_hold_the_same_values() -> None:
    answer = query.Answer(["item", "revenue"], [("a,b", Decimal("1234.50")), (None, Decimal("-1"))])
    assert query.as_csv(answer) == 'item,revenue\n"a,b",1234.50\n,-1'
    assert json.loads(query.as_json(answer))[0] == {"item": "a,b", "revenue": "1234.50"}
    table = query.as_table(answer)
    assert "1,234.50" in table
    assert table.endswith("(2 rows)")
