"""What all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

for name in ("SECTION1_SCHEDULE", "SECTION1_MASTER"):  # the container's, where the tests run in it
    os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for; say which tests stay together where two processes run them.

    Those are the tests of a file, as they share its fixtures, all that share a Spark session, and all that start
    machines of their own, containers or a cluster: two clusters at once would starve each other. They mostly wait, so
    they come first, beside those with Spark.
    """
    groups = ("machines", "spark")

    def group(item: pytest.Item) -> str:
        if item.get_closest_marker("container") or item.get_closest_marker("cluster"):
            return "machines"
        return "spark" if item.get_closest_marker("spark") else str(item.path)

    items.sort(key=lambda item: (*groups, group(item)).index(group(item)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
        if (item.get_closest_marker("full") or item.get_closest_marker("container")) and not os.environ.get(
            "FULL_TESTS"
        ):
            item.add_marker(pytest.mark.skip(reason="takes long; FULL_TESTS=1 runs it"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """One Spark session for all tests of a process: the engine takes the active one."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    from section1 import settings, spark_session

    with spark_session.session(settings.load("section1_process.yaml", []).settings) as session:
        yield session
