"""The simulation agrees with queueing theory where a formula exists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from section3 import simulate
from section3.settings import Seconds
from section3.simulate import Floats


def erlang_c(load: float, tasks: int) -> float:
    """The share of images that wait in an M/M/c queue (Erlang, 1917); `load` is rate times service time."""
    blocked = 1.0
    for task in range(1, tasks + 1):
        blocked = load * blocked / (task + load * blocked)
    return blocked / (1 - load / tasks * (1 - blocked))


def waiting(rate: float, services: Floats, tasks: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    visible = np.cumsum(random.exponential(1 / rate, len(services)))
    return simulate.waits(visible, services, tasks)[len(services) // 10 :]


@pytest.mark.parametrize(("rate", "service", "tasks"), [(8.0, 0.1, 1), (70.0, 0.1, 8), (170.0, 0.1, 20)])
def test_images_wait_as_in_an_m_m_c_queue(rate: float, service: float, tasks: int) -> None:
    services = np.random.default_rng(1).exponential(service, 60_000)
    waits = waiting(rate, services, tasks, seed=2)
    share = erlang_c(rate * service, tasks)
    assert np.mean(waits > 1e-12) == pytest.approx(share, abs=0.03)
    assert np.mean(waits) == pytest.approx(share * service / (tasks - rate * service), rel=0.12)


@pytest.mark.parametrize("variation", [0.3, 0.6, 1.0])
def test_images_wait_as_in_an_m_g_1_queue(variation: float) -> None:
    """Pollaczek and Khinchine: the mean wait of one task follows from the service time's first two moments."""
    rate, mean = 7.0, 0.1
    services = simulate.log_normal(np.random.default_rng(3), Seconds(mean=mean, variation=variation), 80_000)
    expected = rate * mean**2 * (1 + variation**2) / (2 * (1 - rate * mean))
    assert np.mean(waiting(rate, services, 1, seed=4)) == pytest.approx(expected, rel=0.12)


def test_the_number_in_the_system_follows_littles_law() -> None:
    rate, random = 50.0, np.random.default_rng(5)
    services = random.exponential(0.1, 50_000)
    visible = np.cumsum(random.exponential(1 / rate, len(services)))
    waits = simulate.waits(visible, services, 6)
    leaves = visible + waits + services
    moments = np.linspace(visible[5_000], visible[-1], 20_000)
    present = np.searchsorted(visible, moments) - np.searchsorted(np.sort(leaves), moments)
    assert np.mean(present) == pytest.approx(rate * np.mean(waits + services), rel=0.03)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 3)), min_size=1, max_size=40),
    st.integers(min_value=1, max_value=5),
)
@settings(max_examples=100, deadline=None)
def test_first_come_first_served_as_by_hand(images: list[tuple[float, float]], tasks: int) -> None:
    visible = np.cumsum([gap for gap, _ in images])
    services = np.array([service for _, service in images])
    free = [0.0] * tasks
    expected = []
    for arrives, service in zip(visible, services, strict=True):
        begins = max(arrives, min(free))
        free[free.index(min(free))] = begins + service
        expected.append(begins - arrives)
    assert simulate.waits(visible, services, tasks) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("variation", [0.3, 1.0, 2.0])
def test_log_normal_times_have_the_mean_and_variation_that_were_asked_for(variation: float) -> None:
    times = simulate.log_normal(np.random.default_rng(6), Seconds(mean=0.4, variation=variation), 200_000)
    assert np.mean(times) == pytest.approx(0.4, rel=0.02)
    assert np.std(times) / np.mean(times) == pytest.approx(variation, rel=0.06)
    assert math.isfinite(times.max())
