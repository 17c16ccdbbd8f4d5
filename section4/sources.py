"""Where figures come from. Each source is asked for a country's totals, and its answer is made into rows.

The interface is small: `address` says where, `read` fetches, `rows` understands what came.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, TypeVar

import msgspec

from batch.errors import DataError, InputError
from section4 import fetch
from section4.countries import Country
from section4.fetch import Answer, Limits, Validators
from section4.series import Row, Total

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
JSON = ("application/json", "text/json")

Kind = Literal["live", "recorded", "synthetic"]
RANK: dict[str, int] = {"synthetic": 0, "recorded": 1, "live": 2}
"""What counts for more: figures of a lower kind never replace those of a higher one."""


class Source(Protocol):
    """A source of totals; its `kind` says what its figures are worth."""

    kind: ClassVar[Kind]

    @property
    def name(self) -> str:
        """What the database and messages call it."""

    def address(self, country: Country, since: date | None, today: date) -> str:
        """The URL or path that has the totals from `since` on, or all of them; it may give more than was asked for."""

    def read(self, address: str, known: Validators) -> Answer:
        """Fetch; no body where it has not changed since `known`. Raises InputError."""

    def rows(self, body: bytes, country: Country) -> Iterator[Row]:
        """The rows in a body, in any order. Raises DataError where it is not what the source is known to send."""


class _Configured(msgspec.Struct, forbid_unknown_fields=True, tag_field="type"):
    """A source as the YAML has it; `type` chooses which."""

    kind: ClassVar[Kind] = "live"

    @property
    def name(self) -> str:
        """Its type."""
        return str(self.__struct_config__.tag)


class _Confirmed(msgspec.Struct):
    """One element of the covid19api's answer; the keys that are not named here say nothing about totals."""

    Cases: Total
    Date: datetime
    Status: Literal["confirmed"] = "confirmed"
    Province: str = ""


def confirmed(body: bytes) -> Iterator[Row]:
    """The rows of an answer in the shape of covid19api's `/country/{slug}/status/confirmed`."""
    found = _decode(body, list[_Confirmed])
    provinces = {element.Province for element in found}
    if len(provinces) > 1:
        raise DataError(
            f"the answer has {len(provinces)} provinces, not the country as one",
            hint="Set `path: /total/country/{slug}/status/confirmed` for this source.",
        )
    for element in found:
        at = element.Date if element.Date.tzinfo else element.Date.replace(tzinfo=UTC)
        yield Row(at.astimezone(UTC).date(), element.Cases)


class Covid19Api(_Configured, tag="covid19api", kw_only=True):
    """The API of covid19api.com, at whatever address it is to be had today; its own host is gone."""

    base_url: Annotated[str, msgspec.Meta(pattern="^https?://")]
    path: Annotated[str, msgspec.Meta(pattern=r"\{slug\}")] = "/country/{slug}/status/confirmed"
    limits: Limits = Limits()

    def address(self, country: Country, since: date | None, today: date) -> str:
        """With `from` and `to`, both included."""
        asked = f"?from={since}T00:00:00Z&to={today}T23:59:59Z" if since else ""
        return self.base_url.rstrip("/") + self.path.format(slug=country.slug) + asked

    def read(self, address: str, known: Validators) -> Answer:
        """GET."""
        return fetch.get(address, JSON, self.limits, known)

    def rows(self, body: bytes, country: Country) -> Iterator[Row]:
        """An array with an element a day."""
        return confirmed(body)


class _Timeline(msgspec.Struct):
    cases: dict[str, Total]


class _Historical(msgspec.Struct):
    timeline: _Timeline


class DiseaseSh(_Configured, tag="disease_sh", kw_only=True):
    """disease.sh: `/v3/covid-19/historical/{country}`, the Johns Hopkins figures up to 2023-03-09."""

    base_url: Annotated[str, msgspec.Meta(pattern="^https?://")] = "https://disease.sh"
    limits: Limits = Limits()

    def address(self, country: Country, since: date | None, today: date) -> str:
        """With `lastdays`, counted back from today."""
        days = (today - since).days + 1 if since else "all"
        return f"{self.base_url.rstrip('/')}/v3/covid-19/historical/{country.code}?lastdays={days}"

    def read(self, address: str, known: Validators) -> Answer:
        """GET."""
        return fetch.get(address, JSON, self.limits, known)

    def rows(self, body: bytes, country: Country) -> Iterator[Row]:
        """Totals by day; days are written like 3/9/23."""
        for text, total in _decode(body, _Historical).timeline.cases.items():
            try:
                yield Row(datetime.strptime(text, "%m/%d/%y").date(), total)
            except ValueError as error:
                raise DataError(f"`{text[:40]}` is no day like 3/9/23", where="timeline.cases") from error


