"""Dates against Python's own calendar; and every birth date of the published applications against a second proof."""

from __future__ import annotations

import csv
import hashlib
import hmac
import re
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.errors import ConfigError
from section1 import dates, days, job
from section1.dates import AMBIGUOUS, OK, STATUSES, UNREADABLE, Decision, Evidence, Shape
from section1.days import Known
from section1.settings import load

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

DATA = Path(__file__).parents[2] / "../shared/data/membership"
SHAPES = ["9999-99-99", "9999/99/99", "99-99-9999", "99/99/9999", "99.99.9999", "99 99 9999", "99/9999/99"]
ORDERS = ("month_first", "day_first")


def decided(order: str, basis: str = "declared") -> Decision:
    return Decision(order, basis, Evidence())


def written(shape: str, order: str, year: int, month: int, day: int) -> str:
    parts = iter((month, day) if order == "month_first" else (day, month))
    return re.sub(r"9{4}|9{2}", lambda group: f"{year:04}" if len(group[0]) == 4 else f"{next(parts):02}", shape)


def read(texts: list[str], decisions: dict[str, Decision]) -> list[tuple[int, date | None]]:
    shapes = [dates.parse_shape(shape) for shape in decisions]
    days, status = dates.read(len(texts), dates.readings(pa.array(texts, pa.string()), shapes), decisions)
    found = zip(map(int, status), map(int, days), strict=True)
    return [(kind, date.fromordinal(dates.EPOCH + day) if kind == OK else None) for kind, day in found]


def calendar(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_day_comes_back(shape: str, order: str) -> None:
    some = [date.min + timedelta(days=n) for n in range(0, date.max.toordinal(), 97)] + [date.max]
    some += [date(2000, 1, 1) + timedelta(days=n) for n in range(366)]
    texts = [written(shape, order, day.year, day.month, day.day) for day in some]
    assert read(texts, {shape: decided(order)}) == [(OK, day) for day in some]


@pytest.mark.parametrize("year", [0, 1, 4, 100, 400, 1582, 1899, 1900, 1996, 1999, 2000, 2100, 9999])
def test_every_pair_of_numbers_is_a_day_or_is_not(year: int) -> None:
    pairs = [(first, second) for first in range(100) for second in range(100)]
    texts = [f"{year:04}-{first:02}-{second:02}" for first, second in pairs]
    for order in ORDERS:
        days = [calendar(year, *(pair if order == "month_first" else pair[::-1])) for pair in pairs]
        expected = [(OK if day else UNREADABLE, day) for day in days]
        assert read(texts, {"9999-99-99": decided(order)}) == expected


texts = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[0-9]{2}[-/][0-9]{2}[-/][0-9]{4}", fullmatch=True),
    st.builds("{:02}/{:02}/{}".format, st.integers(0, 13), st.integers(0, 32), st.sampled_from([0, 1996, 1999])),
    st.builds("{:02}-{:02}-{}".format, st.integers(0, 32), st.integers(0, 13), st.sampled_from([1900, 2000])),
)


def readings(text: str, shape: str) -> tuple[date | None, date | None]:
    """A text of this shape as month first and as day first."""
    if re.sub("[0-9]", "9", text) != shape or re.search("[^0-9/-]", text):
        return None, None
    first, second, year = map(int, re.findall("[0-9]+", text))
    return calendar(year, first, second), calendar(year, second, first)


@settings(max_examples=300)
@given(st.lists(texts, max_size=20), st.sampled_from([*ORDERS, "reject"]), st.integers(0, 5))
def test_nothing_is_guessed(batch: list[str], fallback: str, before: int) -> None:
    shapes = ["99/99/9999", "99-99-9999"]
    values = pa.array(["x"] * before + batch, pa.string()).slice(before)
    evidence = dates.evidence(dates.readings(values, [dates.parse_shape(shape) for shape in shapes]))
    decisions = {shape: dates.decide("infer", fallback, evidence.get(shape, Evidence())) for shape in shapes}
    found = read(batch, decisions)
    for shape in shapes:
        rows = [(readings(text, shape), result) for text, result in zip(batch, found, strict=True)
                if re.fullmatch(re.escape(shape).replace("9", "[0-9]"), text)]  # fmt: skip
        kinds = Counter(_kind(*both) for both, _ in rows)
        counted = evidence.get(shape, Evidence())
        assert counted == Evidence(**kinds)
        assert counted.rows == len(rows)
        proven = [order for order in ORDERS if kinds[order]]
        order = proven[0] if len(proven) == 1 else fallback
        for (month_first, day_first), result in rows:
            match _kind(month_first, day_first), order:
                case "impossible", _:
                    assert result == (UNREADABLE, None)
                case (("month_first" | "same"), _):
                    assert result == (OK, month_first)
                case "day_first", _:
                    assert result == (OK, day_first)
                case _, "reject":
                    assert result == (AMBIGUOUS, None)
                case _:
                    assert result == (OK, month_first if order == "month_first" else day_first)
    for text, result in zip(batch, found, strict=True):
        if not any(re.fullmatch(shape.replace("9", "[0-9]"), text) for shape in shapes):
            assert result == (UNREADABLE, None)


