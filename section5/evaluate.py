"""How good the models are on rows they have not seen, and the guard against figures that are too good to be true."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import msgspec

from batch.errors import DataError
from section5 import models, posterior
from section5.data import Data
from section5.posterior import Bound
from section5.settings import Evaluation

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Folds = list[tuple["Array", "Array"]]
"""The rows to train on and to test on, of each fold."""

Predicted = list[tuple["Array", "Array"]]
"""Of each fold the prices' probabilities, shape (rows, prices), and the codes of the true prices, shape (rows,)."""

BINS = 10
LEAST = 1e-6  # a probability below it counts as this one, lest one wrong zero makes the log-loss infinite
ROUNDING = 1e-9


class Scores(msgspec.Struct, frozen=True):
    """A model's figures, one a fold: the share of right answers, log-loss in nats, calibration error."""

    accuracy: list[float]
    log_loss: list[float]
    calibration: list[float]

    def figures(self) -> dict[str, float]:
        """Mean and standard deviation over the folds."""
        found: dict[str, float] = {}
        for name in ("accuracy", "log_loss", "calibration"):
            values = getattr(self, name)
            found |= {name: round(mean(values), 6), f"{name}_sd": round(stdev(values), 6)}
        return found


def grouped(data: Data, settings: Evaluation) -> Folds:
    """Folds that keep all rows of a cell (the known attributes, class and `persons` aside) together.

    Only so can nobody count: in a full factorial every cell has as many rows of each price, so the rows that a fold
    holds back are exactly the ones that the rest lacks.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold

    names = [name for name in models.evidence(data) if name != data.schema.outcome]
    sizes = [len(data.schema.columns[name]) for name in names]
    cells = np.ravel_multi_index([data.column(name) for name in names], sizes)
    folds = GroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    return list(folds.split(data.codes, groups=cells))


def ordinary(data: Data, settings: Evaluation) -> Folds:
    """The usual stratified folds, which leak here: for showing that they do, never for judging a model."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed)
    return list(folds.split(data.codes, data.column(data.schema.price)))


def predicted(
    model: models.Model, data: Data, folds: Folds, done: Callable[[int], object] = lambda n: None
) -> Predicted:
    """Train a model on each fold and let it predict the rows that were held back. `done` is told of each fold."""
    from threadpoolctl import threadpool_limits

    found = []
    for train, test in folds:
        with threadpool_limits(1):  # the matrices are small: threads that wait for each other take 4 times as long
            found.append((model(data, train, test), data.column(data.schema.price)[test]))
        done(1)
    return found


def scores(predictions: Predicted) -> Scores:
    """The figures of each fold's predictions."""
    found = Scores([], [], [])
    for probabilities, truth in predictions:
        found.accuracy.append(float((probabilities.argmax(axis=1) == truth).mean()))
        found.log_loss.append(log_loss(probabilities, truth))
        found.calibration.append(calibration(probabilities, truth))
    return found


def log_loss(probabilities: Array, truth: Array) -> float:
    """Mean negative logarithm (in nats) of the probability of what was true."""
    import numpy as np

    return float(-np.log(probabilities[np.arange(len(truth)), truth].clip(LEAST)).mean())


def calibration(probabilities: Array, truth: Array) -> float:
    """Expected calibration error over all prices: how far, on average, a stated probability is from the frequency.

    Every price's probability in every row counts; they are put into 10 bins of equal width (Kull et al. 2019,
    "Beyond temperature scaling", classwise ECE).
    """
    import numpy as np

    stated = probabilities.ravel()
    happened = np.eye(probabilities.shape[1])[truth].ravel()
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=stated - happened, minlength=BINS)
    return float(np.abs(gaps).sum() / len(stated))


class Comparison(msgspec.Struct, frozen=True):
    """What `evaluate` answers."""

    folds: int
    ceiling: dict[str, float]
    models: dict[str, dict[str, float]]

    def text(self) -> str:
        """The table."""
        lines = [f"{'model':16} {'accuracy':>15} {'log-loss':>16} {'calibration':>15}"]
        for name, of in self.models.items():
            lines.append(
                f"{name:16} {of['accuracy']:8.2%} ±{of['accuracy_sd']:.1%} "
                f" {of['log_loss']:8.4f} ±{of['log_loss_sd']:.3f}"
                f" {of['calibration']:8.3f} ±{of['calibration_sd']:.3f}"
            )
        lines.append(f"{'no model can':16} {self.ceiling['accuracy']:8.2%} {self.ceiling['log_loss']:16.4f}")
        lines.append(f"Means of {self.folds} grouped folds ± their standard deviation. Calibration: expected error.")
        return "\n".join(lines)


def compare(
    chosen: dict[str, models.Model], data: Data, settings: Evaluation, done: Callable[[int], object] = lambda n: None
) -> Comparison:
    """Judge models on grouped folds. Raises DataError where the guard does not let one pass."""
    folds = grouped(data, settings)
    bound = posterior.ceiling(data.counts(), data.schema, models.evidence(data))
    found = {name: scores(predicted(model, data, folds, done)) for name, model in chosen.items()}
    base = scores(predicted(models.prior, data, folds))
    for name, of in found.items():
        guard(name, of, bound, base, settings.noise)
    return Comparison(len(folds), bound._asdict(), {name: of.figures() for name, of in found.items()})


def guard(name: str, found: Scores, bound: Bound, prior: Scores, noise: float) -> None:
    """Raise DataError where a model is better than any can be (it has seen the answers), or worse than the prior.

    More than `noise` standard errors of the folds' mean are needed. Without leakage the mean over grouped folds of one
    size cannot pass the bound at all: the noise is for folds of different sizes.
    """
    prior_bound = Bound(mean(prior.accuracy), mean(prior.log_loss))
    for what, values, best, least in (
        ("accuracy", found.accuracy, bound.accuracy, prior_bound.accuracy),
        ("log-loss", [-value for value in found.log_loss], -bound.log_loss, -prior_bound.log_loss),
    ):
        margin = noise * _standard_error(values) + ROUNDING
        if mean(values) > best + margin:
            raise DataError(
                f"{name}: {what} {abs(mean(values)):.4f}; with what it may know, {abs(best):.4f} is the best there is, "
                f"and the noise of the folds is {margin:.4f}",
                where="evaluation",
                hint="It has seen the answers: look for rows of one cell on both sides of a fold.",
            )
        if mean(values) < least - margin:
            raise DataError(
                f"{name}: {what} {abs(mean(values)):.4f}, worse than the {abs(least):.4f} of the prior, which knows "
                f"nothing; the noise of the folds is {margin:.4f}",
                where="evaluation",
                hint="Nothing was kept of it. Look at its settings in section5_process.yaml.",
            )


def _standard_error(values: Iterable[float]) -> float:
    found = list(values)
    return stdev(found) / sqrt(len(found))
