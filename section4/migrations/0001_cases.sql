-- Totals by country and day, where they came from, and what every ingest did.
create schema covid;
comment on schema covid is 'Cumulative totals of confirmed cases, as the sources gave them';

create table covid.country (
    country_code text primary key check (country_code ~ '^[A-Z]{2}$'),
    name text not null,
    followed boolean not null default true
);
comment on table covid.country is 'Countries with figures, or for which figures were asked';
comment on column covid.country.country_code is 'ISO 3166-1, two letters';
comment on column covid.country.name is 'Name as people say it';
comment on column covid.country.followed is 'Whether the configuration of the last run names it';

-- country_code has no foreign key: its check, row by row, would take as long as all the rest of a load. A load names its
-- countries in covid.country before it writes.
create table covid.cases (
    country_code text not null,
    day date not null,
    total bigint not null check (total >= 0),
    complete boolean not null,
    primary key (country_code, day)
);
comment on table covid.cases is 'The total of each country on each day; a day without a row has no figure';
comment on column covid.cases.country_code is 'The country';
comment on column covid.cases.day is 'Day, UTC';
comment on column covid.cases.total is 'All cases confirmed up to the end of the day';
comment on column covid.cases.complete is 'Whether the day was over, and settled, when it was fetched';

create table covid.ingest (
    ingest_id bigint generated always as identity primary key,
    country_code text not null references covid.country,
    source text not null,
    kind text not null check (kind in ('live', 'recorded', 'synthetic', 'none')),
    address text not null,
    status text not null check (status in ('loaded', 'not_modified', 'failed')),
    finished_at timestamptz not null default now(),
    seconds double precision not null,
    period_seconds bigint not null check (period_seconds > 0),
    asked_from date,
    first_day date,
    last_day date,
    received bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    revised bigint not null default 0,
    held_back bigint not null default 0,
    duplicates bigint not null default 0,
    etag text not null default '',
    last_modified text not null default '',
    message text not null default '',
    constraint every_row_is_accounted_for check (inserted + updated + unchanged + held_back = received)
);
create index ingest_of_country on covid.ingest (country_code, ingest_id desc);
comment on table covid.ingest is 'Every ingest, one row for each country of a run';
comment on column covid.ingest.ingest_id is 'Number, in order';
comment on column covid.ingest.country_code is 'The country';
comment on column covid.ingest.source is 'The source that gave the figures, or those that failed';
comment on column covid.ingest.kind is 'live, recorded or synthetic; none where no source gave anything';
comment on column covid.ingest.address is 'URL or file that was read';
comment on column covid.ingest.status is 'loaded, not_modified (the source had nothing new) or failed';
comment on column covid.ingest.finished_at is 'When it was written';
comment on column covid.ingest.seconds is 'How long it took up to then';
comment on column covid.ingest.period_seconds is 'Seconds between two runs of the schedule at that time';
comment on column covid.ingest.asked_from is 'First day that was asked for; null for all';
comment on column covid.ingest.first_day is 'First day of the answer';
comment on column covid.ingest.last_day is 'Last day of the answer';
comment on column covid.ingest.received is 'Days in the answer';
comment on column covid.ingest.inserted is 'New days';
comment on column covid.ingest.updated is 'Days that changed';
comment on column covid.ingest.unchanged is 'Days that were the same, and not written';
comment on column covid.ingest.revised is 'Complete days whose total changed';
comment on column covid.ingest.held_back is 'Incomplete days that did not replace complete ones';
comment on column covid.ingest.duplicates is 'Rows that stood in the answer again';
comment on column covid.ingest.etag is 'What the server said of the answer, for conditional requests';
comment on column covid.ingest.last_modified is 'Likewise';
comment on column covid.ingest.message is 'What else is to be said, or why it failed';

create table covid.revision (
    country_code text not null references covid.country,
    day date not null,
    revised_at timestamptz not null default now(),
    total_before bigint not null,
    total_after bigint not null,
    primary key (country_code, day, revised_at)
);
comment on table covid.revision is 'Totals of complete days that a source changed afterwards';
comment on column covid.revision.country_code is 'The country';
comment on column covid.revision.day is 'The day whose total changed';
comment on column covid.revision.revised_at is 'When: the finished_at of the ingest';
comment on column covid.revision.total_before is 'Total until then';
comment on column covid.revision.total_after is 'Total since then';

-- Whoever changes totals leaves a revision, in the same statement. The plan is kept from call to call: a nested loop that
-- suits ten rows must not meet a hundred thousand.
create function covid.note_revisions() returns trigger language plpgsql set enable_nestloop = off as $$
begin
    insert into covid.revision (country_code, day, total_before, total_after)
    select before.country_code, before.day, before.total, after.total
    from before
    join after using (country_code, day)
    where before.complete and before.total <> after.total;
    return null;
end
$$;
create trigger note_revisions after update on covid.cases
    referencing old table as before new table as after
    for each statement execute function covid.note_revisions();
