"""Who may do what: the committed table of (role, object, verb) and what the database really grants."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from section2.settings import CONF, ROLES

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

TABLE = CONF / "section2_roles.csv"
PUBLIC = "PUBLIC"
Grant = tuple[str, str, str]
"""Role, object, verb: (`logistics`, `sales.sales_transaction`, `update (status)`)."""

_REAL = Path(__file__).with_name("roles.sql")


def committed() -> set[Grant]:
    """The table in section2/conf."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {(row["role"], row["object"], row["verb"]) for row in csv.DictReader(file)}


def real(connection: Connection) -> set[Grant]:
    """What the database grants to every team and to PUBLIC."""
    with connection.cursor() as cursor:
        cursor.execute(_REAL.read_text(encoding="utf-8"))
        return {(role, thing, verb) for role, thing, verb in cursor.fetchall()}


def differences(connection: Connection) -> list[str]:
    """A line for every cell in which the table and the database disagree."""
    written, found = committed(), real(connection)
    wrong = [f"granted and not in {TABLE.name}: {', '.join(cell)}" for cell in found - written]
    return sorted(wrong + [f"in {TABLE.name} and not granted: {', '.join(cell)}" for cell in written - found])


def write(grants: set[Grant], path: Path = TABLE) -> None:
    """Put a table in place of the committed one."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("role", "object", "verb"), *sorted(grants)])


def markdown(grants: set[Grant]) -> str:
    """The table for the README: a row for each object, a column for each role."""
    teams = [role for role in ROLES if role != "owner"]
    objects = sorted({thing for role, thing, _ in grants if role in teams})
    rows = [["object", *teams], ["---"] * (len(teams) + 1)]
    for thing in objects:
        cells = [
            ", ".join(sorted(verb for role, one, verb in grants if (role, one) == (team, thing))) for team in teams
        ]
        rows.append([f"`{thing}`", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
