-- The three items bought most, in both readings of "most": units, and transactions that hold the item. Ties included.
with sold as (
    select item_id, sum(units) as units, sum(transactions) as transactions
    from reporting.item_sales
    group by item_id
    having sum(transactions) > 0
),
ranked as (
    select *, rank() over (order by units desc) as by_units, rank() over (order by transactions desc) as by_transactions
    from sold
),
readings as (
    select 'units' as reading, by_units as place, * from ranked where by_units <= 3
    union all
    select 'transactions', by_transactions, * from ranked where by_transactions <= 3
)
select
    readings.reading, readings.place, item.name as item, manufacturer.name as manufacturer,
    readings.units, readings.transactions, item.item_id
from readings
join sales.item using (item_id)
join sales.manufacturer using (manufacturer_id)
order by readings.reading desc, readings.place, item.item_id;
