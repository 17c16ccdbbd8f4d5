set local role owner;

alter table sales.member
    validate constraint member_has_a_membership_id,
    validate constraint member_has_an_8_digit_mobile,
    validate constraint member_has_an_email;

-- As before, with each transaction's month worked out once, not once for each of its lines.
create or replace function sales.rebuild_ledgers() returns void
language sql security definer set search_path = sales, pg_temp as $$
    delete from item_sales_ledger;
    insert into item_sales_ledger (month, item_id, units, transactions, revenue)
    with sale as materialized (
        select t.transaction_id, month_of(t.occurred_at) as month
        from sales_transaction as t
        join transaction_status as s using (status)
        where s.counts_as_sale
    )
    select sale.month, line.item_id, sum(line.quantity), count(*), sum(line.price)
    from sale
    join sales_line as line using (transaction_id)
    group by 1, 2
    order by 1, 2;
    delete from member_sales_ledger;
    insert into member_sales_ledger (member_id, transactions, spent)
    select t.member_id, count(*), sum(t.total_price)
    from sales_transaction as t
    join transaction_status as s using (status)
    where s.counts_as_sale
    group by t.member_id
    order by t.member_id;
$$;
