"""What section4_process.yaml may say, and the way from it to a connection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from batch import config, postgres
from batch.errors import ConfigError
from batch.postgres import Database
from section4 import countries as known
from section4.sources import AnySource

ROOT = Path(__file__).parent.parent
CONF = ROOT / "section4" / "conf"
MIGRATIONS = ROOT / "section4" / "migrations"
ROLES = ROOT / "section4" / "roles.sql"

# The environment has the last word on what differs between deployments of one YAML: the containers'.
HOST = "SECTION4_DATABASE_HOST"
SECRETS = "SECTION4_SECRETS"
SCHEDULE = "SECTION4_SCHEDULE"
GRAFANA = "SECTION4_GRAFANA_URL"
DASHBOARDS = "SECTION4_DASHBOARDS"
SALES = "SECTION4_SALES"

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole file. Folders are relative to the project.

    `dashboards` is where `load` puts Grafana's dashboards; `sales` adds section 2's.
    """

    database: Database
    embedded: str = ""
    output: str = ""
    schedule: Text
    countries: Annotated[list[Text], msgspec.Meta(min_length=1)]
    sources: Annotated[list[AnySource], msgspec.Meta(min_length=1)]
    revision_days: Annotated[int, msgspec.Meta(ge=1)]
    settle_hours: Annotated[float, msgspec.Meta(ge=0)]
    secrets: Text
    grafana: Text
    dashboards: str = ""
    sales: bool = False

    @property
    def period(self) -> int:
        """Seconds between two runs of the schedule, now."""
        from cronsim import CronSim

        runs = CronSim(self.schedule, datetime.now(UTC))
        return int(-(next(runs) - next(runs)).total_seconds())

    def chosen(self) -> list[known.Country]:
        """The countries, each once. Raises ConfigError for one that there is not."""
        return list(dict.fromkeys(known.find(name) for name in self.countries))


def load(name: str) -> Settings:
    """Read a YAML: a path, or a name in section4/conf. Raises ConfigError with file and line."""
    path = Path(name)
    if not path.exists():
        path = CONF / name
    if not path.exists():
        hint = config.suggest(name, [file.name for file in CONF.glob("*.yaml")])
        raise ConfigError(f"there is no such file, here or in {CONF}", where=name, hint=hint)
    document = config.read(path)
    settings = _deployed(config.convert(document, Settings))
    if bool(settings.embedded) == bool(settings.database.host):
        raise ConfigError("give `database.host` or `embedded`, and not both", where=document.where("embedded"))
    for number, country in enumerate(settings.countries):
        known.find(country, document.where("countries", str(number)))
    _check_schedule(settings.schedule, f"${SCHEDULE}" if os.environ.get(SCHEDULE) else document.where("schedule"))
    return settings


def _deployed(settings: Settings) -> Settings:
    """The settings with the environment's laid over them. With a host there, nothing is embedded or drawn."""
    environment = os.environ
    settings.schedule = environment.get(SCHEDULE) or settings.schedule
    settings.grafana = environment.get(GRAFANA) or settings.grafana
    settings.secrets = environment.get(SECRETS) or settings.secrets
    settings.dashboards = environment.get(DASHBOARDS) or settings.dashboards
    settings.sales = bool(environment.get(SALES)) or settings.sales
    if host := environment.get(HOST):
        password = str(ROOT / settings.secrets / "loader")
        settings.database = msgspec.structs.replace(settings.database, host=host, user="loader", password_file=password)
        settings.embedded = settings.output = ""
    return settings


def _check_schedule(schedule: str, where: str) -> None:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(schedule, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        raise ConfigError(f"`{schedule}` is no schedule: {error}", where=where) from error


@contextmanager
def serving(settings: Settings) -> Iterator[Database]:
    """The database, with its server: an embedded one runs as long as the block. The schema is brought up to date."""
    from batch import postgres_server
    from batch.postgres_migrations import migrate

    if settings.embedded:
        with postgres_server.server(ROOT / settings.embedded) as server:
            create(server, settings.database.database)
            database = msgspec.structs.replace(server, database=settings.database.database)
            with postgres.connect(database, "section4 migrate") as connection:
                migrate(connection, MIGRATIONS)
            yield database
    else:
        with postgres.connect(settings.database, "section4 migrate") as connection:
            migrate(connection, MIGRATIONS)
        yield settings.database


def create(server: Database, name: str) -> None:
    """Make the reading role and the database `name`, unless they are there; as a superuser."""
    with postgres.connect(server, "section4") as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(ROLES.read_text(encoding="utf-8"))
            cursor.execute("select from pg_database where datname = %s", [name])
            if not cursor.rowcount:
                cursor.execute(f'create database "{name}"')
