"""What a load asks for, writes, revises, holds back and keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from covid_api import FIRST, NOW, PATIENT, Api, Sql, elements, load, sends

from batch.errors import BusyError, DataError, EngineError
from batch.postgres import connect
from section4 import ingest, store
from section4.settings import Settings
from section4.sources import Covid19Api, DiseaseSh, File, Owid, Sample

LATER = datetime(2024, 1, 1, tzinfo=UTC)
TOTALS = "select total from covid.cases order by country_code, day"


def test_a_second_load_writes_nothing(api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements(range(30)))]
    load(asking)
    before = sql("select ctid, xmin, * from covid.cases order by day")
    done = load(asking)[0]
    assert (done.inserted, done.updated, done.unchanged) == (0, 0, 30)
    assert sql("select ctid, xmin, * from covid.cases order by day") == before
    assert sql("select count(*) from covid.ingest") == [(2,)]


def test_only_what_is_missing_and_a_window_is_asked_for(api: Api, asking: Settings) -> None:
    api.answers = [sends(elements(range(30)))]
    load(asking)
    load(asking)
    load(asking, full=True)
    last = FIRST + timedelta(days=29)
    path = "/country/singapore/status/confirmed"
    assert [request for request, _ in api.requests] == [
        path,
        f"{path}?from={last - timedelta(days=7)}T00:00:00Z&to=2020-06-01T23:59:59Z",
        path,
    ]


def test_a_revised_past_is_updated_counted_and_remembered(api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements([1, 2, 3])), sends(elements([1, 5, 3, 9]))]
    load(asking)
    done = load(asking)[0]
    assert (done.inserted, done.updated, done.unchanged, done.revised) == (1, 1, 2, 1)
    assert sql("select day, total_before, total_after from reporting.revision") == [(FIRST + timedelta(days=1), 2, 5)]
    assert sql("select revised from covid.ingest order by ingest_id") == [(0,), (1,)]
    assert sql("select r.revised_at = i.finished_at from covid.revision r, covid.ingest i where i.revised > 0") == [
        (True,)
    ]


def test_an_incomplete_day_never_replaces_a_complete_one(api: Api, asking: Settings, sql: Sql) -> None:
    evening = datetime(2020, 1, 24, 20, tzinfo=UTC)  # the second day is not over yet
    api.answers = [sends(elements([1, 2])), sends(elements([1, 3])), sends(elements([1, 2]))]
    load(asking, now=evening)
    assert sql("select total, complete from covid.cases order by day") == [(1, True), (2, False)]
    assert sql("select mean_7_days from reporting.daily_cases order by day desc limit 1") == [(None,)]
    done = load(asking, now=NOW)[0]  # over: the day is completed, which is no revision
    assert (done.updated, done.revised) == (1, 0)
    done = load(asking, now=evening)[0]  # a clock that went back
    assert (done.held_back, done.received, done.unchanged) == (1, 2, 1)
    assert sql("select total, complete from covid.cases order by day") == [(1, True), (3, True)]


@pytest.mark.parametrize(("hour", "complete"), [(5, False), (6, True)])
def test_a_day_settles_after_its_end(hour: int, complete: bool, api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements([1]))]
    load(asking, now=datetime(2020, 1, 24, hour, tzinfo=UTC))
    assert sql("select complete from covid.cases") == [(complete,)]


def test_unchanged_at_the_source_is_not_read_again(api: Api, asking: Settings, sql: Sql) -> None:
    def conditional(handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers.get("If-None-Match") == '"1"'
        sends(b"" if known else elements([1, 2]), 304 if known else 200, headers={"ETag": '"1"'})(handler)

    api.answers = [conditional]
    assert [load(asking)[0].status for _ in range(3)] == ["loaded", "loaded", "not_modified"]
    assert load(asking, full=True)[0].status == "loaded"
    sql("delete from covid.ingest where ingest_id = 1")
    assert sql("select count(*) from reporting.freshness where last_status = 'loaded'") == [(1,)]


def test_several_countries_in_one_run(api: Api, configured: Callable[..., Settings], sql: Sql) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        good = "/malaysia/" not in handler.path
        sends(elements([1, 2]) if good else {"message": "not today"})(handler)

    api.answers = [answer]
    both = configured(Covid19Api(base_url=api.url, limits=PATIENT), countries=["SG", "Malaysia", "sgp", "viet-nam"])
    done = load(both)
    assert [(one.country_code, one.status) for one in done] == [("SG", "loaded"), ("MY", "failed"), ("VN", "loaded")]
    assert sql("select country_code from covid.country where followed order by 1") == [("MY",), ("SG",), ("VN",)]
    load(configured(Covid19Api(base_url=api.url, limits=PATIENT)))
    assert sql("select country_code from reporting.freshness where followed") == [("SG",)]


def test_the_next_source_is_tried_and_live_figures_are_never_replaced_by_recorded_ones(
    api: Api, configured: Callable[..., Settings], sql: Sql, tmp_path: Path
) -> None:
    (tmp_path / "singapore.json").write_text(json.dumps(elements([7, 8])))
    live, recorded = Covid19Api(base_url=api.url, limits=PATIENT), File(folder=str(tmp_path))
    sample = Sample()
    api.answers = [sends({"message": "out of order"})]

    assert load(configured(live, sample), now=LATER)[0].kind == "synthetic"
    assert sql("select origin from reporting.freshness")[0][0].startswith("SYNTHETIC")
    done = load(configured(live, recorded, sample))[0]
    assert (done.source, done.message.splitlines()[0]) == ("file", "took the place of 1,140 days from sample")
    assert sql(TOTALS) == [(7,), (8,)]
    assert load(configured(live, recorded))[0].status == "not_modified"
    done = load(configured(live, sample))[0]
    assert done.status == "failed"
    assert "sample: not used, as the database has recorded figures" in done.message

    api.answers = [sends(elements([1, 2, 3])), sends({"message": "out of order"})]
    assert load(configured(live, recorded))[0].source == "covid19api"
    assert sql(TOTALS) == [(1,), (2,), (3,)]
    assert load(configured(live, recorded))[0].status == "failed"
    assert sql(TOTALS) == [(1,), (2,), (3,)]
    assert sql("select source, last_status from reporting.freshness") == [("covid19api", "failed")]


def test_disease_sh(api: Api, configured: Callable[..., Settings], sql: Sql) -> None:
    source = DiseaseSh(base_url=api.url, limits=PATIENT)
    api.answers = [sends({"country": "Singapore", "timeline": {"cases": {"1/22/20": 0, "1/23/20": 1}, "deaths": {}}})]
    assert load(configured(source))[0].received == 2
    load(configured(source))
    assert [path for path, _ in api.requests] == [
        "/v3/covid-19/historical/SG?lastdays=all",
        "/v3/covid-19/historical/SG?lastdays=138",
    ]
    api.answers = [sends({"message": "Country not found or doesn't have any historical data"}, 404)]
    assert "Country not found" in load(configured(source))[0].message
    api.answers = [sends({"timeline": {"cases": {"2020-01-22": 0}}})]
    assert "`2020-01-22` is no day like 3/9/23" in load(configured(source))[0].message
    assert sql(TOTALS) == [(0,), (1,)]


OWID = b"code,date,total_cases,note\nSGP,2020-01-23,1.0,\nMYS,2020-01-23,5,\nSGP,2020-01-24,,\nSGP,2020-01-25,4,\n"


def test_owid_is_fetched_once_for_all_countries(api: Api, configured: Callable[..., Settings], sql: Sql) -> None:
    source = Owid(url=f"{api.url}/compact.csv", limits=PATIENT)
    api.answers = [sends(OWID, kind="text/csv", headers={"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})]
    done = load(configured(source, countries=["SG", "MY"]))
    assert [(one.received, one.message) for one in done] == [(2, "1 day missing"), (1, "")]
    assert len(api.requests) == 1
    api.answers = [sends(b"", 304)]
    assert [one.status for one in load(configured(source, countries=["SG", "MY"]))] == ["not_modified"] * 2
    assert api.requests[-1][1]["If-Modified-Since"] == "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"location,date\n", "there are no columns code"),
        (OWID + b"SGP,2020-01-26\n", "line 6: 2 fields instead of 4"),
        (OWID + b"SGP,26/01/2020,5,\n", "line 6: `26/01/2020` is no day"),
        (OWID + b"SGP,2020-01-26,many,\n", "line 6: `many` is no number"),
        (OWID + b"SGP,2020-01-26,1.5,\n", "line 6: `1.5` is no number"),
        (OWID + b"SGP,2020-01-26,nan,\n", "line 6: `nan` is no number"),
        (OWID + b"SGP,2020-01-26,\xff,\n", "not a CSV file"),
        (b"", "there are no columns code"),
    ],
)
def test_a_broken_owid_file_changes_nothing(
    body: bytes, expected: str, api: Api, configured: Callable[..., Settings], sql: Sql
) -> None:
    source = Owid(url=f"{api.url}/compact.csv", limits=PATIENT)
    api.answers = [sends(body, kind="text/csv")]
    assert expected in load(configured(source))[0].message
    assert sql(TOTALS) == []


def test_one_load_at_a_time(asking: Settings, api: Api) -> None:
    api.answers = [sends(elements([1]))]
    busy = pytest.raises(BusyError, match="another load is going on")
    with connect(asking.database, "tests") as other, store.alone(other), busy:
        load(asking)
    assert load(asking)[0].status == "loaded"


def test_a_failure_while_writing_leaves_the_previous_figures(api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements([1, 2])), sends(elements([3, 4, 5]))]
    load(asking)
    sql("alter table covid.ingest add constraint full_disk check (ingest_id < 2)")
    try:
        with pytest.raises(DataError, match="full_disk"):
            load(asking)
    finally:
        sql("alter table covid.ingest drop constraint full_disk")
    assert sql(TOTALS) == [(1,), (2,)]
    assert sql("select count(*) from covid.revision") == [(0,)]


def test_a_killed_database_is_one_message(api: Api, asking: Settings, sql: Sql) -> None:
    def killing(handler: BaseHTTPRequestHandler) -> None:
        sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tests' "
            "and datname = current_database()"
        )
        sends(elements([1]))(handler)

    api.answers = [killing]
    with pytest.raises(EngineError):
        load(asking)
    assert sql(TOTALS) == []


def test_nothing_is_held_up_while_a_source_takes_its_time(api: Api, asking: Settings, sql: Sql) -> None:
    states: list[object] = []

    def looking(handler: BaseHTTPRequestHandler) -> None:
        states.extend(sql("select state from pg_stat_activity where application_name = 'tests'"))
        sends(elements([1]))(handler)

    api.answers = [looking]
    load(asking)
    assert states == [("idle",)]


def test_what_people_read_of_an_ingest(api: Api, asking: Settings) -> None:
    api.answers = [sends(elements([1, 2]))]
    assert "2 days from covid19api, 2020-01-23 to 2020-01-24, in" in ingest.summary(load(asking)[0])
