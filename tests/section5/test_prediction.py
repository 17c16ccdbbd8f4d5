"""Any subset of the attributes: the exact posterior where the data knows it, an honest back-off where not."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter, defaultdict

import pytest

from batch.errors import ConfigError
from section5.predict import Predictor, UnknownValueError, check
from section5.rules import Rules

ASKED = {"maint": "high", "doors": "4", "lug_boot": "big", "safety": "high", "class": "good"}


def exact_posteriors(made: Rules) -> dict[frozenset[tuple[str, str]], Counter[str]]:
    """How many rows of each price agree with each subset of the other columns; counted row by row."""
    names = made.schema.names
    found: dict[frozenset[tuple[str, str]], Counter[str]] = defaultdict(Counter)
    for price, *rest in csv.reader(io.StringIO(made.csv().decode())):
        known = list(zip(names[1:], rest, strict=True))
        for size in range(7):
            for part in itertools.combinations(known, size):
                found[frozenset(part)][price] += 1
    return found


def test_every_supported_question_has_the_exact_answer(predictor: Predictor, made: Rules) -> None:
    exact = exact_posteriors(made)
    assert len(exact) > 3000
    worst = 0.0
    for part, prices in exact.items():
        answer = predictor.answer(dict(part))
        rows = prices.total()
        assert (answer.supported, answer.rows, answer.backoff_level) == (True, rows, 0)
        worst = max(
            worst, *(abs(answer.probabilities[price] - prices[price] / rows) for price in made.schema.columns["buying"])
        )
        likely = {price for price in prices if prices[price] == max(prices.values())}
        assert {answer.price} == likely if answer.price else likely <= set(answer.equally_likely)
    assert worst < 0.03, worst


def test_every_unsupported_question_is_marked(predictor: Predictor, made: Rules) -> None:
    exact = exact_posteriors(made)
    columns = made.schema.columns
    marked = 0
    for values in itertools.product(*(columns[name] for name in made.schema.evidence)):
        asked = dict(zip(made.schema.evidence, values, strict=True))
        if frozenset(asked.items()) in exact:
            continue
        answer = predictor.answer(asked)
        marked += 1
        assert not answer.supported
        assert answer.backoff_level == len(answer.left_out) > 0
        assert exact[frozenset(answer.used.items())].total() == answer.rows > 0
        assert "class" in answer.used
        for name in answer.left_out:  # no smaller back-off would do: the largest part was taken
            assert frozenset((answer.used | {name: asked[name]}).items()) not in exact
        for part in answer.never_together:
            assert frozenset(part.items()) not in exact
            assert all(frozenset(set(part.items()) - {item}) in exact for item in part.items())
    assert marked == 4 * 4 * 3 * 3 * 3 * 4 - sum(len(part) == 6 for part in exact)


def test_the_question_of_the_challenge(predictor: Predictor) -> None:
    answer = predictor.answer(ASKED)
    assert answer.price == "low"
    assert answer.probabilities["low"] == pytest.approx(2 / 3, abs=0.01)
    assert answer.probabilities["med"] == pytest.approx(1 / 3, abs=0.01)
    assert answer.probabilities["high"] + answer.probabilities["vhigh"] < 0.01
    assert not answer.supported
    assert (answer.backoff_level, answer.rows) == (2, 6)
    assert {"maint": "high", "class": "good"} in answer.never_together
    assert {"lug_boot": "big", "safety": "high", "class": "good"} in answer.never_together
    text = answer.text()
    assert "OUTSIDE the data's support" in text
    assert "back-off   level 2: left out maint, safety" in text


def test_without_the_class_no_price_is_named(predictor: Predictor) -> None:
    for known in ({}, {"maint": "high"}, {name: value for name, value in ASKED.items() if name != "class"}):
        answer = predictor.answer(known)
        assert answer.price is None
        assert set(answer.probabilities.values()) == {0.25}
        assert "without the class nothing is known" in answer.note
        assert "no answer" in answer.text()


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"maint": "hgih"}, "Allowed are: vhigh, high, med, low. Did you mean `high`?"),
        ({"doors": "5"}, "Allowed are: 2, 3, 4, 5more. Did you mean `5more`?"),
        ({"safety": "HIGH"}, "Did you mean `high`?"),
        ({"class": "very good"}, "Did you mean `vgood`?"),
        ({"persons": ""}, "`` is no value of persons"),
        ({"lugboot": "big"}, "Did you mean `lug_boot`?"),
        ({"buying": "low"}, "`buying` is no attribute of the question"),
        ({"class": "x" * 10000}, "..."),
    ],
)
def test_unknown_words_give_the_allowed_and_the_nearest(made: Rules, known: dict[str, str], problem: str) -> None:
    with pytest.raises(UnknownValueError) as caught:
        check(known, made.schema)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, ConfigError)
    assert caught.value.field == next(iter(known))
