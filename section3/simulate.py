"""A discrete-event simulation of uploads, queue, workers and retries, image by image (SimPy)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import simpy
from numpy.typing import NDArray

from section3.settings import Burst, Failure, Scaling, Seconds, Workload

Floats = NDArray[np.float64]
Steps = Generator[simpy.Event, Any, None]
"""A process of the simulation."""
PERCENTILES = (50, 95, 99)


class Result(msgspec.Struct, frozen=True):
    """What one stack did; seconds, images and tasks."""

    rate: float
    images: int
    latency: dict[str, float]
    wait: float
    backlog: int
    drained: float
    tasks_least: int
    tasks_most: int
    tasks_mean: float
    attempts: float
    dead: int
    unfinished: int
    quantiles: list[float]
    backlog_each_second: list[int]
    tasks_each_second: list[int]

    def times(self, cells: int) -> Result:
        """So many cells side by side. A Poisson stream that is split at random gives Poisson streams, so each cell is
        this one: times stay as they are, counts multiply."""
        change: dict[str, Any] = {name: getattr(self, name) * cells for name in COUNTS}
        return msgspec.structs.replace(self, **change)


COUNTS = ("rate", "images", "backlog", "tasks_least", "tasks_most", "tasks_mean", "dead", "unfinished")


@dataclass
class Pool:
    """Tasks that take images from a queue, one at a time."""

    env: simpy.Environment
    service: Iterator[float]
    chance: Iterator[float]
    wanted: int
    failure: Failure
    waiting: deque[tuple[int, float, int]] = field(default_factory=deque)
    busy: int = 0
    down: int = 0
    killed: int = 0
    attempts: int = 0
    dead: int = 0
    most: int = 0
    finished: dict[int, float] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """How many work: those that died are replaced after a while."""
        return self.wanted - self.down

    def put(self, image: int, tries: int = 0) -> None:
        """An image's message becomes visible."""
        self.waiting.append((image, self.env.now, tries))
        self.work()

    def work(self) -> None:
        """Every free task takes a message."""
        while self.waiting and self.busy < self.tasks:
            image, since, tries = self.waiting.popleft()
            self.busy += 1
            self.attempts += 1
            self.waited.setdefault(image, self.env.now - since)
            done = self.env.timeout(next(self.service), (image, tries + 1))
            done.callbacks.append(self.done)
        self.most = max(self.most, len(self.waiting))

    def done(self, event: Any) -> None:
        """An attempt ends: well, or its message comes back later, or it goes to the dead letters."""
        image, tries = event.value
        self.busy -= 1
        lost = self.killed > 0
        if lost:
            self.killed -= 1
        if not lost and next(self.chance) >= self.failure.chance:
            self.finished[image] = self.env.now
        elif tries >= self.failure.tries:
            self.dead += 1
        else:
            again = self.env.timeout(self.failure.visible_again, (image, tries))
            again.callbacks.append(lambda event: self.put(*event.value))
        self.work()


def chunks(draw: Callable[[int], Floats]) -> Iterator[float]:
    """Random numbers one at a time, drawn many at a time."""
    while True:
        yield from draw(1 << 14).tolist()


def log_normal(random: np.random.Generator, seconds: Seconds, size: int) -> Floats:
    """Times with this mean and variation."""
    sigma = math.sqrt(math.log(1 + seconds.variation**2))
    return random.lognormal(math.log(seconds.mean) - sigma**2 / 2, sigma, size)


def arrivals(random: np.random.Generator, rate: float, seconds: float, burst: Burst | None = None) -> Floats:
    """Times of a Poisson process, exact also where the rate changes: a unit process on the expected count."""
    steps = [0.0, seconds] if burst is None else [0.0, burst.start, burst.end, seconds]
    rates = [rate] if burst is None else [rate, rate * burst.factor, rate]
    expected = np.concatenate([[0.0], np.cumsum(np.diff(steps) * rates)])
    count = int(expected[-1] + 10 * math.sqrt(expected[-1]) + 100)
    unit = np.cumsum(random.exponential(size=count))
    times: Floats = np.interp(unit[unit < expected[-1]], expected, steps)
    return times


def feed(env: simpy.Environment, pool: Pool, visible: Floats) -> Steps:
    """Messages become visible at these times; an image's number is its place in them."""
    for image in np.argsort(visible, kind="stable").tolist():
        yield env.timeout(max(0.0, visible[image] - env.now))
        pool.put(image)


