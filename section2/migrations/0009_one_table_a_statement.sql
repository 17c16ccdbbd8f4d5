set local role owner;

-- keep_totals() and move_item_sales() each look at the other's table as it is when the statement ends, so a statement
-- that changes lines and, say, the status of their transaction would be counted twice. Such a statement is refused. To
-- add a transaction together with its lines is none: nothing is known of it before.
--
-- How many statements are at work on each of the two is kept in two settings of the transaction, which go back by
-- themselves when a statement fails.
create function sales.begin_change() returns trigger
language plpgsql set search_path = sales, pg_temp as $$
declare
    this text := 'sales.changes_of_' || tg_argv[0];
    other text := 'sales.changes_of_' || tg_argv[1];
begin
    if coalesce(nullif(current_setting(other, true), ''), '0') <> '0' then
        raise check_violation using
            message = 'one statement cannot change lines and also the status, time or number of transactions',
            hint = 'Make it two statements of one transaction.';
    end if;
    perform set_config(this, (coalesce(nullif(current_setting(this, true), ''), '0')::integer + 1)::text, true);
    return null;
end
$$;
comment on function sales.begin_change() is 'Refuses a statement that changes both lines and transactions';

create function sales.end_change() returns trigger
language plpgsql set search_path = sales, pg_temp as $$
declare
    this text := 'sales.changes_of_' || tg_argv[0];
begin
    perform set_config(this, (current_setting(this)::integer - 1)::text, true);
    return null;
end
$$;
comment on function sales.end_change() is 'Ends what begin_change() began';

create trigger begin_change before insert or update or delete on sales.sales_line
    for each statement execute function sales.begin_change('lines', 'transactions');
create trigger end_change after insert or update or delete on sales.sales_line
    for each statement execute function sales.end_change('lines');
create trigger begin_change before update of transaction_id, occurred_at, status or delete on sales.sales_transaction
    for each statement execute function sales.begin_change('transactions', 'lines');
create trigger end_change after update of transaction_id, occurred_at, status or delete on sales.sales_transaction
    for each statement execute function sales.end_change('transactions');
