"""What section3_workload.yaml and prices.yaml may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from batch import config
from batch.errors import ConfigError

ROOT = Path(__file__).parent.parent
CONF = ROOT / "section3" / "conf"
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping in the YAML; unknown keys are refused."""


class Image(Section, frozen=True):
    """Mean sizes in bytes."""

    mean_bytes: Positive
    processed_bytes: Positive
    metadata_bytes: Positive


class Seconds(Section, frozen=True):
    """A log-normal time: its mean in seconds and its standard deviation as a share of the mean."""

    mean: Positive
    variation: Positive


class Failure(Section, frozen=True):
    """How attempts fail, and what becomes of their messages."""

    chance: Share
    tries: Annotated[int, Meta(ge=1)]
    visible_again: Positive
    crashes_per_task_hour: Annotated[float, Meta(ge=0)]


class Scaling(Section, frozen=True):
    """How many tasks there are."""

    utilisation: Annotated[float, Meta(gt=0, lt=1)]
    most: Annotated[float, Meta(ge=1)]
    backlog_per_task: Positive
    every: Positive
    start: Positive


class Horizon(Section, frozen=True):
    """The simulated stretch in seconds; `warm_up` of it is not counted."""

    warm_up: Annotated[float, Meta(ge=0)]
    seconds: Positive


class Burst(Section, frozen=True):
    """Between two times the rate is `factor` times the average."""

    start: Annotated[float, Meta(ge=0)]
    end: Positive
    factor: Positive


class Check(Section, frozen=True):
    """So many cells of so many images a second, for a check of the scaling."""

    cells: Annotated[int, Meta(ge=2)]
    rate: Positive


class Retention(Section, frozen=True):
    """The promise, and by how much the services lag behind it."""

    days: Annotated[int, Meta(ge=1)]
    delete_lag_hours: Annotated[float, Meta(ge=0)]
    ttl_lag_hours: Annotated[float, Meta(ge=0)]


class Workload(Section, frozen=True):
    """The whole of section3_workload.yaml."""

    seed: int
    rates: Annotated[list[Positive], Meta(min_length=1)]
    cell_rate: Positive
    check: Check
    image: Image
    reads_per_image: Annotated[float, Meta(ge=0)]
    stream_share: Share
    upload: Seconds
    event: Seconds
    processing: Seconds
    failure: Failure
    scaling: Scaling
    horizon: Horizon
    burst: Burst
    retention: Retention
    daily_peak: Annotated[float, Meta(ge=1, le=2)]


Tier = tuple[float | None, float]


class Price(Section, frozen=True):
    """USD for a unit, or a list of (units a month up to which it holds, USD); where it was read; and which copy of the
    list says the same, as its name and month."""

    price: float | list[Tier]
    source: Annotated[str, Meta(pattern="^https://")]
    checked: Annotated[str, Meta(pattern=r"^\S+ \d{4}-\d\d$")] | None = None

    def of(self, units: float) -> float:
        """USD for so many units in a month."""
        if isinstance(self.price, float | int):
            return units * self.price
        total = begun = 0.0
        for end, price in self.price:
            part = (units if end is None else min(units, end)) - begun
            if part <= 0:
                break
            total += part * price
            begun += part
        return total


class Prices(Section, frozen=True):
    """The whole of prices.yaml."""

    as_of: str
    region: str
    copies: dict[str, Annotated[str, Meta(pattern="^https://")]]
    prices: dict[str, Price]


def workload(path: Path = CONF / "section3_workload.yaml") -> Workload:
    """Read the workload. Raises ConfigError with file:line."""
    document = config.read(path)
    found = config.convert(document, Workload)
    if not found.burst.start < found.burst.end <= found.horizon.seconds:
        raise ConfigError("the burst must begin, then end, within the horizon", where=document.where("burst"))
    if found.horizon.warm_up >= found.horizon.seconds:
        raise ConfigError("the warm-up must be shorter than the horizon", where=document.where("horizon"))
    for rate in found.rates:
        if rate > found.cell_rate and rate % found.cell_rate:
            hint = f"Above one cell a rate is a multiple of cell_rate ({found.cell_rate:g})."
            raise ConfigError(f"{rate:g} is no whole number of cells", where=document.where("rates"), hint=hint)
    return found


def prices(path: Path = CONF / "prices.yaml") -> Prices:
    """Read the price table. Raises ConfigError with file:line."""
    document = config.read(path)
    found = config.convert(document, Prices)
    for name, price in found.prices.items():
        ends = [end for end, _ in price.price] if isinstance(price.price, list) else [None]
        rising = [end for end in ends if end is not None]
        if ends[-1] is not None or None in ends[:-1] or rising != sorted(set(rising)):
            where = document.where("prices", name, "price")
            raise ConfigError("volumes must rise, and only the last has no end (null)", where=where)
        copy = price.checked.split()[0] if price.checked else None
        if copy and copy not in found.copies:
            where, hint = document.where("prices", name, "checked"), config.suggest(copy, found.copies)
            raise ConfigError(f"`{copy}` is not among the copies", where=where, hint=hint)
    return found
