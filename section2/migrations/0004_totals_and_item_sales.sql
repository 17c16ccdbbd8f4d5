set local role owner;

-- What was sold of each item in each month, as a ledger: rows are added, by triggers, and never changed, so that two
-- sales of one item do not wait for each other. The sum of an item's rows is the truth at any moment;
-- compact_ledgers() makes one row of many now and then.
create table sales.item_sales_ledger (
    month date not null,
    item_id bigint not null references sales.item,
    units bigint not null,
    transactions bigint not null,
    revenue numeric not null
);
create index item_sales_ledger_item_id_idx on sales.item_sales_ledger (item_id);
comment on table sales.item_sales_ledger is 'Sold items by month, as changes to be added up; written by triggers only';
comment on column sales.item_sales_ledger.month is 'First day of the month of the sale, UTC';
comment on column sales.item_sales_ledger.item_id is 'What was sold';
comment on column sales.item_sales_ledger.units is 'Pieces, negative where a sale was taken back';
comment on column sales.item_sales_ledger.transactions is 'Transactions with this item, negative where one was taken back';
comment on column sales.item_sales_ledger.revenue is 'Sum of the lines'' prices, negative where a sale was taken back';

create function sales.month_of(moment timestamptz) returns date
language sql immutable parallel safe return date_trunc('month', moment at time zone 'UTC')::date;
comment on function sales.month_of(timestamptz) is 'First day of a moment''s month, UTC';

-- After lines came (sign 1) or went (sign -1), for whoever wrote them and by whichever statement. The parents are locked
-- first: the sums are taken when no other session can be between its lines and its totals. Parents that this very
-- transaction made are seen by nobody else.
create function sales.keep_totals() returns trigger
language plpgsql security definer set search_path = sales, pg_temp as $$
declare
    sign integer := tg_argv[0];
begin
    perform from sales_transaction
        where transaction_id in (select transaction_id from changed) and xmin <> pg_current_xact_id()::xid
        order by transaction_id for no key update;
    update sales_transaction as t
        set total_price = sums.price, total_weight_kg = sums.weight_kg
        from (
            select ids.transaction_id, coalesce(sum(line.price), 0) as price, coalesce(sum(line.weight_kg), 0) as weight_kg
            from (select distinct transaction_id from changed) as ids
            left join sales_line as line using (transaction_id)
            group by ids.transaction_id
        ) as sums
        where t.transaction_id = sums.transaction_id
            and (t.total_price <> sums.price or t.total_weight_kg <> sums.weight_kg);
    insert into item_sales_ledger (month, item_id, units, transactions, revenue)
        select month_of(t.occurred_at), c.item_id, sign * sum(c.quantity), sign * count(*), sign * sum(c.price)
        from changed as c
        join sales_transaction as t using (transaction_id)
        join transaction_status as s using (status)
        where s.counts_as_sale
        group by 1, 2;
    return null;
end
$$;
comment on function sales.keep_totals() is 'Keeps the totals and the item sales in step with changed lines';
create trigger lines_came after insert on sales.sales_line referencing new table as changed
    for each statement execute function sales.keep_totals('1');
create trigger lines_went after delete on sales.sales_line referencing old table as changed
    for each statement execute function sales.keep_totals('-1');
create trigger lines_changed_from after update on sales.sales_line referencing old table as changed
    for each statement execute function sales.keep_totals('-1');
create trigger lines_changed_to after update on sales.sales_line referencing new table as changed
    for each statement execute function sales.keep_totals('1');

-- Whoever writes totals writes the sums, or is refused.
create function sales.check_totals() returns trigger
language plpgsql security definer set search_path = sales, pg_temp as $$
declare
    wrong bigint;
begin
    select t.transaction_id into wrong
        from changed as t left join sales_line as line using (transaction_id)
        group by t.transaction_id, t.total_price, t.total_weight_kg
        having t.total_price <> coalesce(sum(line.price), 0) or t.total_weight_kg <> coalesce(sum(line.weight_kg), 0)
        limit 1;
    if found then
        raise check_violation using
            message = format('transaction %s: its totals are not the sums of its lines', wrong),
            hint = 'Leave the totals out: they follow the lines by themselves.';
    end if;
    return null;
end
$$;
comment on function sales.check_totals() is 'Refuses totals that are not the sums of the lines';
create trigger totals_of_new after insert on sales.sales_transaction referencing new table as changed
    for each statement execute function sales.check_totals();
create trigger totals_of_changed after update on sales.sales_transaction referencing new table as changed
    for each statement execute function sales.check_totals();

-- A transaction that begins or ceases to be a sale, or moves to another month, takes its lines along.
create function sales.move_item_sales() returns trigger
language plpgsql security definer set search_path = sales, pg_temp as $$
begin
    insert into item_sales_ledger (month, item_id, units, transactions, revenue)
        with moved as (
            select o.transaction_id, month_of(o.occurred_at) as old_month, month_of(n.occurred_at) as new_month,
                os.counts_as_sale as was_sale, ns.counts_as_sale as is_sale
            from was as o
            join changed as n using (transaction_id)
            join transaction_status as os on os.status = o.status
            join transaction_status as ns on ns.status = n.status
            where os.counts_as_sale <> ns.counts_as_sale or month_of(o.occurred_at) <> month_of(n.occurred_at)
        ),
        steps as (
            select transaction_id, old_month as month, -1 as sign from moved where was_sale
            union all
            select transaction_id, new_month, 1 from moved where is_sale
        )
        select steps.month, line.item_id, sum(sign * line.quantity), sum(sign), sum(sign * line.price)
        from steps join sales_line as line using (transaction_id)
        group by 1, 2;
    return null;