def _kind(month_first: date | None, day_first: date | None) -> str:
    if month_first and day_first:
        return "same" if month_first == day_first else "either"
    return "month_first" if month_first else "day_first" if day_first else "impossible"


@pytest.mark.parametrize("fallback", [*ORDERS, "reject"])
@pytest.mark.parametrize(
    ("month_first", "day_first", "order", "basis"),
    [
        (3, 0, "month_first", "inferred"),
        (0, 1, "day_first", "inferred"),
        (1, 1, "", "fallback, as both orders are proven"),
        (0, 0, "", "fallback, as no row proves an order"),
    ],
)
def test_decide(month_first: int, day_first: int, order: str, basis: str, fallback: str) -> None:
    evidence = Evidence(month_first=month_first, day_first=day_first, either=9, same=9, impossible=9)
    fell_back = "" if fallback == "reject" else fallback
    assert dates.decide("infer", fallback, evidence) == Decision(order or fell_back, basis, evidence)
    for declared in ORDERS:
        assert dates.decide(declared, fallback, evidence) == Decision(declared, "declared", evidence)


def test_a_declared_order_is_the_only_one_tried() -> None:
    found = read(["25/12/1999", "12/25/1999", "01/02/1999"], {"99/99/9999": decided("month_first")})
    assert found == [(UNREADABLE, None), (OK, date(1999, 12, 25)), (OK, date(1999, 1, 2))]


def test_evidence_adds_up() -> None:
    total = Evidence(1, 2, 3, 4, 5)
    total.add(Evidence(10, 20, 30, 40, 50))
    assert (total, total.rows) == (Evidence(11, 22, 33, 44, 55), 165)


@pytest.mark.parametrize("values", [[], [""], ["", ""], ["", "01/02/1999"]])
def test_empty_texts(values: list[str]) -> None:
    found = read(values, {"99/99/9999": decided("day_first")})
    assert [status for status, _ in found] == [OK if value else UNREADABLE for value in values]


def test_shapes() -> None:
    assert dates.parse_shape("99/99/9999") == Shape("99/99/9999", (6, 7, 8, 9), (0, 1), (3, 4))
    wrong_ones = "9999", "99/99/99", "9999/9999/99", "99/99/9999/99", "9/99/9999", "99\u200799/9999", "dd/mm/yyyy"
    for wrong in ("", *wrong_ones):
        with pytest.raises(ConfigError, match="is not the shape of a date"):
            dates.parse_shape(wrong)


@given(st.lists(st.dates(), max_size=20), st.binary(max_size=20))
def test_the_columns_of_a_date(some: list[date], key: bytes) -> None:
    found = read(["x", *(f"{day:%d/%m/}{day.year:04}" for day in some)], {"99/99/9999": decided("day_first")})
    assert [day for _, day in found] == [None, *some]
    shapes = [dates.parse_shape("99/99/9999")]
    values = pa.array(["x", *(f"{day:%d/%m/}{day.year:04}" for day in some)], pa.string())
    read_as = dates.read(len(values), dates.readings(values, shapes), {"99/99/9999": decided("day_first")})
    places, known = Known("b", key).dated(*read_as)
    columns = known.take(pa.array(places)).to_pydict()
    texts = [day.isoformat().replace("-", "") for day in some]
    sign = hmac.new(key, b"", "sha256") if key else hashlib.sha256()
    digests = []
    for text in texts:
        one = sign.copy()
        one.update(text.encode())
        digests.append(one.hexdigest())
    assert columns == {
        "b_date": [None, *some],
        "b_ymd": [None, *texts],
        "b_digest": [None, *digests],
        "b_status": ["unreadable", *["ok"] * len(some)],
    }


def test_the_check_value_of_the_challenge() -> None:
    found = dates.readings(pa.array(["1971-07-03"]), [dates.parse_shape("9999-99-99")])
    places, known = Known("b", b"").dated(*dates.read(1, found, {"9999-99-99": decided("month_first")}))
    assert known["b_digest"][places[0]].as_py().startswith("fc7cb")


@given(st.lists(st.lists(st.one_of(st.dates(), st.sampled_from(["unreadable", "ambiguous"])), max_size=8), max_size=6))
@pytest.mark.parametrize(("most", "span"), [(0, 256), (7, 256), (7, 2), (50_000, 1), (50_000, 2)])
def test_readings_that_were_known_before_stay_as_they_are(most: int, span: int, parts: list[list[date | str]]) -> None:
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "MOST_KNOWN", most)  # so few that some are forgotten
        patch.setattr(days, "SPAN", span)
        known = Known("b", b"")
        for part in parts:
            numbers = [(day - date(1970, 1, 1)).days if isinstance(day, date) else 0 for day in part]
            status = [OK if isinstance(day, date) else STATUSES.index(day) for day in part]
            found.append(known.dated(np.array(numbers, np.int32), np.array(status, np.int8)))
            assert len(found[-1].known) <= max(min(most, 2 + sum(map(len, parts))), 2 + max(map(len, parts)))
    for part, (places, readings) in zip(parts, found, strict=True):
        rows = readings.take(pa.array(places)).to_pylist()
        assert [row["b_date"] or row["b_status"] for row in rows] == part
        assert [row["b_ymd"] for row in rows] == [
            day.isoformat().replace("-", "") if isinstance(day, date) else None for day in part
        ]


