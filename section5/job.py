"""The steps of the section."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch.errors import ConfigError, DataError, PublishError
from batch.progress import progress
from section5 import artefact, evaluate, models, rules
from section5 import data as rows
from section5.data import Data
from section5.evaluate import Comparison
from section5.predict import Predictor, UnknownValueError, check
from section5.settings import Settings

Result = tuple[str, Any]
"""For a person, and for `--json`."""


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def generate(settings: Settings) -> Result:
    """Write the data file that the rules give. A file that is there is never overwritten: another one is an error."""
    made_by = rules.load(settings.path("rules"))
    path, text = settings.path("data"), made_by.csv()
    found = {"file": str(path), "sha256": made_by.sha256, "written": not path.exists()}
    if not path.exists():
        try:
            artefact.write(path, text)
        except OSError as error:
            raise PublishError(f"cannot write the data: {error.strerror}", where=str(path)) from error
    elif not path.is_file() or path.read_bytes() != text:
        raise DataError(
            "this is there and is not what the rules give; it was left as it is",
            where=str(path),
            hint="Move it away and run this again, or use it: sh section5_runner.sh run --input FILE",
        )
    return f"{'wrote' if found['written'] else 'already there:'} {shown(path)}, SHA-256 {made_by.sha256}", found


def data(settings: Settings) -> Data:
    """The rows, read and validated. The YAML's own file is made from the rules where it is missing."""
    path = settings.path("data")
    if not path.exists() and not Path(settings.data).is_absolute():
        generate(settings)
    return rows.load(path, rules.load(settings.path("rules")))


def predictor(settings: Settings, of: Data) -> Predictor:
    """The model that is kept. Raises InputError where there is none, or where it was trained on other data."""
    return Predictor(artefact.load(settings.path("model"), of), of)


def predict(settings: Settings, of: Data, known: Mapping[str, str]) -> Result:
    """The price of one car, by the model that is kept."""
    answer = predictor(settings, of).answer(known)
    return answer.text(), answer


def compare(settings: Settings, of: Data) -> Result:
    """All models on grouped folds."""
    comparison = _judged(settings, of, models.compared(settings.inverse))
    return comparison.text(), comparison


def train(settings: Settings, of: Data) -> Result:
    """Judge the inverse model, fit it on all rows and keep it."""
    begun = time.perf_counter()
    comparison = _judged(settings, of, {models.INVERSE: models.compared(settings.inverse)[models.INVERSE]})
    return _kept(settings, of, comparison, begun)


def run(settings: Settings, of: Data) -> Result:
    """What a newcomer wants to see: the comparison, the kept model, and the answer to the YAML's question."""
    try:
        check(settings.query, of.schema)  # before the work begins
    except UnknownValueError as error:
        raise ConfigError(error.what, where=f"the YAML's query, {error.field}", hint=error.hint) from error
    comparison = _judged(settings, of, models.compared(settings.inverse))
    said, kept = _kept(settings, of, comparison, time.perf_counter())
    told, answer = predict(settings, of, settings.query)
    page = settings.path("report").with_suffix(".html")
    text = "\n".join([comparison.text(), "", said, "", told, "", f"the notebook, to read: {shown(page)}"])
    return text, {"comparison": comparison, "model": kept, "answer": answer, "report": str(page)}


def _judged(settings: Settings, of: Data, chosen: dict[str, models.Model]) -> Comparison:
    with progress("evaluate", len(chosen) * settings.evaluation.folds, unit=" folds") as bar:
        return evaluate.compare(chosen, of, settings.evaluation, bar.update)


def _kept(settings: Settings, of: Data, comparison: Comparison, begun: float) -> Result:
    fitted = models.fitted(of, settings.inverse)
    model = artefact.make(of, fitted, settings.inverse, comparison.models[models.INVERSE])
    path = settings.path("model")
    written = artefact.save(model, path)
    seconds = time.perf_counter() - begun
    text = f"{'kept the model in' if written else 'the model is as it was:'} {shown(path)} ({seconds:.1f} s)"
    figures = {"model": str(path), "written": written, "seconds": round(seconds, 3), "metrics": model.metrics}
    return text, figures | {"data_sha256": of.sha256, "checksum": model.checksum}
