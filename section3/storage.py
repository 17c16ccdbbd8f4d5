"""What lies in the object store and the catalogue under the retention rule, hour by hour."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from section3.settings import Workload

HOURS = 24


class Stored(msgspec.Struct, frozen=True):
    """A stack in its steady state; `kept_days` is the time from upload to deletion, averaged over uploads."""

    rate: float
    images: float
    images_peak: float
    bytes: float
    items: float
    kept_days: float
    kept_days_most: float


def stored(workload: Workload, rate: float) -> Stored:
    """Steady state at an average rate in images a second.

    The object store's rule deletes at the first midnight (UTC) after an object is `days` old, and lags; the catalogue
    deletes an item `days` after the upload, and lags. (S3 user guide, "Expiring objects"; DynamoDB guide, "TTL".)
    """
    retention = workload.retention
    lag = math.ceil(retention.delete_lag_hours)
    days = retention.days + 4 + math.ceil(max(lag, retention.ttl_lag_hours) / HOURS)
    hour = np.arange(days * HOURS)
    swing = workload.daily_peak - 1  # a day is a cosine around the average, busiest at noon
    uploads = rate * 3600 * (1 - swing * np.cos(2 * np.pi * (hour + 0.5) / HOURS))
    due = np.ceil((hour + 1 + retention.days * HOURS) / HOURS).astype(int) * HOURS + lag
    objects = _present(uploads, due, len(hour))
    items = _present(uploads, hour + retention.days * HOURS + round(retention.ttl_lag_hours), len(hour))
    last = objects[-HOURS:]
    kept = (due[:HOURS] - hour[:HOURS] - 0.5) / HOURS
    size = workload.image.mean_bytes + workload.image.processed_bytes
    return Stored(
        rate=rate,
        images=float(last.mean()),
        images_peak=float(last.max()),
        bytes=float(last.mean() * size),
        items=float(items[-HOURS:].mean()),
        kept_days=float(np.average(kept, weights=uploads[:HOURS])),
        kept_days_most=float(kept.max() + 0.5 / HOURS),
    )


def _present(uploads: np.ndarray, gone: np.ndarray, hours: int) -> np.ndarray:
    """How many are there at the end of each hour, when those of an hour are gone from another hour on."""
    change = uploads.copy()
    in_time = gone < hours
    np.subtract.at(change, gone[in_time], uploads[in_time])
    return np.cumsum(change)
