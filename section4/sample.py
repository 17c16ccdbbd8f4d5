"""Make up an epidemic, in the shape in which the covid19api answers:

    .venv/bin/python -m section4.sample singapore malaysia

writes section4/resource/sample/{slug}.json. The same country gives the same figures, which are nobody's: waves that
rise and fall, fewer reports on weekends, and in the last year two days without a report and one correction that makes
the total shrink.
"""

from __future__ import annotations

import json
import math
import random
import sys
from datetime import date, timedelta

from section4 import countries
from section4.sources import ROOT, Sample

FIRST = date(2020, 1, 23)
DAYS = 1142
WEEKEND = (1.0, 1.05, 1.05, 1.0, 1.0, 0.8, 0.65)
"""Reports on each day of the week, from Monday on, against the mean."""
NOT_REPORTED = (900, 901)
CORRECTED = 1010


def answer(country: countries.Country) -> bytes:
    """The made-up answer for a country."""
    chance = random.Random(country.code)
    waves = [
        (chance.uniform(60, 1140), chance.uniform(20, 60), 10 ** chance.uniform(2.3, 4.2))  # middle, width, height
        for _ in range(12)
    ]
    total, elements = 1.0, []
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        cases = 5 + sum(height * math.exp(-(((number - middle) / width) ** 2)) for middle, width, height in waves)
        total += cases * WEEKEND[day.weekday()] * chance.uniform(0.85, 1.15)
        if number == CORRECTED:
            total -= 6_000
        if number not in NOT_REPORTED:
            elements.append(_element(country, day, int(total)))
    return ("[\n" + ",\n".join(elements) + "\n]\n").encode()


def _element(country: countries.Country, day: date, total: int) -> str:
    return json.dumps(
        {
            "Country": country.name,
            "CountryCode": country.code,
            "Province": "",
            "City": "",
            "CityCode": "",
            "Lat": "0",
            "Lon": "0",
            "Cases": total,
            "Status": "confirmed",
            "Date": f"{day}T00:00:00Z",
        },
        separators=(",", ":"),
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        wanted = countries.find(name, "the command line")
        path = ROOT / Sample().folder / f"{wanted.slug}.json"
        path.write_bytes(answer(wanted))
        print(path)
