set local role owner;

grant select, insert, update on sales.member to loader;
grant select on sales.manufacturer, sales.item, sales.transaction_status, sales.counted_transaction to loader;
grant select, insert, update on sales.sales_transaction to loader;
grant select, insert, update, delete on sales.sales_line to loader;
grant select, insert on reporting.member_load, sales.member_rejection to loader;
grant execute on function sales.compact_ledgers() to loader;

grant select on sales.manufacturer, sales.item, sales.transaction_status, sales.sales_transaction, sales.sales_line
    to logistics, analytics;
grant select on sales.counted_transaction to analytics;
grant update (status) on sales.sales_transaction to logistics;
grant select (member_id, membership_status, joined_at) on sales.member to analytics;
grant select on sales.member_label, sales.item_sales_ledger, sales.member_sales_ledger, sales.member_rejection to analytics;

-- A deleted item was never sold: the lines' foreign key refuses it otherwise.
grant select, insert on sales.manufacturer to sales;
grant select, insert, delete, update (retired_at) on sales.item to sales;

grant select on reporting.member_load, reporting.item_sales, reporting.manufacturer_sales, reporting.membership
    to analytics, grafana;
grant execute on function sales.month_of(timestamptz) to loader, analytics;
