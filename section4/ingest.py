"""The load: for each country the first source that gives a valid answer, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from batch.errors import DataError, InputError
from batch.logs import log
from section4 import series, store
from section4.countries import Country
from section4.fetch import Answer, Validators
from section4.settings import Settings
from section4.sources import RANK, Source
from section4.store import Held, Ingest

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class


class Asked(NamedTuple):
    """What a source is asked for: where, and from which day on (None: all)."""

    source: Source
    address: str
    since: date | None
    known: Validators


class Got(NamedTuple):
    """What a source gave; no series where nothing has changed."""

    asked: Asked
    answer: Answer
    series: series.Series | None


class Load:
    """One run over all countries; an answer that holds several countries is fetched once."""

    def __init__(self, settings: Settings, *, full: bool = False, now: datetime | None = None) -> None:
        self.settings, self.full, self.now = settings, full, now or datetime.now(UTC)
        self._answers: dict[tuple[str, Validators], Answer] = {}

    def run(self, connection: Connection) -> list[Ingest]:
        """Load every country of the settings; returns what was recorded, also of those that failed.

        Raises BusyError when another load is going on, and Postgres' errors; what was committed before stays.
        """
        chosen = self.settings.chosen()
        with store.alone(connection), connection.cursor() as cursor:
            store.follow(cursor, chosen)
            connection.commit()
            return [self._country(connection, country) for country in chosen]

    def _country(self, connection: Connection, country: Country) -> Ingest:
        began = time.monotonic()
        with connection.cursor() as cursor:
            held = store.held(cursor, country)
            connection.commit()  # nothing is held up while a source takes its time
            got, problems = self._first_valid(country, held)
            if got is None:
                ingest = self._failed(country)
            elif got.series is None:
                ingest = self._ingest(country, got.asked, "not_modified")
            else:
                ingest = self._write(connection, country, got, got.series, held)
            ingest.message = "\n".join(filter(None, [ingest.message, *problems]))
            ingest.seconds = time.monotonic() - began
            store.record(cursor, ingest)
        connection.commit()
        log.info("%s: %s", country.name, summary(ingest))
        return ingest

    def _first_valid(self, country: Country, held: Held | None) -> tuple[Got | None, list[str]]:
        """The first source's answer that is valid, and what was wrong with those before it."""
        problems: list[str] = []
        for source in self.settings.sources:
            if held and RANK[source.kind] < RANK[held.kind]:
                problems.append(f"{source.name}: not used, as the database has {held.kind} figures")
                continue
            try:
                return self._ask(source, country, held), problems
            except (InputError, DataError) as error:
                problems.append(f"{source.name}: {' '.join(str(error).split())}")
                log.info("%s: %s", country.name, problems[-1])
        return None, problems

    def _ask(self, source: Source, country: Country, held: Held | None) -> Got:
        """Ask one source. Raises InputError and DataError."""
        same = held is not None and held.source == source.name
        since = None
        if held and same and held.last_complete and not self.full:
            since = held.last_complete - timedelta(days=self.settings.revision_days)
        address = source.address(country, since, self.now.date())
        # Unchanged since the last load is no news only while the figures are that load's.
        known = held.validators if held and same and held.address == address and not self.full else Validators()
        asked = Asked(source, address, since, known)
        answer = self._answers.get((address, known)) or source.read(address, known)
        self._answers[address, known] = answer
        if answer.body is None:
            return Got(asked, answer, None)
        return Got(asked, answer, series.ordered(source.rows(answer.body, country), self.now))

    def _write(
        self, connection: Connection, country: Country, got: Got, found: series.Series, held: Held | None
    ) -> Ingest:
        ingest = self._ingest(country, got.asked, "loaded")
        ingest.etag, ingest.last_modified = got.answer.validators
        ingest.first_day, ingest.last_day, ingest.duplicates = found.first, found.last, found.duplicates
        ingest.received = len(found.rows)
        with connection.cursor() as cursor:
            if held and held.source != got.asked.source.name:
                ingest.message = f"took the place of {store.clear(cursor, country):,} days from {held.source}"
            hours = self.settings.settle_hours
            outcome = store.write(
                cursor,
                ((country.code, day, total, series.is_complete(day, self.now, hours)) for day, total in found.rows),
            )
        ingest.inserted, ingest.updated, ingest.unchanged = outcome.written
        ingest.held_back, ingest.revised = outcome.held_back, outcome.revised
        odd = {"day{} missing": found.missing, "day{} on which the total shrank": found.shrunk}
        odd |= {"row{} given twice": found.duplicates}
        notes = [f"{count:,} {what.format('s' if count > 1 else '')}" for what, count in odd.items() if count]
        ingest.message = "\n".join(filter(None, [ingest.message, *notes]))
        return ingest

    def _ingest(self, country: Country, asked: Asked, status: str) -> Ingest:
        return Ingest(
            country_code=country.code,
            source=asked.source.name,
            kind=asked.source.kind,
            address=asked.address,
            status=status,
            seconds=0.0,
            period_seconds=self.settings.period,
            asked_from=asked.since,
        )

    def _failed(self, country: Country) -> Ingest:
        return Ingest(
            country_code=country.code,
            source=", ".join(source.name for source in self.settings.sources),
            kind="none",
            address="",
            status="failed",
            seconds=0.0,
            period_seconds=self.settings.period,
        )


def summary(ingest: Ingest) -> str:
    """What an ingest did, in one line."""
    said = ingest.message.replace("\n", "; ")
    if ingest.status == "failed":
        return f"nothing was loaded in {ingest.seconds:.2f} s: {said}"
    note = f"; {said}" if said else ""
    made_up = " (SYNTHETIC figures, of no real country)" if ingest.kind == "synthetic" else ""
    if ingest.status == "not_modified":
        return f"{ingest.source}{made_up} has nothing new, after {ingest.seconds:.2f} s{note}"
    held = f", {ingest.held_back:,} incomplete held back" if ingest.held_back else ""
    return (
        f"{ingest.received:,} days from {ingest.source}{made_up}, {ingest.first_day} to {ingest.last_day}, in "
        f"{ingest.seconds:.2f} s: {ingest.inserted:,} new, {ingest.updated:,} changed ({ingest.revised:,} revised), "
        f"{ingest.unchanged:,} unchanged{held}{note}"
    )


def check(ingests: Iterable[Ingest]) -> None:
    """Raise InputError when a country failed, with every source's reason; the previous figures are still there."""
    failed = [ingest for ingest in ingests if ingest.status == "failed"]
    if failed:
        reasons = "\n".join(
            f"  {ingest.country_code} {why}" for ingest in failed for why in ingest.message.splitlines()
        )
        raise InputError(
            f"no source gave valid figures for {', '.join(ingest.country_code for ingest in failed)}:\n{reasons}",
            hint="The previous figures are unchanged. Look at `sources` in the YAML, or run it again later.",
        )
