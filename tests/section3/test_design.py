"""Page, diagrams and Terraform speak of the same components, and what was generated is up to date."""

from __future__ import annotations

import re
from typing import Any

import pytest

import section3_manage
from section3 import charts, cost, drawing, pages, settings, simulate, storage
from section3.infrastructure import SOURCE

PEOPLE = {"Analysts", "Customers", "Viewers", "On-call engineer", "Streaming engineers"}
OUTSIDE = PEOPLE | {"Company login", "Second application"}
GROUPS = {
    "Image platform, one AWS account and region",
    "An image or its metadata: 7 days at most, then purged",
    "Neither image nor metadata",
}
SUMS = {"Analytics", "Keys and audit", "Network and observability"}
"""Lines of the bill that are several components."""
MODULES = {
    "network", "ingest", "stream", "processing", "catalogue", "analytics", "delivery", "security", "observability",
}  # fmt: skip
PAGE = pages.PAGE.read_text()


@pytest.fixture(scope="session")
def components() -> dict[str, str]:
    """What components.tf says."""
    text = (SOURCE / "components.tf").read_text()
    return {name: address.replace('\\"', '"') for name, address in re.findall(r'"([^"]+)"\s+= "((?:\\"|[^"])+)"', text)}


def test_each_component_is_something_in_the_plan(
    components: dict[str, str], planned: dict[str, Any], resources: dict[str, Any]
) -> None:
    assert planned["planned_values"]["outputs"]["components"]["value"] == components
    for name, address in components.items():
        assert any(found.startswith(address) for found in resources), f"{name}: there is no {address}"
    assert {address.split(".")[1] for address in components.values()} == MODULES


def test_the_diagrams_draw_the_components_and_nothing_else(components: dict[str, str]) -> None:
    drawn = {name: drawing.labels(name) for name in drawing.DIAGRAMS}
    for name, labels in drawn.items():
        assert labels <= components.keys() | OUTSIDE | GROUPS, f"{name}.mmd"
    missing = components.keys() - set().union(*drawn.values())
    assert not missing, "no diagram shows them"


def test_the_page_lists_the_components_and_nothing_else(components: dict[str, str]) -> None:
    table = PAGE.split("| component |")[1].split("\n\n")[0]
    assert re.findall(r"^\| ([^|-][^|]*?) \|", table, re.MULTILINE) == list(components)


def test_the_bill_speaks_of_the_same_components(components: dict[str, str]) -> None:
    workload = settings.workload()
    result, stored = simulate.stack(workload, 2.0), storage.stored(workload, 2.0)
    assert {component for component, *_ in cost.quantities(workload, result, stored, 1)} <= components.keys() | SUMS


def test_the_page_lists_the_modules() -> None:
    called = set(re.findall(r'^module "(\w+)"', (SOURCE / "main.tf").read_text(), re.MULTILINE))
    assert called == MODULES == set(re.findall(r"^\| `(\w+)` \|", PAGE.split("| module |")[1], re.MULTILINE))


def test_roles_and_variables_that_the_page_names_are_in_terraform() -> None:
    named = set(re.findall(r"`([a-z][a-z_-]*)`", PAGE)) - section3_manage.COMMANDS.keys() - {"backend", "checked"}
    terraform = "\n".join(file.read_text() for file in SOURCE.rglob("*.tf"))
    assert named >= {"deployer_arn", "streaming", "workers"}
    assert {name for name in named if not re.search(rf"\b{name}\b", terraform)} == set()


@pytest.mark.parametrize("name", drawing.DIAGRAMS)
def test_a_picture_is_drawn_from_its_diagram_as_it_is(name: str) -> None:
    assert drawing.is_current(name), "draw it again: sh section3_runner.sh run render"


def test_a_changed_diagram_makes_its_picture_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    source = drawing.source
    monkeypatch.setattr(drawing, "source", lambda name: source(name) + "  %% changed\n")
    assert not any(map(drawing.is_current, drawing.DIAGRAMS))


def test_the_page_shows_the_diagrams_as_they_are() -> None:
    assert pages.fill(PAGE, pages.diagrams()) == PAGE, "sh section3_runner.sh run render"


def test_the_figures_in_the_page_follow_from_code_and_configuration_as_they_are() -> None:
    assert pages.is_current(PAGE), "sh section3_runner.sh run render"


def test_the_smallest_size_gives_the_figures_in_the_page() -> None:
    workload, prices = settings.workload(), settings.prices()
    result, stored = simulate.stack(workload, 10.0), storage.stored(workload, 10.0)
    usd = sum(line.usd for line in cost.bill(workload, prices, result, stored, 1))
    assert f"| **all** | **{charts.dollars(usd)}** |" in PAGE
    assert f"| largest backlog, images | {result.backlog:,} |" in PAGE


def test_the_plan_has_the_sizes_that_the_simulation_asks_for(planned: dict[str, Any]) -> None:
    workload = settings.workload()
    brokers = cost.brokers(workload, workload.rates[0])
    defaults = {name: variable.get("value") for name, variable in planned["variables"].items()}
    assert defaults["brokers"] == {"count": brokers.count, "gigabytes": brokers.gigabytes}
    least = simulate.least_tasks(workload, workload.rates[0])
    assert defaults["workers"] == {"least": least, "most": least * workload.scaling.most}


def test_the_retention_that_is_simulated_is_the_one_in_terraform() -> None:
    days = re.search(r"images_days\s+= (\d+)", (SOURCE / "names.tf").read_text())
    assert days and int(days[1]) == settings.workload().retention.days
