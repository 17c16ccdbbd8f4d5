"""The ceiling, the folds, the models' figures, and the guard that tells leakage from skill."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.errors import DataError
from section5 import evaluate, leak, models, posterior
from section5.data import Data
from section5.evaluate import Comparison, Scores
from section5.posterior import Bound
from section5.settings import Evaluation, Inverse, Settings


@pytest.mark.parametrize(
    ("known", "accuracy", "log_loss"),
    [
        ([], 0.25, log(4)),
        (["class"], 0.3241, 1.3194),
        (["maint", "doors", "lug_boot", "safety", "class"], 0.3576, 1.1697),
        (["maint", "doors", "persons", "lug_boot", "safety", "class"], 0.3582, 1.1136),
        (["maint", "doors", "persons", "lug_boot", "safety"], 0.25, log(4)),
    ],
)
def test_ceiling_is_the_known_one(cars: Data, known: list[str], accuracy: float, log_loss: float) -> None:
    assert posterior.ceiling(cars.counts(), cars.schema, known) == pytest.approx((accuracy, log_loss), abs=5e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), known=st.sets(st.sampled_from(["maint", "doors", "persons", "class"])))
def test_nothing_passes_the_ceiling(cars: Data, seed: int, known: set[str]) -> None:
    """Any prediction that is a function of what is known is at best as good."""
    columns = [cars.column(name) for name in sorted(known)]
    sizes = [len(cars.schema.columns[name]) for name in sorted(known)]
    said = np.random.default_rng(seed).dirichlet(np.ones(4), size=sizes or None)
    rows = said[tuple(columns)] if columns else np.tile(said, (1728, 1))
    truth = cars.column("buying")
    bound = posterior.ceiling(cars.counts(), cars.schema, known)
    assert (rows.argmax(axis=1) == truth).mean() <= bound.accuracy + 1e-12
    assert evaluate.log_loss(rows, truth) >= bound.log_loss - 1e-12


def test_all_rows_of_a_cell_are_in_one_fold(cars: Data, chosen: Settings) -> None:
    tested = np.concatenate([test for _, test in evaluate.grouped(cars, chosen.evaluation)])
    assert sorted(tested) == list(range(1728))
    for train, test in evaluate.grouped(cars, chosen.evaluation):
        names = ["maint", "doors", "lug_boot", "safety"]
        of_train, of_test = ({tuple(cars.column(n)[i] for n in names) for i in rows} for rows in (train, test))
        assert not of_train & of_test


def test_figures_hold_the_targets(comparison: Comparison) -> None:
    inverse = comparison.models["inverse"]
    assert inverse["accuracy"] >= 0.35
    assert inverse["log_loss"] <= 1.19
    assert set(comparison.models) == {
        "prior",
        "logistic, all",
        "logistic, class",
        "boosting, all",
        "boosting, class",
        "naive Bayes",
        "inverse",
    }
    for name, figures in comparison.models.items():
        assert figures["accuracy"] <= 0.35764, name
        assert 1.1697 <= figures["log_loss"] <= 1.3863, name
        assert inverse["log_loss"] <= figures["log_loss"]
    assert "±" in comparison.text()


def test_the_model_card_says_what_is_measured(comparison: Comparison) -> None:
    page = (Path(__file__).parents[2] / "section5" / "README.md").read_text()
    assert comparison.text() in page


def test_counting_leaks_and_the_guard_sees_it(cars: Data, chosen: Settings) -> None:
    five = msgspec.structs.replace(chosen.evaluation, folds=5)
    leaking = evaluate.scores(evaluate.predicted(leak.least_seen, cars, evaluate.ordinary(cars, five)))
    honest = evaluate.scores(evaluate.predicted(leak.least_seen, cars, evaluate.grouped(cars, chosen.evaluation)))
    prior = evaluate.scores(evaluate.predicted(models.prior, cars, evaluate.grouped(cars, chosen.evaluation)))
    bound = posterior.ceiling(cars.counts(), cars.schema, models.evidence(cars))
    assert leaking.figures()["accuracy"] == pytest.approx(0.61, abs=0.01)
    assert honest.figures()["accuracy"] == pytest.approx(bound.accuracy, abs=1e-4)  # folds differ in size
    with pytest.raises(DataError, match=r"counting: accuracy 0\.6.*0\.3576 is the best there is"):
        evaluate.guard("counting", leaking, bound, prior, chosen.evaluation.noise)
    evaluate.guard("counting", honest, bound, prior, chosen.evaluation.noise)


def test_guard_compares_with_the_noise() -> None:
    bound, prior = Bound(0.36, 1.17), Scores([0.25] * 4, [1.386] * 4, [0.0] * 4)

    def judged(accuracy: list[float], log_loss: list[float]) -> None:
        evaluate.guard("model", Scores(accuracy, log_loss, [0.0] * 4), bound, prior, 3)

    judged([0.30, 0.42, 0.36, 0.40], [1.2, 1.3, 1.1, 1.2])
    for accuracy, log_loss, problem in (
        ([0.37, 0.37, 0.38, 0.38], [1.2] * 4, "accuracy 0.3750; with what it may know"),
        ([0.35] * 4, [1.15, 1.16, 1.15, 1.15], "log-loss 1.1525; with what it may know"),
        ([0.20, 0.21, 0.20, 0.21], [1.3] * 4, "accuracy 0.2050, worse than the 0.2500 of the prior"),
        ([0.30] * 4, [1.42, 1.41, 1.42, 1.41], "log-loss 1.4150, worse than the 1.3860 of the prior"),
    ):
        with pytest.raises(DataError) as caught:
            judged(accuracy, log_loss)
        assert problem in str(caught.value)


def test_a_leaking_model_fails_the_comparison(cars: Data, chosen: Settings) -> None:
    def knows(of: Data, train: Any, test: Any) -> Any:
        return np.eye(4)[of.column("buying")[test]] * 0.9 + 0.025

    with pytest.raises(DataError, match=r"knows: accuracy 1\.0000"):
        evaluate.compare({"knows": knows}, cars, chosen.evaluation)


def test_classes_dealt_out_at_random_do_not_pass_the_guard(cars: Data) -> None:
    """A model that claims to see something in them is worse than the prior."""
    dealt = Data(cars.schema, np.random.default_rng(1).choice(cars.schema.columns["class"], 1728).tolist())
    model = models.compared(Inverse(interactions=2, strength=10))[models.INVERSE]
    with pytest.raises(DataError, match="worse than the"):
        evaluate.compare({models.INVERSE: model}, dealt, Evaluation(folds=3, seed=0, noise=1))


def test_a_class_that_says_nothing_is_no_defect(cars: Data, chosen: Settings) -> None:
    """One class only: nothing can be learned, every price stays as likely."""
    constant = Data(cars.schema, ["acc"] * 1728)
    inverse = {models.INVERSE: models.compared(chosen.inverse)[models.INVERSE]}
    figures = evaluate.compare(inverse, constant, chosen.evaluation).models[models.INVERSE]
    assert figures["log_loss"] == pytest.approx(log(4))


def test_calibration_is_zero_for_frequencies_and_large_for_boasting() -> None:
    truth = np.array([0, 1, 2, 3] * 25)
    assert evaluate.calibration(np.full((100, 4), 0.25), truth) == pytest.approx(0)
    assert evaluate.calibration(np.tile([1.0, 0, 0, 0], (100, 1)), truth) == pytest.approx(0.375)
