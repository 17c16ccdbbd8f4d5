-- Of the members who bought at all: how many came back, and how long the median one took to.
with purchases as (
    select member_id, occurred_at, row_number() over (partition by member_id order by occurred_at, transaction_id) as nth
    from sales.counted_transaction
),
buyers as (
    select
        member_id, min(occurred_at) filter (where nth = 1) as first_at, min(occurred_at) filter (where nth = 2) as second_at
    from purchases
    where nth <= 2
    group by member_id
)
select
    count(*) as buyers,
    count(second_at) as repeat_buyers,
    round(100.0 * count(second_at) / nullif(count(*), 0), 1) as repeat_percent,
    round(extract(epoch from percentile_cont(0.5) within group (order by second_at - first_at)) / 86400, 1)
        as median_days_to_second
from buyers;
