-- What a purchase holds, by year: different items, pieces, price and weight, on average and for the median.
with baskets as (
    select
        extract(year from t.occurred_at at time zone 'UTC')::integer as year,
        count(*) as items, sum(line.quantity) as pieces, t.total_price, t.total_weight_kg
    from sales.counted_transaction as t
    join sales.sales_line as line using (transaction_id)
    group by t.transaction_id, t.occurred_at, t.total_price, t.total_weight_kg
)
select
    year, count(*) as transactions, round(avg(items), 2) as items, round(avg(pieces), 2) as pieces,
    round(avg(total_price), 2) as price, round(percentile_cont(0.5) within group (order by total_price)::numeric, 2)
        as median_price,
    round(avg(total_weight_kg), 3) as weight_kg
from baskets
group by year
order by year;
