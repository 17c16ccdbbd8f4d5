"""From what is known of a car to its price, with a word on whether the data knows such cars at all."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec

from batch import config
from batch.errors import ConfigError
from section5 import posterior
from section5.artefact import Artefact
from section5.data import Data
from section5.posterior import Sums
from section5.rules import Schema

SAME = 0.03  # prices whose probabilities differ by less are equally likely: the model is up to 0.03 off the data
Known = dict[str, str]


class UnknownValueError(ConfigError):
    """A value, or an attribute, that the data does not have; `field` is the attribute's name as it was given."""

    def __init__(self, field: str, what: str, *, where: str, hint: str) -> None:
        super().__init__(what, where=where, hint=hint)
        self.field = field


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction. Where the data has no row as asked (`supported` is false), it rests on `used` instead."""

    asked: Known
    price: str | None
    """The most likely price; null where several are equally likely."""
    equally_likely: list[str]
    probabilities: dict[str, float]
    supported: bool
    rows: int
    """How many rows of the data agree with `used`."""
    backoff_level: int
    """How many attributes had to be left out; 0 where the question is supported."""
    used: Known
    left_out: list[str]
    never_together: list[Known]
    """Why: the smallest parts of the question that no row has."""
    note: str

    def text(self) -> str:
        """For a person."""
        shares = ", ".join(f"{name} {share:.1%}" for name, share in _by_share(self.probabilities))
        likely = self.price or f"no answer, {' and '.join(self.equally_likely)} are equally likely"
        lines = [f"asked      {_text(self.asked)}", f"price      {likely} ({shares})", f"note       {self.note}"]
        if not self.supported:
            lines += [f"never      {_text(together)}" for together in self.never_together]
            lines.append(f"back-off   level {self.backoff_level}: left out {', '.join(self.left_out)}")
        lines.append(f"rests on   {_text(self.used)} ({self.rows:,} rows)")
        return "\n".join(lines)


class Predictor:
    """A trained model together with the data that says what it may be asked."""

    def __init__(self, trained: Artefact, data: Data) -> None:
        import numpy as np

        self.schema, self.trained = data.schema, trained
        self._counts = Sums(data.counts(), data.schema)
        self._joint = Sums(posterior.joint(np.array(trained.likelihood), data.schema), data.schema)

    def answer(self, known: Mapping[str, str]) -> Answer:
        """The price of a car of which this is known, which may be nothing. Raises UnknownValueError."""
        asked = check(known, self.schema)
        used = self._supported(asked)
        shares = self._joint.by_price(used)
        shares = shares / shares.sum()
        probabilities = {
            name: round(float(share), 4)
            for name, share in zip(self.schema.columns[self.schema.price], shares, strict=True)
        }
        likely = [name for name, share in probabilities.items() if share > max(probabilities.values()) - SAME]
        left_out = [name for name in asked if name not in used]
        return Answer(
            asked=asked,
            price=likely[0] if len(likely) == 1 else None,
            equally_likely=likely if len(likely) > 1 else [],
            probabilities=probabilities,
            supported=not left_out,
            rows=self._rows(used),
            backoff_level=len(left_out),
            used=used,
            left_out=left_out,
            never_together=list(self._conflicts(asked)) if left_out else [],
            note=self._note(asked, used),
        )

    def _rows(self, known: Known) -> int:
        return int(self._counts.total(known))

    def _supported(self, asked: Known) -> Known:
        """The largest part of the question that the data has rows for; of several, that with the most rows.

        The class is left out last: by design of the data, the other attributes say nothing of the price without it.
        """
        outcome = self.schema.outcome
        for size in range(len(asked), 0, -1):
            parts = [part for part in _parts(asked, size) if outcome in part or outcome not in asked]
            best = max(parts, key=self._rows, default={})
            if best and self._rows(best):
                return best
        return {}

    def _conflicts(self, asked: Known) -> Iterator[Known]:
        """The parts of the question that no row has although each part of them occurs."""
        found: list[Known] = []
        for size in range(1, len(asked) + 1):
            for part in _parts(asked, size):
                if not self._rows(part) and not any(smaller.items() <= part.items() for smaller in found):
                    found.append(part)
                    yield part

    def _note(self, asked: Known, used: Known) -> str:
        if used != asked:
            return "OUTSIDE the data's support: no row has all that is asked, so less of it is answered"
        if self.schema.outcome not in asked:
            return f"without the {self.schema.outcome} nothing is known: the rest is the same for every price"
        return "within the data's support"


def check(known: Mapping[str, str], schema: Schema) -> Known:
    """What is known, in the schema's order. Raises UnknownValueError with what is allowed and what is nearest."""
    for name, value in known.items():
        if name not in schema.evidence:
            hint = config.suggest(name, schema.evidence)
            raise UnknownValueError(
                name, f"`{shown(name)}` is no attribute of the question", where="question", hint=hint
            )
        values = schema.columns[name]
        if value not in values:
            hint = f"Allowed are: {', '.join(values)}.{_nearest(value, values)}"
            raise UnknownValueError(name, f"`{shown(value)}` is no value of {name}", where=name, hint=hint)
    return {name: known[name] for name in schema.evidence if name in known}


def shown(word: str) -> str:
    """A word that somebody sent, short and in characters that can be written."""
    return word[:40].encode(errors="replace").decode() + "..." * (len(word) > 40)


def _nearest(value: str, values: list[str]) -> str:
    """The value that was probably meant, as a sentence; empty where none is like it."""
    if not (text := value.strip().lower()[:40]):
        return ""
    same_start = [name for name in values if name.startswith(text) or text.startswith(name)]
    close = same_start or difflib.get_close_matches(text, values, n=1, cutoff=0.4)
    return f" Did you mean `{close[0]}`?" if close else ""


def _parts(known: Known, size: int) -> Iterator[Known]:
    return (dict(part) for part in combinations(known.items(), size))


def _text(known: Known) -> str:
    return ", ".join(f"{name}={value}" for name, value in known.items()) or "nothing"


def _by_share(probabilities: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(probabilities.items(), key=lambda item: -item[1])
