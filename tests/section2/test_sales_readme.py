"""The section's README shows what is there: the roles, the diagram, every command and option."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from batch.postgres import Database
from section2 import diagram, roles, settings

README = diagram.README


def test_the_roles_are_the_committed_ones() -> None:
    shown = re.search(r"<!-- roles -->\n(.*?)\n<!-- /roles -->", README.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == roles.markdown(roles.committed())


@pytest.mark.skipif(importlib.util.find_spec("eralchemy") is None, reason="sh batch/environment.sh schema")
def test_the_diagram_is_of_the_live_schema(shop: Database) -> None:
    assert diagram.check(shop) == []
    with settings.connected(shop, "owner") as connection:
        connection.cursor().execute("alter table sales.item add column colour text")
        connection.commit()
    assert len(diagram.check(shop)) == 2


def test_every_command_and_option_is_in_the_readme() -> None:
    text = README.read_text()
    shown = subprocess.run(
        [sys.executable, "section2_manage.py", "--help"], cwd=settings.ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = re.findall(r"^    ([a-z-]+)\s", shown, re.MULTILINE)
    assert len(commands) == 8
    for command in commands:
        assert f"| `{command}" in text
        options = subprocess.run(
            [sys.executable, "section2_manage.py", command, "--help"],
            cwd=settings.ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for option in set(re.findall(r"--[a-z-]+", options)) - {"--help"}:
            assert option in text, f"{command} {option}"