end
$$;
comment on function sales.move_item_sales() is 'Moves a transaction''s lines in the item sales when its status or month changes';
create trigger sale_moved after update on sales.sales_transaction referencing old table as was new table as changed
    for each statement execute function sales.move_item_sales();

create function sales.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise check_violation using message = format('%s cannot be truncated', tg_relid::regclass),
        hint = 'Delete the lines: totals and item sales follow a delete.';
end
$$;
comment on function sales.refuse_truncate() is 'Keeps lines from vanishing behind the totals';
create trigger no_truncate before truncate on sales.sales_line
    for each statement execute function sales.refuse_truncate();
create trigger no_truncate before truncate on sales.item_sales_ledger
    for each statement execute function sales.refuse_truncate();

-- What each member spent, as a ledger too. Totals stand in the transactions, so it follows those.
create table sales.member_sales_ledger (
    member_id bigint not null references sales.member,
    transactions bigint not null,
    spent numeric not null
);
create index member_sales_ledger_member_id_idx on sales.member_sales_ledger (member_id);
comment on table sales.member_sales_ledger is 'What members spent, as changes to be added up; written by triggers only';
comment on column sales.member_sales_ledger.member_id is 'Who bought';
comment on column sales.member_sales_ledger.transactions is 'Transactions, negative where one was taken back';
comment on column sales.member_sales_ledger.spent is 'Sum of the transactions'' totals, negative where one was taken back';

create function sales.keep_member_sales() returns trigger
language plpgsql security definer set search_path = sales, pg_temp as $$
declare
    sign integer := tg_argv[0];
begin
    insert into member_sales_ledger (member_id, transactions, spent)
        select c.member_id, sign * count(*), sign * sum(c.total_price)
        from changed as c
        join transaction_status as s using (status)
        where s.counts_as_sale
        group by c.member_id;
    return null;
end
$$;
comment on function sales.keep_member_sales() is 'Keeps the members'' spending in step with changed transactions';
create trigger transactions_came after insert on sales.sales_transaction referencing new table as changed
    for each statement execute function sales.keep_member_sales('1');
create trigger transactions_went after delete on sales.sales_transaction referencing old table as changed
    for each statement execute function sales.keep_member_sales('-1');
create trigger transactions_changed_from after update on sales.sales_transaction referencing old table as changed
    for each statement execute function sales.keep_member_sales('-1');
create trigger transactions_changed_to after update on sales.sales_transaction referencing new table as changed
    for each statement execute function sales.keep_member_sales('1');
create trigger no_truncate before truncate on sales.member_sales_ledger
    for each statement execute function sales.refuse_truncate();

-- Both ledgers anew, from the lines: after a bulk load, and when other statuses count.
create function sales.rebuild_ledgers() returns void
language sql security definer set search_path = sales, pg_temp as $$
    delete from item_sales_ledger;
    insert into item_sales_ledger (month, item_id, units, transactions, revenue)
    select month_of(t.occurred_at), line.item_id, sum(line.quantity), count(*), sum(line.price)
    from sales_transaction as t
    join transaction_status as s using (status)
    join sales_line as line using (transaction_id)
    where s.counts_as_sale
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
comment on function sales.rebuild_ledgers() is 'Makes both ledgers anew from the lines and transactions';

create function sales.other_statuses_count() returns trigger
language plpgsql security definer set search_path = sales, pg_temp as $$
begin
    lock table sales_transaction, sales_line in share row exclusive mode;
    perform rebuild_ledgers();
    return null;
end
$$;
comment on function sales.other_statuses_count() is 'Follows a change of which statuses count as sales';
create trigger other_statuses_count after update on sales.transaction_status
    for each statement execute function sales.other_statuses_count();

create function sales.compact_ledgers() returns void
language sql security definer set search_path = sales, pg_temp as $$
    with gone as (delete from item_sales_ledger returning month, item_id, units, transactions, revenue)
    insert into item_sales_ledger (month, item_id, units, transactions, revenue)
    select month, item_id, sum(units), sum(transactions), sum(revenue)
    from gone
    group by month, item_id
    having sum(units) <> 0 or sum(transactions) <> 0 or sum(revenue) <> 0
    order by month, item_id;
    with gone as (delete from member_sales_ledger returning member_id, transactions, spent)
    insert into member_sales_ledger (member_id, transactions, spent)
    select member_id, sum(transactions), sum(spent)
    from gone
    group by member_id
    having sum(transactions) <> 0 or sum(spent) <> 0
    order by member_id
$$;
comment on function sales.compact_ledgers() is 'Makes one row of many in both ledgers; changes no sum';

create view sales.counted_transaction as
    select t.transaction_id, t.member_id, t.occurred_at, t.status, t.total_price, t.total_weight_kg
    from sales.sales_transaction as t
    join sales.transaction_status as s using (status)
    where s.counts_as_sale;
comment on view sales.counted_transaction is 'The transactions that count as sales';
