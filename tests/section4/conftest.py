"""A covid database for each test, an API that behaves as told, and settings that ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg2
import pytest
from covid_api import PATIENT, Api, Sql

from batch.postgres import Database, connect
from batch.postgres_migrations import migrate
from section4 import settings as section4
from section4.settings import Settings
from section4.sources import AnySource, Covid19Api


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated(postgres: Database) -> Database:
    """A database with the schema."""
    section4.create(postgres, "covid")
    database = msgspec.structs.replace(postgres, database="covid")
    with connect(database, "tests") as connection:
        migrate(connection, section4.MIGRATIONS)
    return database


@pytest.fixture
def covid(migrated: Database) -> Database:
    """The database without rows."""
    with connect(migrated, "tests") as connection:
        tables = "covid.country, covid.cases, covid.ingest, covid.revision"
        connection.cursor().execute(f"truncate {tables} restart identity")
        connection.commit()
    return migrated


@pytest.fixture
def sql(covid: Database) -> Sql:
    """Runs a statement: `sql("select ...", [values], role="grafana")`. psycopg2's errors come as they are."""

    def run(text: str, values: Sequence[object] | None = None, role: str = "postgres") -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(
            dbname=covid.database, host=covid.host, user=covid.user, options=f"-c role={role} -c timezone=UTC"
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    return run


@pytest.fixture
def configured(covid: Database) -> Callable[..., Settings]:
    """Settings for the test's database: `configured(source, ..., countries=["SG"])`."""

    def make(*sources: AnySource, countries: Sequence[str] = ("singapore",)) -> Settings:
        return Settings(
            database=covid,
            schedule="30 4 * * *",
            countries=list(countries),
            sources=list(sources),
            revision_days=7,
            settle_hours=6,
            secrets="secrets/section4",
            grafana="http://127.0.0.1:9",
        )

    return make


@pytest.fixture
def asking(api: Api, configured: Callable[..., Settings]) -> Settings:
    """Settings whose only source is the API, with little patience."""
    return configured(Covid19Api(base_url=api.url, limits=PATIENT))
