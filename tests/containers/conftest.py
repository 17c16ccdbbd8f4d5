"""Containers for the tests here. Where there is no engine they are skipped; with REQUIRE_CONTAINERS=1 they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deploy, Deployment, no_engine


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip or fail where there is no container engine."""
    if why := no_engine():
        if os.environ.get("REQUIRE_CONTAINERS"):
            pytest.fail(f"REQUIRE_CONTAINERS is set and {why}", pytrace=False)
        pytest.skip(f"no container engine: {why}")


@pytest.fixture(scope="module")
def deploy(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Makes copies of the project, whose containers are removed at the end. All share the layers of one build."""
    made: list[Deployment] = []

    def make(name: str, **environment: str) -> Deployment:
        folder: Path = tmp_path_factory.mktemp(name)
        for above in (folder, folder.parent, folder.parent.parent):
            above.chmod(above.stat().st_mode | 0o011)  # Docker's daemon may be somebody else
        made.append(Deployment(folder, name, **environment))
        return made[-1]

    yield make
    for deployment in made:
        deployment.remove()