def test_where_days_are_many_those_near_them_are_learned_too() -> None:
    known, first = Known("b", b""), -719_162  # 0001-01-01
    readable = np.full(2000, OK, np.int8)
    _, before = known.dated(np.arange(2000, dtype=np.int32) // 2, readable)
    days_known = before["b_date"].drop_null().to_pylist()
    assert len(set(days_known)) == len(days_known) == 5 * 256
    _, after = known.dated(np.full(2000, 999 + 20, np.int32), readable)
    assert after is before
    _, ends = known.dated(np.repeat([first, first + days.DAYS - 1], 1000).astype(np.int32), readable)
    assert {date.min, date.max} < set(ends["b_date"].to_pylist())
    _, few = known.dated(np.array([20_000], np.int32), readable[:1])
    assert len(few) == len(ends) + 1


# The published applications, judged by plain Python

FORMATS = {"9999-99-99": "%Y-%m-%d", "9999/99/99": "%Y/%m/%d", "99-99-9999": "%d-%m-%Y", "99/99/9999": "%m/%d/%Y"}
TITLE = re.compile(r"^(?:(?:Mr|Mrs|Ms|Miss|Dr)\.? )+")
SUFFIX = re.compile(r"(?: (?:MD|DDS|DVM|PhD|Jr|III|II)\.?)+$")


def verdict(row: dict[str, str]) -> tuple[str, list[str], list[str]]:
    """above_18 (empty where not known), the failed rules, and the fields of a success."""
    try:
        shape = re.sub("[0-9]", "9", row["date_of_birth"])
        birth = datetime.strptime(row["date_of_birth"], FORMATS[shape]).date()
    except ValueError:
        birth = None
    mobile = row["mobile_no"].replace(" ", "").replace("-", "")
    above = "" if birth is None else str(birth <= date(2004, 1, 1)).lower()
    failed = {
        "mobile": not re.fullmatch("[0-9]{8}", mobile),
        "email": not re.fullmatch(r"[A-Za-z0-9_]+@[A-Za-z-]+[.](com|net)", row["email"]),
        "date": birth is None,
        "birth_year": birth is not None and not 1900 <= birth.year <= 2022,
        "age": above == "false",
    }
    first, _, last = SUFFIX.sub("", TITLE.sub("", row["name"])).partition(" ")
    ymd = "" if birth is None else birth.strftime("%Y%m%d")
    minted = f"{last}_{hashlib.sha256(ymd.encode()).hexdigest()[:5]}"
    success = [first, last, ymd, mobile, row["email"], "true", minted]
    return above, [name for name, fails in failed.items() if fails], success


@pytest.mark.skipif(not DATA.exists(), reason="the published applications are not here")
def test_no_birth_date_of_the_published_applications_is_wrong(tmp_path: Path) -> None:
    accepted: list[list[str]] = []
    rejected: list[list[str]] = []
    reasons: Counter[str] = Counter()
    spaced: list[bool] = []
    per_file = []
    for path in sorted(DATA.glob("*.csv")):
        before = len(accepted)
        with open(path, newline="", encoding="ascii") as file:
            for number, row in enumerate(csv.DictReader(file), 1):
                above, failed, success = verdict(row)
                reasons.update(failed)
                if failed:
                    rejected.append([*row.values(), path.name, str(number), above, ";".join(failed)])
                else:
                    accepted.append(success)
                # the second proof: one source writes its mobiles so, and its dates month first
                if "mobile" not in failed:
                    slashed = bool(re.fullmatch("[0-9]{2}/[0-9]{2}/[0-9]{4}", row["date_of_birth"]))
                    assert slashed == bool(re.fullmatch("[0-9]{4} [0-9]{4}", row["mobile_no"]))
                    spaced.append(slashed)
        per_file.append(len(accepted) - before)
    assert (len(accepted), len(rejected), per_file, sum(spaced)) == (706, 4293, [294, 412], 304)
    assert reasons == {"mobile": 3758, "email": 1476, "age": 1063, "date": 1, "birth_year": 1}

    summary = job.process(load("section1_process.yaml", [], source=str(DATA), destination=str(tmp_path)))
    assert (summary.successful, summary.unsuccessful, summary.reasons) == (706, 4293, dict(reasons))
    assert (summary.shared_ids, summary.rows_sharing_ids) == (1, 2)
    for folder, expected in (("successful_application", accepted), ("unsuccessful_application", rejected)):
        with open(tmp_path / folder / "applications.csv", newline="", encoding="utf-8") as file:
            assert list(csv.reader(file))[1:] == expected
