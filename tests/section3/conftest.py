"""One plan and one applied stack for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from section3 import infrastructure


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the design with its provider, or a skip that says what is missing."""
    try:
        return infrastructure.prepare(tmp_path_factory.mktemp("terraform"))
    except infrastructure.NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def planned(terraform: Path) -> dict[str, Any]:
    """The plan of a new stack."""
    return infrastructure.plan(terraform)


@pytest.fixture(scope="session")
def resources(planned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every planned resource by its address, in all modules."""

    def walk(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from walk(child)

    root = planned["planned_values"]["root_module"]
    return {found["address"]: {"values": {}} | found for found in walk(root)}  # no values: nothing is known yet
