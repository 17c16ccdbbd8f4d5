"""The models that are compared: each is trained on some rows and gives the prices' probabilities of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from section5 import posterior
from section5.data import Data
from section5.settings import Inverse

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Model = Callable[[Data, "Array", "Array"], "Array"]
"""Of the data, the rows to train on and the rows to predict: P(price), shape (rows to predict, prices)."""

UNASKED = "persons"  # the question does not tell it, and no model that is compared may use it
INVERSE = "inverse"
PRIOR = "prior"


def evidence(data: Data) -> list[str]:
    """The columns that the compared models may use."""
    return [name for name in data.schema.evidence if name != UNASKED]


def compared(inverse: Inverse) -> dict[str, Model]:
    """All models by name."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import CategoricalNB

    def boosting() -> Any:
        return GradientBoostingClassifier(random_state=0)  # 100 trees of depth 3

    def logistic() -> Any:
        return LogisticRegression(max_iter=500)

    return {
        PRIOR: prior,
        "logistic, all": _direct(logistic, one_hot=True),
        "logistic, class": _direct(logistic, one_hot=True, class_only=True),
        "boosting, all": _direct(boosting),
        "boosting, class": _direct(boosting, class_only=True),
        "naive Bayes": _direct(lambda: CategoricalNB(min_categories=4)),
        INVERSE: _inverse(inverse),
    }


def prior(data: Data, train: Array, test: Array) -> Array:
    """The prices' shares among the rows to train on, for every row."""
    import numpy as np

    prices = data.schema.shape[0]
    shares = np.bincount(data.column(data.schema.price)[train], minlength=prices) / len(train)
    return np.tile(shares, (len(test), 1))


def _direct(make: Callable[[], Any], *, one_hot: bool = False, class_only: bool = False) -> Model:
    """A model that learns the price from the other columns as they are."""

    def model(data: Data, train: Array, test: Array) -> Array:
        import numpy as np

        names = [data.schema.outcome] if class_only else evidence(data)
        if one_hot:
            features = np.hstack([np.eye(len(data.schema.columns[name]))[data.column(name)] for name in names])
        else:
            features = np.stack([data.column(name) for name in names], axis=1)
        price = data.column(data.schema.price)
        fitted = make().fit(features[train], price[train])
        return _all_labels(fitted, features[test], data.schema.shape[0])

    return model


def _inverse(settings: Inverse) -> Model:
    """The class is learned from all attributes; Bayes' rule then gives the price, with `persons` summed out."""

    def model(data: Data, train: Array, test: Array) -> Array:
        import numpy as np

        table = posterior.joint(likelihood(data, train, settings), data.schema)
        prices = posterior.conditional(table, data.schema, evidence(data))
        found: Array = np.moveaxis(prices, 0, -1)[tuple(data.column(name)[test] for name in evidence(data))]
        return found

    return model


def likelihood(data: Data, train: Array, settings: Inverse) -> Array:
    """P(class | attributes) of every combination, shape (combinations, classes), learned from the rows `train`.

    Multinomial logistic regression. As the attributes are ordered, each is coded as "at least its k-th value"; products
    of up to `interactions` of these say what several attributes do together. Convex: no seed, one solution.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    attributes = data.schema.shape[:-1]
    at_least = [data.codes[:, n] >= step for n, size in enumerate(attributes) for step in range(1, size)]
    steps = np.stack(at_least, axis=1).astype(float)
    seen = np.unique(data.classes[train])
    if len(seen) == 1:  # nothing to tell apart
        return np.tile(np.eye(data.schema.shape[-1])[seen[0]], (len(steps), 1))
    estimator = make_pipeline(
        PolynomialFeatures(settings.interactions, interaction_only=True, include_bias=False),
        LogisticRegression(C=settings.strength, max_iter=2000),
    ).fit(steps[train], data.classes[train])
    return _all_labels(estimator, steps, data.schema.shape[-1])


def fitted(data: Data, settings: Inverse) -> Array:
    """The likelihood, learned from all rows: the model that is kept."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return likelihood(data, np.arange(len(data.classes)), settings)


def _all_labels(estimator: Any, features: Array, labels: int) -> Array:
    """The estimator's probabilities, with columns of zeros for the labels that it has never seen."""
    import numpy as np

    probabilities = np.zeros((len(features), labels))
    probabilities[:, estimator.classes_] = estimator.predict_proba(features)
    return probabilities
