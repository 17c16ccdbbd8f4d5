"""The model's file: plain, whole, repeatable, and refused where it does not match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from batch.errors import InputError, PublishError
from section5 import artefact, models
from section5.artefact import Artefact
from section5.data import Data
from section5.predict import Predictor
from section5.settings import Settings


@pytest.fixture
def saved(tmp_path: Path, trained: Artefact) -> Path:
    path = tmp_path / "model" / "model.json"
    assert artefact.save(trained, path)
    return path


def test_what_is_loaded_is_what_was_trained(saved: Path, cars: Data, trained: Artefact, chosen: Settings) -> None:
    assert artefact.load(saved, cars) == trained
    assert not artefact.save(trained, saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model.json"]
    again = models.fitted(cars, chosen.inverse)
    assert np.abs(np.array(trained.likelihood) - again).max() < 1e-6


def test_it_is_plain_json_with_its_origin(saved: Path, cars: Data) -> None:
    content = json.loads(saved.read_bytes())
    assert content["data_sha256"] == cars.sha256
    assert set(content["libraries"]) == {"numpy", "scikit-learn"}
    assert list(content["columns"]) == cars.schema.names
    assert content["metrics"] == {"accuracy": 0.35}
    assert len(content["likelihood"]) == 1728


def resealed(path: Path, **changes: Any) -> None:
    model = msgspec.json.decode(path.read_bytes(), type=Artefact)
    changed = msgspec.structs.replace(model, **changes)
    path.write_bytes(msgspec.json.encode(artefact._sealed(changed)))


def test_a_mismatch_is_refused(saved: Path, cars: Data, trained: Artefact) -> None:
    whole = saved.read_bytes()
    columns, table = trained.columns, trained.likelihood
    for changes, problem in (
        ({"data_sha256": "0" * 64}, "trained on the data 000000000000, and this is b703a9ac69f1"),
        ({"libraries": trained.libraries | {"scikit-learn": "0.1"}}, "trained with scikit-learn 0.1"),
        ({"columns": columns | {"doors": ["2", "3", "4", "5"]}}, "other columns or values"),
        ({"columns": dict(reversed(columns.items()))}, "other columns or values"),
        ({"likelihood": table[:-1]}, "probabilities are not those of its columns"),
        ({"likelihood": [[2.0, -1.0, 0.0, 0.0], *table[1:]]}, "probabilities are not those of its columns"),
        ({"likelihood": [[1.0], *table[1:]]}, "probabilities are not those of its columns"),
    ):
        saved.write_bytes(whole)
        resealed(saved, **changes)
        with pytest.raises(InputError, match=problem) as caught:
            artefact.load(saved, cars)
        assert "sh section5_runner.sh run train" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no model of this program"),
        (b"\x80\x05cos\nsystem\n(S'false'\ntR.", "no model of this program"),
        (b"[" * 100000, "no model of this program"),
        (b'{"format": 2}', "no model of this program"),
        (b" " * (artefact.LARGEST + 1), "too large"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, cars: Data, content: bytes, problem: str) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        artefact.load(path, cars)


def test_every_changed_byte_is_noticed(saved: Path, cars: Data) -> None:
    whole = saved.read_bytes()
    for place in range(0, len(whole) - 1, 211):
        other = b"7" if whole[place : place + 1] != b"7" else b"8"
        saved.write_bytes(whole[:place] + other + whole[place + 1 :])
        with pytest.raises(InputError):
            artefact.load(saved, cars)


def test_no_model_and_no_room_are_said(tmp_path: Path, cars: Data, trained: Artefact) -> None:
    with pytest.raises(InputError, match="there is no model yet"):
        artefact.load(tmp_path / "model.json", cars)
    (tmp_path / "file").touch()
    with pytest.raises(PublishError, match="cannot write the model"):
        artefact.save(trained, tmp_path / "file" / "model.json")


def test_classes_that_training_never_saw_have_no_probability(cars: Data, chosen: Settings) -> None:
    names = cars.schema.columns["class"]
    without = Data(cars.schema, ["acc" if names[code] == "good" else names[code] for code in cars.classes])
    likelihood = models.fitted(without, chosen.inverse)
    assert (likelihood[:, names.index("good")] == 0).all()
    answer = Predictor(artefact.make(without, likelihood, chosen.inverse, {}), without).answer({"class": "good"})
    assert (answer.supported, answer.price, answer.used, answer.rows) == (False, None, {}, 1728)
