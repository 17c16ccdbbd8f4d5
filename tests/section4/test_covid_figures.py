"""What the reporting views and the charts make of totals."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from covid_api import FIRST, PATIENT, Api, Sql, elements, load, sends
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from batch.postgres import Database, connect
from section4 import chart, countries, figures
from section4.settings import ROOT, Settings
from section4.sources import Covid19Api, File, Sample

RECORDED = ROOT.parent / "shared" / "data" / "covid" / "covid19api_singapore_confirmed.json"
DAILY = """
    select day, total, cases, mean_7_days::float8, weekly_growth::float8, missing, shrunk
    from reporting.daily_cases order by day
"""
LATER = datetime(2024, 1, 1, tzinfo=UTC)
GRANTED = ["daily_cases", "freshness", "gap", "ingest", "revision"]


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answer is not here")
def test_the_recorded_answer(configured: Callable[..., Settings], sql: Sql, tmp_path: Path) -> None:
    (tmp_path / "singapore.json").symlink_to(RECORDED)
    load(configured(File(folder=str(tmp_path))), now=LATER)
    assert sql(
        "select count(*), count(*) filter (where cases < 0), count(*) filter (where cases = 0), max(cases), max(total),"
        " count(*) filter (where missing) from reporting.daily_cases"
    ) == [(1142, 0, 51, 39252, 2235294, 0)]
    assert sql("select day from reporting.daily_cases where cases = 39252") == [(date(2022, 3, 9),)]


@trials(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(totals=st.dictionaries(st.integers(0, 40), st.integers(0, 10_000), min_size=1))
def test_days_means_and_growth_are_of_calendar_days(totals: dict[int, int], sql: Sql) -> None:
    """Against the same figures, counted by hand from the totals by day."""
    sql("delete from covid.cases; insert into covid.country values ('SG', 'Singapore') on conflict do nothing")
    rows = [(FIRST + timedelta(days=number), total) for number, total in totals.items()]
    sql(
        "insert into covid.cases select 'SG', unnest(%s), unnest(%s), true",
        [[r[0] for r in rows], [r[1] for r in rows]],
    )

    def total(number: int) -> int | None:
        return totals.get(number)

    def difference(number: int, days: int) -> int | None:
        now, then = total(number), total(number - days)
        return None if now is None or then is None else now - then

    expected = []
    for number in range(min(totals), max(totals) + 1):
        week, before, one = difference(number, 7), difference(number - 7, 7), difference(number, 1)
        growth = pytest.approx(week / before - 1) if week is not None and before is not None and before > 0 else None
        mean = pytest.approx(week / 7) if week is not None else None
        day = FIRST + timedelta(days=number)
        expected.append((day, total(number), one, mean, growth, number not in totals, one is not None and one < 0))
    assert sql(DAILY) == expected
    missing = sql("select coalesce(sum(days), 0) from reporting.gap")[0][0]
    assert missing == sum(row[5] for row in expected)


def test_grafana_reads_the_views_and_nothing_else(sql: Sql) -> None:
    may = sql(
        "select n.nspname, c.relname, p.privilege_type from pg_class c join pg_namespace n on n.oid = c.relnamespace,"
        " lateral aclexplode(c.relacl) p join pg_roles r on r.oid = p.grantee where r.rolname = 'grafana' order by 2"
    )
    assert may == [("reporting", view, "SELECT") for view in GRANTED]
    for view in GRANTED:
        sql(f"select * from reporting.{view} limit 1", role="grafana")
    for statement in (
        "select * from covid.cases",
        "select * from public.schema_migration",
        "delete from reporting.revision",
        "create table public.mine (n integer)",
        "create temporary table mine (n integer)",
        "select covid.note_revisions()",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            sql(statement, role="grafana")
    assert sql(
        "select 'statement_timeout=10s' = any(rolconfig), 'default_transaction_read_only=on' = any(rolconfig),"
        " rolsuper or rolcreatedb or rolcreaterole from pg_roles where rolname = 'grafana'"
    ) == [(True, True, False)]


def test_panels_use_the_index(covid: Database, sql: Sql) -> None:
    """Two hundred countries: a dashboard reads one of them."""
    sql(
        "insert into covid.country select chr(65 + n / 26) || chr(65 + n % 26), n from generate_series(0, 199) n;"
        "insert into covid.cases select country_code, date '2020-01-23' + d, d * 10, true from covid.country,"
        " generate_series(0, 1141) d; analyze covid.cases"
    )
    plan = "\n".join(
        row[0] for row in sql("explain analyze select * from reporting.daily_cases where country_code = 'CB'")
    )
    assert "Seq Scan on cases" not in plan
    assert "cases_pkey" in plan


def test_the_sample_is_what_its_generator_makes_and_says_so(configured: Callable[..., Settings], sql: Sql) -> None:
    from section4 import sample

    for name in ("singapore", "malaysia"):
        path = ROOT / Sample().folder / f"{name}.json"
        assert path.read_bytes() == sample.answer(countries.find(name))
    load(configured(Sample()), now=LATER)
    assert sql("select kind, last_status, left(origin, 9) from reporting.freshness") == [
        ("synthetic", "loaded", "SYNTHETIC")
    ]
    assert sql("select count(*) filter (where shrunk), count(*) filter (where missing) from reporting.daily_cases") == [
        (1, 2)
    ]


def test_a_chart_is_a_picture_and_a_page_that_needs_nothing(
    api: Api, configured: Callable[..., Settings], covid: Database, tmp_path: Path
) -> None:
    api.answers = [sends([*elements([10, 20, 15]), *elements([30, 50], FIRST + timedelta(days=5))])]
    settings = configured(Covid19Api(base_url=api.url, limits=PATIENT))
    load(settings)
    with connect(covid, "tests") as connection:
        shown = figures.read(connection, settings.chosen())
    assert len(shown) == 1
    assert figures.legend(shown[0])["daily cases"] == (-5, 20, pytest.approx(25 / 3), 20)
    text = figures.as_text(shown[0])
    assert "2020-01-23 to 2020-01-29, 5 days, 2 missing; last total 50" in text
    assert "0 days without a case, 1 negative, most 20 on 2020-01-29" in text
    page, picture = chart.draw(shown[0], tmp_path)
    html = page.read_text()
    assert "<svg" in html and "daily cases" in html and "figures from covid19api" in html
    assert "<link" not in html and "<script" not in html and "src=" not in html
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (1400, 600)
    before = page.read_bytes(), picture.read_bytes()
    chart.draw(shown[0], tmp_path)
    assert (page.read_bytes(), picture.read_bytes()) == before
