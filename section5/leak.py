"""How ordinary cross-validation leaks on a full factorial: a predictor that only counts, and learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from section5 import models, posterior
from section5.data import Data

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TIE = 1e-3


def least_seen(data: Data, train: Array, test: Array) -> Array:
    """P(price) in proportion to how many rows of the same cell are held back: shape (rows to predict, prices).

    A cell (maint, doors, lug_boot, safety) has as many rows of each price. Those that were not trained on are held
    back, so the least seen price is the most likely. Ties go to the price that is the most frequent for the class,
    too, in such cells: that alone can never be right more often than the ceiling.
    """
    import numpy as np

    known = models.evidence(data)
    cell = tuple(data.column(name) for name in known if name != data.schema.outcome)
    price = data.column(data.schema.price)
    shape = (*(len(data.schema.columns[name]) for name in known if name != data.schema.outcome), data.schema.shape[0])
    seen, there = np.zeros(shape), np.zeros(shape)
    np.add.at(seen, tuple(column[train] for column in (*cell, price)), 1)
    np.add.at(there, (*cell, price), 1)
    exact = np.moveaxis(posterior.conditional(data.counts(), data.schema, known), 0, -1)
    held_back = (there - seen)[tuple(column[test] for column in cell)]
    weights = held_back + TIE * exact[tuple(data.column(name)[test] for name in known)]
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares
