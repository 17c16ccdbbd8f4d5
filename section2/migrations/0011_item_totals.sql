set local role owner;

create view reporting.item_total as
    select item.name as item, manufacturer.name as manufacturer, sold.units, sold.transactions, sold.revenue
    from (
        select item_id, sum(units)::bigint as units, sum(transactions)::bigint as transactions, sum(revenue) as revenue
        from reporting.item_sales
        group by item_id
    ) as sold
    join sales.item using (item_id)
    join sales.manufacturer using (manufacturer_id);
comment on view reporting.item_total is 'Units, transactions and revenue of each item that was sold, by name';
comment on column reporting.item_total.item is 'Name of the item';
comment on column reporting.item_total.manufacturer is 'Name of its manufacturer';
comment on column reporting.item_total.units is 'Pieces sold';
comment on column reporting.item_total.transactions is 'Transactions with the item';
comment on column reporting.item_total.revenue is 'Sum of the lines'' prices';
grant select on reporting.item_total to analytics, grafana;
