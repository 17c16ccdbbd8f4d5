"""What section2_database.yaml may say, and the way from it to a connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from batch import config, postgres
from batch.errors import ConfigError
from batch.postgres import Database
from batch.postgres_load import quoted

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

ROOT = Path(__file__).parent.parent
CONF = ROOT / "section2" / "conf"
MIGRATIONS = ROOT / "section2" / "migrations"
ROLES = ("owner", "loader", "logistics", "analytics", "sales", "grafana")

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file. Folders are relative to the project."""

    database: Database
    members: Text
    sample: Text
    embedded: str = ""

    @property
    def published(self) -> Path:
        """Where section 1 publishes."""
        return ROOT / self.members

    @property
    def first_members(self) -> Path:
        """The same, or the sample members while section 1 has published nothing."""
        return self.published if (self.published / "current").exists() else ROOT / self.sample


def load(name: str) -> Settings:
    """Read a YAML: a path, or a name in section2/conf. Raises ConfigError with file and line."""
    path = Path(name)
    if not path.exists():
        path = CONF / name
    if not path.exists():
        hint = config.suggest(name, [file.name for file in CONF.glob("*.yaml")])
        raise ConfigError(f"there is no such file, here or in {CONF}", where=name, hint=hint)
    document = config.read(path)
    settings = config.convert(document, Settings)
    if bool(settings.embedded) == bool(settings.database.host):
        raise ConfigError("give `database.host` or `embedded`, and not both", where=document.where("embedded"))
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[Database]:
    """The database, with its server: an embedded one runs as long as the block. The database is made on first use."""
    if not settings.embedded:
        yield settings.database
        return
    from batch import postgres_server

    with postgres_server.server(ROOT / settings.embedded) as server:
        database = msgspec.structs.replace(server, database=settings.database.database)
        create(server, database.database)
        yield database


def create(server: Database, name: str) -> None:
    """Make the database `name` unless it is there."""
    with postgres.connect(server, "section2") as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [name])
            if not cursor.rowcount:
                cursor.execute(f"create database {quoted(name)}")


@contextmanager
def connected(database: Database, role: str = "") -> Iterator[Connection]:
    """A connection that acts as one of the roles; without a role as the user who logs in."""
    with postgres.connect(
        database, f"section2 {role}".strip(), options=f"-c role={role}" if role else ""
    ) as connection:
        yield connection
