"""What all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

for name in ("SECTION1_SCHEDULE", "SECTION1_MASTER"):  # the container's, where the tests run in it
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for."""
    if os.environ.get("FULL_TESTS"):
        return
    for item in items:
        if item.get_closest_marker("full") or item.get_closest_marker("container"):
            item.add_marker(pytest.mark.skip(reason="takes long; FULL_TESTS=1 runs it"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """One Spark session for all tests of a process: the engine takes the active one."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    from section1 import settings, spark_session

    with spark_session.session(settings.load("section1_process.yaml", []).settings) as session:
        yield session
