"""Bayes' rule on the grid: from the probability of every combination to that of each price, whatever is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from section5.rules import Schema

if TYPE_CHECKING:
    import numpy as np

    Table = np.ndarray[Any, Any]
    """One number for each combination of all columns: an array with one axis a column, in the schema's order."""


class Bound(NamedTuple):
    """What no model can beat: `accuracy` from above, `log_loss` (in nats) from below."""

    accuracy: float
    log_loss: float


class Sums:
    """A table (of counts, or a joint probability) summed up over whatever is not known, looked up in microseconds."""

    def __init__(self, table: Table, schema: Schema) -> None:
        import numpy as np

        for axis in range(1, table.ndim):  # the last position of an axis is the sum over all its values: not known
            table = np.concatenate([table, table.sum(axis=axis, keepdims=True)], axis=axis)
        self._by_price = np.moveaxis(table, 0, -1)
        self._total = table.sum(axis=0)
        self._codes = {name: {value: n for n, value in enumerate(schema.columns[name])} for name in schema.evidence}

    def by_price(self, known: Mapping[str, str]) -> np.ndarray[Any, Any]:
        """One number for each price, shape (prices,), over all that agrees with what is known.

        Of counts these are rows; of a joint probability, they are in proportion to the posterior of the price. The
        columns and values in `known` must be the schema's.
        """
        found: np.ndarray[Any, Any] = self._by_price[self._place(known)]
        return found

    def total(self, known: Mapping[str, str]) -> float:
        """The sum over all prices."""
        return float(self._total[self._place(known)])

    def _place(self, known: Mapping[str, str]) -> tuple[int, ...]:
        return tuple([codes[known[name]] if name in known else -1 for name, codes in self._codes.items()])


def joint(likelihood: np.ndarray[Any, Any], schema: Schema) -> Table:
    """The joint probability of all columns, of P(class | attributes) in shape (combinations, classes).

    Every combination of the attributes is as frequent as any other: that is how the data was made (a full factorial).
    """
    table: Table = likelihood.reshape(schema.shape) / len(likelihood)
    return table


def conditional(table: Table, schema: Schema, given: Iterable[str]) -> np.ndarray[Any, Any]:
    """P(price | the columns in `given`) for all their values: shape (prices, ...), one axis a column, in that order.

    Where nothing has these values (0 / 0), every price is given the same probability.
    """
    import numpy as np

    names, given = schema.names, list(given)
    kept = [names.index(schema.price), *(names.index(name) for name in given)]
    sums = np.einsum(table, range(len(names)), kept)
    total = sums.sum(axis=0, keepdims=True)
    shares: np.ndarray[Any, Any] = np.divide(sums, total, out=np.full_like(sums, 1 / len(sums)), where=total > 0)
    return shares


def ceiling(counts: Table, schema: Schema, given: Iterable[str]) -> Bound:
    """The best accuracy and log-loss that a prediction from the columns in `given` can have, in the whole data.

    Such a prediction is one distribution for all rows that agree in these columns. Their most frequent price gives the
    best accuracy; the shares of their prices give the best log-loss, which then is the conditional entropy
    H(price | given) (Gibbs' inequality; Cover and Thomas, Elements of Information Theory, 2.6).
    """
    import numpy as np

    names = schema.names
    kept = [names.index(schema.price), *(names.index(name) for name in given)]
    rows = np.einsum(counts, range(len(names)), kept).reshape(schema.shape[0], -1)
    shares = np.divide(rows, rows.sum(axis=0), out=np.ones_like(rows), where=rows > 0)
    return Bound(float(rows.max(axis=0).sum() / rows.sum()), float(-(rows * np.log(shares)).sum() / rows.sum()))