class Owid(_Configured, tag="owid", kw_only=True):
    """Our World in Data: one CSV file with all countries, which holds WHO's figures."""

    url: Annotated[str, msgspec.Meta(pattern="^https?://")] = (
        "https://catalog.ourworldindata.org/garden/covid/latest/compact/compact.csv"
    )
    limits: Limits = Limits(deadline=300.0, max_bytes=256 << 20)

    def address(self, country: Country, since: date | None, today: date) -> str:
        """The whole file: parts of it cannot be asked for, but whether it has changed can."""
        return self.url

    def read(self, address: str, known: Validators) -> Answer:
        """GET."""
        return fetch.get(
            address, ("text/csv", "text/plain", "application/octet-stream", "binary/octet-stream"), self.limits, known
        )

    def rows(self, body: bytes, country: Country) -> Iterator[Row]:
        """The country's rows; those without a total are left out."""
        lines = csv.reader(io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", errors="strict", newline=""))
        try:
            head = next(lines, [])
            code = next((head.index(name) for name in ("code", "iso_code") if name in head), -1)
            if code < 0 or not {"date", "total_cases"} <= set(head):
                raise DataError("there are no columns code (or iso_code), date and total_cases", where="line 1")
            day, total = head.index("date"), head.index("total_cases")
            for fields in lines:
                if len(fields) != len(head):
                    raise DataError(f"{len(fields)} fields instead of {len(head)}", where=f"line {lines.line_num}")
                if fields[code] == country.code3 and fields[total]:
                    yield Row(_iso_day(fields[day], lines.line_num), _whole(fields[total], lines.line_num))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"not a CSV file: {error}", where=f"line {lines.line_num}") from error


class Recorded(_Configured, kw_only=True):
    """Recorded answers of the covid19api, one file for each country: `{slug}.json` in a folder."""

    kind: ClassVar[Kind] = "recorded"
    folder: Annotated[str, msgspec.Meta(min_length=1)]

    def address(self, country: Country, since: date | None, today: date) -> str:
        """The file; it holds everything."""
        return str(ROOT / self.folder / f"{country.slug}.json")

    def read(self, address: str, known: Validators) -> Answer:
        """Read the file, unless its size and time are those that are known."""
        path = Path(address)
        try:
            stat = path.stat()
            mark = Validators(etag=f"{stat.st_size}-{stat.st_mtime_ns}")
            return Answer(None if mark == known else path.read_bytes(), mark)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=address) from error

    def rows(self, body: bytes, country: Country) -> Iterator[Row]:
        """As the covid19api's."""
        return confirmed(body)


class File(Recorded, tag="file", kw_only=True):
    """Recorded answers that somebody has put there."""

    folder: Annotated[str, msgspec.Meta(min_length=1)] = "section4/resource/recorded"


class Sample(Recorded, tag="sample", kw_only=True):
    """A made-up epidemic in the shape of a recorded answer: `python3 -m section4.sample` makes it."""

    kind: ClassVar[Kind] = "synthetic"
    folder: Annotated[str, msgspec.Meta(min_length=1)] = "section4/resource/sample"


AnySource = Covid19Api | DiseaseSh | Owid | File | Sample


def _decode(body: bytes, kind: type[T]) -> T:
    """The JSON in a body. Raises DataError: with an error object's own words where it is one, else with the place."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `")
        raise DataError(_own_words(body) or f"unexpected answer: {what}", where=at.rstrip("`")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the answer is not whole JSON: {error}") from error


def _own_words(body: bytes) -> str:
    """What an error object says: the texts in it; empty for anything else."""
    said = msgspec.json.decode(body)
    if not isinstance(said, dict) or not said:
        return ""
    texts = [value for value in said.values() if isinstance(value, str) and value]
    return f"the answer is an error: {'; '.join(texts)[:200] or 'it has the keys ' + ', '.join(said)[:200]}"


def _iso_day(text: str, line: int) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"`{text[:40]}` is no day like 2023-03-09", where=f"line {line}") from error


def _whole(text: str, line: int) -> int:
    try:
        value = float(text)
        if value.is_integer():
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise DataError(f"`{text[:40]}` is no number of people", where=f"line {line}")
