"""What the tests of the price model share: the data, and the model, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="needs the classifier category of Pipfile.lock")

from section5 import artefact, evaluate, models, rules, settings
from section5.data import Data
from section5.evaluate import Comparison
from section5.predict import Predictor
from section5.rules import Rules
from section5.settings import Settings


@pytest.fixture(scope="session")
def chosen() -> Settings:
    return settings.load()


@pytest.fixture(scope="session")
def made(chosen: Settings) -> Rules:
    return rules.load(chosen.path("rules"))


@pytest.fixture(scope="session")
def cars(made: Rules) -> Data:
    return Data(made.schema, made.classes)


@pytest.fixture(scope="session")
def trained(cars: Data, chosen: Settings) -> artefact.Artefact:
    return artefact.make(cars, models.fitted(cars, chosen.inverse), chosen.inverse, {"accuracy": 0.35})


@pytest.fixture(scope="session")
def predictor(trained: artefact.Artefact, cars: Data) -> Predictor:
    return Predictor(trained, cars)


@pytest.fixture(scope="session")
def comparison(cars: Data, chosen: Settings) -> Comparison:
    """All models on grouped folds: takes some seconds."""
    return evaluate.compare(models.compared(chosen.inverse), cars, chosen.evaluation)


@pytest.fixture
def file(tmp_path: Path, made: Rules) -> Path:
    """The data file, to be changed."""
    path = tmp_path / "car.data"
    path.write_bytes(made.csv())
    return path
