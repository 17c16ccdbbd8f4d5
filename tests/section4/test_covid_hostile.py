"""Whatever an API sends, the previous figures stay readable and the message says what was wrong."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from covid_api import HASTY, NOW, Api, Sql, elements, load, sends

from batch.errors import InputError
from section4 import ingest
from section4.settings import Settings
from section4.sources import Covid19Api

GOOD = elements([1, 3, 3, 4, 9])
Answer = Callable[[BaseHTTPRequestHandler], None]


def changed(**fields: object) -> list[dict[str, object]]:
    """A good answer with other fields in its last element."""
    return [*GOOD[:-1], {**GOOD[-1], **fields}]


def without(key: str) -> list[dict[str, object]]:
    return [{name: value for name, value in element.items() if name != key} for element in GOOD]


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(HASTY.timeout * 2)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def dripping_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        handler.wfile.write(f"X-{number}: 1\r\n".encode())
        handler.wfile.flush()
        time.sleep(0.05)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Less than was announced."""
    data = json.dumps(GOOD).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[:50])


def hung_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


HOSTILE: dict[str, tuple[Answer, str]] = {
    "429": (sends({"message": "slow down"}, 429), "answered 429"),
    "429, come back in an hour": (sends({}, 429, headers={"Retry-After": "3600"}), "asked to wait 3600 s"),
    "429, with a strange Retry-After": (sends({}, 429, headers={"Retry-After": "soon"}), "answered 429"),
    "500": (sends(b"", 500), "answered 500"),
    "503": (sends({}, 503), "answered 503"),
    "404 with an error object": (sends({"message": "Not Found"}, 404), "answered 404 Not Found: Not Found"),
    "401 with a page": (sends(b"<html>", 401, "text/html"), "answered 401"),
    "silence": (silent, "no answer within"),
    "slow drip": (dripping, f"no whole answer within {HASTY.deadline:g} s"),
    "slow drip of headers": (dripping_headers, f"no whole answer within {HASTY.deadline:g} s"),
    "hung up": (hung_up, "gave up after 3 tries"),
    "cut off": (cut, "broke off"),
    "truncated JSON": (sends(json.dumps(GOOD).encode()[:-9]), "not whole JSON"),
    "not JSON": (sends(b"Cases: many"), "not whole JSON"),
    "nothing": (sends(b""), "not whole JSON"),
    "HTML": (sends(b"<!doctype html><title>Sold</title>", kind="text/html"), "sent text/html where application/json"),
    "HTML that says it is JSON": (sends(b"<!doctype html>"), "not whole JSON"),
    "empty list": (sends([]), "holds no row"),
    "error object with 200": (sends({"message": "Limit exceeded"}), "the answer is an error: Limit exceeded"),
    "error object of another shape": (
        sends({"success": False, "error": {"code": 7}}),
        "it has the keys success, error",
    ),
    "empty object": (sends({}), "unexpected answer"),
    "null": (sends(None), "unexpected answer"),
    "a list of texts": (sends(["a", "b"]), "[0]: unexpected answer"),
    "a missing key": (sends(without("Cases")), "`Cases`"),
    "strings for numbers": (sends(changed(Cases="9")), "[4].Cases: unexpected answer: Expected `int`, got `str`"),
    "a fraction": (sends(changed(Cases=9.5)), "Expected `int`"),
    "true": (sends(changed(Cases=True)), "Expected `int`"),
    "a negative total": (sends(changed(Cases=-1)), "Expected `int` >= 0"),
    "more than mankind": (sends(changed(Cases=10**12)), "Expected `int` <="),
    "no date": (sends(changed(Date="yesterday")), "[4].Date"),
    "a date that there is not": (sends(changed(Date="2020-02-30T00:00:00Z")), "[4].Date"),
    "the future": (sends(changed(Date="2031-01-01T00:00:00Z")), "2031-01-01, which cannot be"),
    "before the disease": (sends(changed(Date="1970-01-01T00:00:00Z")), "1970-01-01, which cannot be"),
    "deaths": (sends(changed(Status="deaths")), "[4].Status"),
    "provinces": (sends([*GOOD, {**GOOD[-1], "Province": "North"}]), "2 provinces"),
    "a day with two totals": (sends([*GOOD, {**GOOD[-1], "Cases": 8}]), "two different totals, 9 and 8"),
    "huge": (sends(b" " * 300_000), "more than 200,000 bytes"),
    "huge once unpacked": (
        sends(gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"}),
        "more than 200,000 bytes",
    ),
    "redirects for ever": (sends(b"", 302, headers={"Location": "/again"}), "redirected more than 5 times"),
    "a redirect elsewhere": (
        sends(b"", 302, headers={"Location": "file:///etc/passwd"}),
        "or where it leads, cannot be asked",
    ),
    "gzip that is none": (sends(b"plain", headers={"Content-Encoding": "gzip"}), "gave up after 3 tries"),
}


SLOW = ("silence", "slow drip", "slow drip of headers")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_change_nothing(name: str, api: Api, asking: Settings, sql: Sql) -> None:
    figures = "select * from covid.cases order by day"
    api.answers = [sends(GOOD)]
    load(asking)
    before = sql(figures)
    answer, expected = HOSTILE[name]
    api.answers = [answer]
    if name in SLOW:
        asking.sources = [Covid19Api(base_url=api.url, limits=HASTY)]

    began = time.monotonic()
    done = load(asking)

    assert name not in SLOW or time.monotonic() - began < HASTY.deadline + 10
    assert done[0].status == "failed"
    assert expected in done[0].message
    assert "Traceback" not in done[0].message
    assert sql(figures) == before
    assert sql("select count(*), sum(cases) from reporting.daily_cases", role="grafana") == [(5, 8)]
    assert sql("select status, source from covid.ingest order by ingest_id") == [
        ("loaded", "covid19api"),
        ("failed", "covid19api"),
    ]
    with pytest.raises(InputError, match="no source gave valid figures for SG"):
        ingest.check(done)


@pytest.mark.parametrize(
    ("answers", "least"),
    [
        ([sends({}, 429, headers={"Retry-After": "1"}), sends(GOOD)], 1.0),
        ([sends({}, 429), sends({}, 500), sends(GOOD)], 0.0),
        ([cut, hung_up, sends(GOOD)], 0.0),
        ([sends(b"", 301, headers={"Location": "/moved"}), sends(GOOD)], 0.0),
    ],
)
def test_what_passes_is_waited_for(answers: list[Answer], least: float, api: Api, asking: Settings) -> None:
    api.answers = answers
    began = time.monotonic()
    assert load(asking)[0].status == "loaded"
    assert time.monotonic() - began >= least


def test_unordered_days_given_twice_with_gaps_and_unknown_keys(api: Api, asking: Settings, sql: Sql) -> None:
    odd = [{**element, "Variant": "x"} for element in (GOOD[4], GOOD[0], GOOD[3], GOOD[0])]
    api.answers = [sends(odd)]
    done = load(asking)[0]
    assert (done.status, done.received, done.duplicates) == ("loaded", 3, 1)
    assert done.message == "2 days missing\n1 row given twice"
    assert sql("select cases, missing from reporting.daily_cases order by day") == [
        (None, False),
        (None, True),
        (None, True),
        (None, False),
        (5, False),
    ]


def test_a_total_that_shrinks_is_kept_and_flagged(api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements([10, 20, 15, 30]))]
    assert load(asking)[0].message == "1 day on which the total shrank"
    assert sql("select cases, shrunk from reporting.daily_cases order by day") == [
        (None, False),
        (10, False),
        (-5, True),
        (15, False),
    ]


def test_nobody_listens(asking: Settings, api: Api) -> None:
    api.close()
    assert "Connection refused" in load(asking, now=NOW)[0].message
