-- What dashboards read, and nothing else.
create schema reporting;
comment on schema reporting is 'What may be seen: daily figures, freshness, gaps, revisions and ingests';

-- One row for each calendar day from a country's first to its last, so that windows count days and not rows.
create view reporting.daily_cases as
with days as (
    select country.country_code, country.name as country, generate_series(
        (select min(day) from covid.cases where cases.country_code = country.country_code),
        (select max(day) from covid.cases where cases.country_code = country.country_code),
        interval '1 day'
    )::date as day
    from covid.country
),
weeks as (
    select days.country_code, days.country, days.day, cases.total, coalesce(cases.complete, false) as complete,
        lag(cases.total) over to_day as total_1_day_ago,
        lag(cases.total, 7) over to_day as total_7_days_ago,
        lag(cases.total, 14) over to_day as total_14_days_ago
    from days
    left join covid.cases using (country_code, day)
    window to_day as (partition by days.country_code order by days.day)
)
select country_code, country, day, day::timestamp at time zone 'UTC' as time, total, complete,
    total is null as missing,
    total - total_1_day_ago as cases,
    coalesce(total < total_1_day_ago, false) as shrunk,
    case when complete then (total - total_7_days_ago) / 7.0 end as mean_7_days,
    case when complete and total_7_days_ago > total_14_days_ago then
        (total - total_7_days_ago)::numeric / (total_7_days_ago - total_14_days_ago) - 1
    end as weekly_growth
from weeks;
comment on view reporting.daily_cases is 'Cases of each day: differences of totals, none where a day is missing';
comment on column reporting.daily_cases.country_code is 'ISO 3166-1, two letters';
comment on column reporting.daily_cases.country is 'Name of the country';
comment on column reporting.daily_cases.day is 'Day, UTC';
comment on column reporting.daily_cases.time is 'Midnight at the day''s begin, UTC';
comment on column reporting.daily_cases.total is 'All cases up to the end of the day; null where the day is missing';
comment on column reporting.daily_cases.complete is 'Whether the day was over, and settled, when it was fetched';
comment on column reporting.daily_cases.missing is 'Whether the day has no figure';
comment on column reporting.daily_cases.cases is 'New cases; negative where the total shrank; null beside a gap';
comment on column reporting.daily_cases.shrunk is 'Whether the total is smaller than the day before';
comment on column reporting.daily_cases.mean_7_days is 'Cases a day over the 7 calendar days up to this one';
comment on column reporting.daily_cases.weekly_growth is 'Cases of 7 days against the 7 before: 0.5 is half as many more';

create view reporting.gap as
select country_code, day + 1 as first_day, next_day - 1 as last_day, next_day - day - 1 as days,
    (day + 1)::timestamp at time zone 'UTC' as time,
    (next_day - 1)::timestamp at time zone 'UTC' as time_end
from (
    select country_code, day, lead(day) over (partition by country_code order by day) as next_day from covid.cases
) as neighbours
where next_day > day + 1;
comment on view reporting.gap is 'Days without a figure between days with one';
comment on column reporting.gap.country_code is 'ISO 3166-1, two letters';
comment on column reporting.gap.first_day is 'First missing day';
comment on column reporting.gap.last_day is 'Last missing day';
comment on column reporting.gap.days is 'Their number';
comment on column reporting.gap.time is 'The first missing day as a time, UTC';
comment on column reporting.gap.time_end is 'The last missing day as a time, UTC';

create view reporting.revision as
select country_code, day, day::timestamp at time zone 'UTC' as time, revised_at, total_before, total_after
from covid.revision;
comment on view reporting.revision is 'Totals of complete days that a source changed afterwards';
comment on column reporting.revision.country_code is 'ISO 3166-1, two letters';
comment on column reporting.revision.day is 'The day whose total changed';
comment on column reporting.revision.time is 'Its begin, UTC';
comment on column reporting.revision.revised_at is 'When it changed';
comment on column reporting.revision.total_before is 'Total until then';
comment on column reporting.revision.total_after is 'Total since then';

create view reporting.ingest as
select ingest_id, country_code, country.name as country, source, kind, status, finished_at, seconds, asked_from,
    first_day, last_day, received, inserted, updated, unchanged, revised, held_back, duplicates, message
