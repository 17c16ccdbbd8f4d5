"""The bill adds up, grows with the load, and every price has its source."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.errors import ConfigError
from section3 import cost, settings, simulate, storage
from section3.settings import Price

WORKLOAD, PRICES = settings.workload(), settings.prices()
TIERS = Price(price=[(100.0, 3.0), (300.0, 2.0), (None, 1.0)], source="https://example.com/")


@pytest.fixture(scope="module")
def small() -> simulate.Result:
    return simulate.stack(WORKLOAD, 10.0)


def test_a_price_by_volume_is_paid_tier_by_tier() -> None:
    assert [TIERS.of(units) for units in (0, 50, 100, 200, 300, 400)] == [0, 150, 300, 500, 700, 800]


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_units_cost_more_and_never_more_for_each(units: float, more: float) -> None:
    assert TIERS.of(units) <= TIERS.of(units + more) <= TIERS.of(units) + TIERS.of(more) + 1e-6


def test_the_bill_uses_every_price_once_it_is_listed(small: simulate.Result) -> None:
    lines = cost.bill(WORKLOAD, PRICES, small, storage.stored(WORKLOAD, 10.0), 1)
    assert {line.price for line in lines} == set(PRICES.prices)
    assert all(line.usd > 0 for line in lines)


def test_some_lines_by_hand(small: simulate.Result) -> None:
    lines = cost.bill(WORKLOAD, PRICES, small, storage.stored(WORKLOAD, 10.0), 1)
    of = {(line.component, line.price): line.usd for line in lines}
    images = 10 * 3600 * 730
    assert of["Images bucket", "s3_put"] == pytest.approx(2 * images * 5e-6)
    assert of["Catalogue", "dynamodb_write"] == pytest.approx(2 * images * 0.625e-6)
    assert of["Image processor", "fargate_vcpu_hour_arm"] == pytest.approx(6 * 730 * 0.03238)
    assert of["Kafka stream", "msk_broker_hour"] == pytest.approx(3 * 730 * 0.204)


def test_a_hundred_cells_cost_at_most_a_hundred_times_one(small: simulate.Result) -> None:
    one = cost.bill(WORKLOAD, PRICES, small, storage.stored(WORKLOAD, 10.0), 1)
    many = cost.bill(WORKLOAD, PRICES, small.times(100), storage.stored(WORKLOAD, 1000.0), 100)
    for alone, together in zip(one, many, strict=True):
        assert together.units == pytest.approx(100 * alone.units, rel=1e-6) or alone.price == "athena_tb"
        assert together.usd <= 100 * alone.usd * (1 + 1e-9)


@given(st.floats(1, 1000))
def test_brokers_stand_in_three_zones_and_hold_a_day(rate: float) -> None:
    brokers = cost.brokers(WORKLOAD, rate)
    assert brokers.count % 3 == 0
    day = rate * WORKLOAD.stream_share * WORKLOAD.image.mean_bytes * 86_400 * 3
    assert brokers.count * brokers.gigabytes * 1e9 > day


def test_a_missing_price_is_named(small: simulate.Result) -> None:
    prices = {name: price for name, price in PRICES.prices.items() if name != "s3_put"}
    with pytest.raises(ConfigError, match="there is no price `s3_put`"):
        cost.bill(WORKLOAD, msgspec.structs.replace(PRICES, prices=prices), small, storage.stored(WORKLOAD, 10.0), 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed: 20221101", "sede: 1", "unknown key `sede`"),
        ("chance: 0.005", "chance: 1.5", "Expected `float` < 1"),
        ("rates: [10, 1000, 100000]", "rates: [1500]", "1500 is no whole number of cells"),
        ("end: 210.0", "end: 2100.0", "the burst must begin"),
        ("warm_up: 60.0", "warm_up: 600.0", "the warm-up must be shorter"),
        ("rates: [10, 1000, 100000]", "rates: []", "Expected `array` of length >= 1"),
    ],
)
def test_a_wrong_workload_is_refused_with_its_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "workload.yaml"
    text = (settings.CONF / "section3_workload.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=says) as error:
        settings.workload(path)
    assert str(error.value).startswith(f"{path}:")


@pytest.mark.parametrize("tiers", ["[[10, 1.0]]", "[[null, 1.0], [10, 0.5]]", "[[20, 1.0], [10, 0.5], [null, 0.1]]"])
def test_wrong_tiers_are_refused_with_their_line(tiers: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        f'as_of: "x"\nregion: y\ncopies: {{}}\nprices:\n  a: {{price: {tiers}, source: "https://example.com/"}}\n'
    )
    with pytest.raises(ConfigError, match="volumes must rise") as error:
        settings.prices(path)
    assert f"{path}:5" in str(error.value)


def test_a_check_against_an_unknown_copy_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text((settings.CONF / "prices.yaml").read_text().replace("infracost 2024-11", "infracosts 2024-11", 1))
    with pytest.raises(ConfigError, match="`infracosts` is not among the copies") as error:
        settings.prices(path)
    assert str(error.value).startswith(f"{path}:") and "infracost" in str(error.value.hint)


def test_every_copy_was_used() -> None:
    used = {price.checked.split()[0] for price in PRICES.prices.values() if price.checked}
    assert used == PRICES.copies.keys()