def scale(env: simpy.Environment, pool: Pool, scaling: Scaling, least: int) -> Steps:
    """Target tracking on the backlog for each task, as AWS does it: out in proportion, in to the least when idle."""
    most = math.ceil(least * scaling.most)
    while True:
        yield env.timeout(scaling.every)
        lag = len(pool.waiting) / pool.tasks / scaling.backlog_per_task
        wanted = min(most, math.ceil(pool.wanted * lag)) if lag > 1 else pool.wanted
        if wanted > pool.wanted:
            yield env.timeout(scaling.start)
            pool.wanted = wanted
            pool.work()
        elif not pool.waiting and pool.tasks > least:
            pool.wanted = max(least + pool.down, math.floor(pool.wanted * 0.9))


def crash(env: simpy.Environment, pool: Pool, random: np.random.Generator, start: float) -> Steps:
    """Tasks die; what they had in work comes back like a failure, and another task starts."""
    while pool.failure.crashes_per_task_hour:
        yield env.timeout(random.exponential(3600 / (pool.failure.crashes_per_task_hour * pool.tasks)))
        if pool.tasks > 1:
            pool.down += 1
            pool.killed += pool.busy > pool.killed
            replaced = env.timeout(start)
            replaced.callbacks.append(lambda _: _replace(pool))


def _replace(pool: Pool) -> None:
    pool.down -= 1
    pool.work()


def least_tasks(workload: Workload, rate: float) -> int:
    """Tasks for the average rate at the wished utilisation; a failed attempt is work too."""
    load = rate * workload.processing.mean / (1 - workload.failure.chance)
    return max(2, math.ceil(load / workload.scaling.utilisation))


def stack(workload: Workload, rate: float, seed: int = 0, began: Floats | None = None) -> Result:
    """Simulate one stack at an average rate; with `began`, for uploads that begin at these times in seconds.

    A latency runs from an upload's first byte until the image is in the catalogue.
    """
    random = np.random.default_rng([workload.seed, seed])
    horizon, scaling = workload.horizon, workload.scaling
    if began is None:
        began = arrivals(random, rate, horizon.seconds, workload.burst)
    visible = began + log_normal(random, workload.upload, len(began)) + log_normal(random, workload.event, len(began))
    env = simpy.Environment()
    least = least_tasks(workload, rate)
    service = chunks(lambda size: log_normal(random, workload.processing, size))
    pool = Pool(env, service, chunks(random.random), least, workload.failure)
    seen: list[tuple[int, int]] = []
    env.process(watch(env, pool, seen))
    env.process(feed(env, pool, visible))
    env.process(scale(env, pool, scaling, least))
    env.process(crash(env, pool, random, scaling.start))
    env.run(until=horizon.seconds)
    return measure(workload, rate, pool, began, seen, least)


def measure(
    workload: Workload, rate: float, pool: Pool, began: Floats, seen: list[tuple[int, int]], least: int
) -> Result:
    """The figures of a simulated stretch, without its warm-up."""
    done = np.fromiter(pool.finished, dtype=np.int64)
    counted = began[done] >= workload.horizon.warm_up
    latency = (np.fromiter(pool.finished.values(), dtype=np.float64) - began[done])[counted]
    waits = [wait for image, wait in pool.waited.items() if began[image] >= workload.horizon.warm_up]
    backlog, tasks = ([row[column] for row in seen] for column in (0, 1))
    after = [second for second, row in enumerate(seen) if second > workload.burst.end and row[0] <= row[1]]
    end = workload.horizon.seconds
    return Result(
        rate=rate,
        images=len(began),
        latency={f"p{p}": float(np.percentile(latency, p)) for p in PERCENTILES} | {"max": float(latency.max())},
        wait=float(np.mean(waits)),
        backlog=pool.most,
        drained=(min(after) if after else end) - workload.burst.end,
        tasks_least=least,
        tasks_most=max(tasks),
        tasks_mean=float(np.mean(tasks)),
        attempts=pool.attempts / max(1, len(pool.finished) + pool.dead),
        dead=pool.dead,
        unfinished=len(began) - len(pool.finished) - pool.dead,
        quantiles=[float(value) for value in np.percentile(latency, np.arange(101))],
        backlog_each_second=backlog,
        tasks_each_second=tasks,
    )


def watch(env: simpy.Environment, pool: Pool, seen: list[tuple[int, int]]) -> Steps:
    """The backlog and the tasks, once a second."""
    while True:
        seen.append((len(pool.waiting), pool.tasks))
        yield env.timeout(1.0)


def waits(visible: Floats, services: Floats, tasks: int) -> Floats:
    """Seconds that each image waits for one of so many tasks, without failures: what queueing formulas speak of."""
    env = simpy.Environment()
    failure = Failure(chance=0.0, tries=1, visible_again=1.0, crashes_per_task_hour=0.0)
    pool = Pool(env, iter(services.tolist()), iter(lambda: 1.0, None), tasks, failure)
    env.process(feed(env, pool, visible))
    env.run()
    return np.array([pool.waited[image] for image in range(len(visible))])