from covid.ingest
join covid.country using (country_code);
comment on view reporting.ingest is 'Every ingest: what it asked, got and did';
comment on column reporting.ingest.ingest_id is 'Number, in order';
comment on column reporting.ingest.country_code is 'ISO 3166-1, two letters';
comment on column reporting.ingest.country is 'Name of the country';
comment on column reporting.ingest.source is 'The source that gave the figures, or those that failed';
comment on column reporting.ingest.kind is 'live, recorded or synthetic; none where no source gave anything';
comment on column reporting.ingest.status is 'loaded, not_modified or failed';
comment on column reporting.ingest.finished_at is 'When it was written';
comment on column reporting.ingest.seconds is 'How long it took';
comment on column reporting.ingest.asked_from is 'First day that was asked for; null for all';
comment on column reporting.ingest.first_day is 'First day of the answer';
comment on column reporting.ingest.last_day is 'Last day of the answer';
comment on column reporting.ingest.received is 'Days in the answer';
comment on column reporting.ingest.inserted is 'New days';
comment on column reporting.ingest.updated is 'Days that changed';
comment on column reporting.ingest.unchanged is 'Days that were the same';
comment on column reporting.ingest.revised is 'Complete days whose total changed';
comment on column reporting.ingest.held_back is 'Incomplete days that did not replace complete ones';
comment on column reporting.ingest.duplicates is 'Rows that stood in the answer again';
comment on column reporting.ingest.message is 'What else is to be said, or why it failed';

create view reporting.freshness as
select country_code, country.name as country, country.followed, loaded.source, loaded.kind,
    case loaded.kind
        when 'synthetic' then 'SYNTHETIC: made-up figures, of no real country'
        when 'recorded' then 'recorded figures, from a file'
        else 'figures from ' || loaded.source
    end as origin,
    figures.last_day,
    figures.last_day::timestamp at time zone 'UTC' as last_day_time,
    extract(epoch from now() - succeeded.finished_at) as seconds_since_success,
    extract(epoch from now() - succeeded.finished_at) / succeeded.period_seconds as periods_since_success,
    succeeded.finished_at as last_success,
    latest.finished_at as last_ingest,
    latest.status as last_status,
    latest.message as last_message
from covid.country
cross join lateral (
    select max(day) as last_day from covid.cases where cases.country_code = country.country_code
) as figures
left join lateral (
    select source, kind from covid.ingest
    where ingest.country_code = country.country_code and status = 'loaded' order by ingest_id desc limit 1
) as loaded on true
left join lateral (
    select finished_at, period_seconds from covid.ingest
    where ingest.country_code = country.country_code and status <> 'failed' order by ingest_id desc limit 1
) as succeeded on true
left join lateral (
    select finished_at, status, message from covid.ingest
    where ingest.country_code = country.country_code order by ingest_id desc limit 1
) as latest on true;
comment on view reporting.freshness is 'How old each country''s figures are, and where they come from';
comment on column reporting.freshness.country_code is 'ISO 3166-1, two letters';
comment on column reporting.freshness.country is 'Name of the country';
comment on column reporting.freshness.followed is 'Whether the configuration of the last run names it';
comment on column reporting.freshness.source is 'The source of the figures that are shown';
comment on column reporting.freshness.kind is 'live, recorded or synthetic';
comment on column reporting.freshness.origin is 'The same in words; synthetic figures say so';
comment on column reporting.freshness.last_day is 'Last day with a figure';
comment on column reporting.freshness.last_day_time is 'Its begin, UTC';
comment on column reporting.freshness.seconds_since_success is 'Seconds since the last ingest that did not fail';
comment on column reporting.freshness.periods_since_success is 'The same in periods of the schedule';
comment on column reporting.freshness.last_success is 'When that was';
comment on column reporting.freshness.last_ingest is 'When the last ingest was, failed or not';
comment on column reporting.freshness.last_status is 'How it ended';
comment on column reporting.freshness.last_message is 'What it said';

revoke all on schema public from public;
do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to grafana', current_database());
end
$$;
grant usage on schema reporting to grafana;
grant select on reporting.daily_cases, reporting.gap, reporting.revision, reporting.ingest, reporting.freshness
    to grafana;
