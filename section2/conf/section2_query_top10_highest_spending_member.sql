-- The ten members who spent most, in transactions that count as sales; who ties with the tenth is shown too.
-- Those who may not read names see numbers instead.
with spending as (
    select member_id, sum(transactions) as transactions, sum(spent) as spent
    from sales.member_sales_ledger
    group by member_id
    having sum(transactions) > 0
),
ranked as (
    select *, rank() over (order by spent desc) as place
    from spending
    order by spent desc
    fetch first 10 rows with ties
)
select ranked.place, member_label.label as member, ranked.member_id, ranked.transactions, ranked.spent
from ranked
join sales.member_label using (member_id)
order by ranked.place, ranked.member_id;
