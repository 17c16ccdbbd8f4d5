-- What one transaction cost, line by line, as it was bought. Takes: transaction_id
select
    t.transaction_id, t.status, item.name as item, line.quantity, line.unit_price, line.discount, line.price,
    sum(line.price) over () as total_price, sum(line.weight_kg) over () as total_weight_kg
from sales.sales_transaction as t
join sales.sales_line as line using (transaction_id)
join sales.item using (item_id)
where t.transaction_id = :transaction_id
order by item.item_id;
