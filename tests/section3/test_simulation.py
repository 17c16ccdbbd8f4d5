"""Nothing is lost in the simulation, failures and bursts do what they should, and cells may be scaled."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from section3 import settings, simulate, storage
from section3.settings import Workload

WORKLOAD = settings.workload()
replace = msgspec.structs.replace


def quiet(**failure: Any) -> Workload:
    """The workload without failures, but for these."""
    none = replace(WORKLOAD.failure, **({"chance": 0.0, "crashes_per_task_hour": 0.0} | failure))
    return replace(WORKLOAD, failure=none)


@given(
    st.integers(0, 1000),
    st.floats(1, 5),
    st.floats(0, 0.6),
    st.integers(1, 4),
    st.floats(0, 60),
)
@hypothesis_settings(max_examples=15, deadline=None)
def test_every_image_is_finished_or_dead_or_on_its_way(
    seed: int, rate: float, chance: float, tries: int, crashes: float
) -> None:
    workload = quiet(chance=chance, tries=tries, crashes_per_task_hour=crashes)
    result = simulate.stack(workload, rate, seed)
    assert 0 <= result.unfinished <= result.images
    assert 0 <= result.dead <= result.images
    assert result.tasks_most <= result.tasks_least * workload.scaling.most


def test_the_same_seed_gives_the_same_figures_and_another_one_does_not() -> None:
    first = simulate.stack(WORKLOAD, 20.0, 1)
    assert simulate.stack(WORKLOAD, 20.0, 1) == first
    assert simulate.stack(WORKLOAD, 20.0, 2) != first


def test_attempts_and_dead_letters_follow_the_chance_of_failure() -> None:
    """Tries are geometric: an image needs 1 + p + p^2 + ... of them and dies with p^tries."""
    result = simulate.stack(quiet(chance=0.3, tries=2, visible_again=0.5), 100.0)
    over = result.images - result.unfinished
    assert result.attempts == pytest.approx(1.3, rel=0.02)
    assert result.dead / over == pytest.approx(0.09, rel=0.06)


def test_a_crash_costs_an_image_its_visibility_timeout() -> None:
    calm, crashing = (simulate.stack(quiet(crashes_per_task_hour=rate), 50.0) for rate in (0.0, 30.0))
    assert crashing.attempts > calm.attempts == pytest.approx(1.0, abs=0.01)
    assert crashing.latency["max"] > WORKLOAD.failure.visible_again > calm.latency["p99"]


def test_a_burst_is_drained_by_more_tasks() -> None:
    result = simulate.stack(WORKLOAD, 50.0)
    burst = WORKLOAD.burst
    before = result.backlog_each_second[int(burst.start) - 1]
    assert result.backlog > 20 * max(before, 1)
    assert result.tasks_most > result.tasks_least
    assert 0 <= result.drained < WORKLOAD.horizon.seconds - burst.end
    assert result.backlog_each_second[-1] < result.tasks_each_second[-1]


@given(st.integers(0, 100), st.floats(1, 200), st.floats(1.1, 5))
@hypothesis_settings(max_examples=30, deadline=None)
def test_arrivals_have_the_rate_and_the_burst(seed: int, rate: float, factor: float) -> None:
    burst = settings.Burst(start=100.0, end=200.0, factor=factor)
    times = simulate.arrivals(np.random.default_rng(seed), rate, 300.0, burst)
    assert np.all(np.diff(times) >= 0) and times.min() >= 0 and times.max() <= 300
    for begin, end, expected in ((0, 100, rate), (100, 200, rate * factor), (200, 300, rate)):
        count = np.count_nonzero((times >= begin) & (times < end))
        assert abs(count - 100 * expected) < 6 * np.sqrt(100 * expected) + 6


def test_cells_fed_from_one_stream_are_what_one_cell_is() -> None:
    """The rule behind 100,000 a second, where both sides can be run: four cells of 60 a second."""
    random = np.random.default_rng(7)
    began = simulate.arrivals(random, 4 * 60.0, WORKLOAD.horizon.seconds, WORKLOAD.burst)
    to = random.integers(4, size=len(began))
    routed = [simulate.stack(WORKLOAD, 60.0, cell, began[to == cell]) for cell in range(4)]
    scaled = simulate.stack(WORKLOAD, 60.0, 99).times(4)
    for name in ("p50", "p95", "p99"):
        assert np.mean([cell.latency[name] for cell in routed]) == pytest.approx(scaled.latency[name], rel=0.1)
    assert sum(cell.images for cell in routed) == pytest.approx(scaled.images, rel=0.02)
    assert sum(cell.backlog for cell in routed) == pytest.approx(scaled.backlog, rel=0.1)


def test_storage_is_the_rate_times_the_time_kept() -> None:
    """Little's law, with any daily swing."""
    stored = storage.stored(WORKLOAD, 10.0)
    assert stored.images == pytest.approx(10 * 86_400 * stored.kept_days, rel=0.01)
    assert stored.items == pytest.approx(10 * 86_400 * (7 + 2), rel=0.01)
    assert 7 < stored.kept_days < stored.kept_days_most <= 8 + WORKLOAD.retention.delete_lag_hours / 24
    assert stored.images_peak > stored.images


def test_storage_does_not_depend_on_how_the_day_swings() -> None:
    flat = storage.stored(replace(WORKLOAD, daily_peak=1.0), 10.0)
    assert storage.stored(WORKLOAD, 10.0).images == pytest.approx(flat.images, rel=0.01)
