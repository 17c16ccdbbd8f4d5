set local role owner;

create table reporting.member_load (
    run_id text primary key,
    loaded_at timestamptz not null default now(),
    records bigint not null,
    successful bigint not null,
    unsuccessful bigint not null,
    inserted bigint not null,
    updated bigint not null,
    unchanged bigint not null,
    rejected bigint not null,
    constraint every_success_is_accounted_for check (inserted + updated + unchanged + rejected = successful)
);
comment on table reporting.member_load is 'Published runs of section 1 that were loaded, one row each';
comment on column reporting.member_load.run_id is 'Section 1''s run';
comment on column reporting.member_load.loaded_at is 'When it was loaded';
comment on column reporting.member_load.records is 'Applications that the run judged';
comment on column reporting.member_load.successful is 'Those that were successful';
comment on column reporting.member_load.unsuccessful is 'Those that were not';
comment on column reporting.member_load.inserted is 'New members';
comment on column reporting.member_load.updated is 'Members that changed';
comment on column reporting.member_load.unchanged is 'Members that were the same, and not written';
comment on column reporting.member_load.rejected is 'Successes that the database does not take';

create view reporting.item_sales as
    select ledger.month, ledger.item_id, sum(ledger.units)::bigint as units,
        sum(ledger.transactions)::bigint as transactions, sum(ledger.revenue) as revenue
    from sales.item_sales_ledger as ledger
    group by ledger.month, ledger.item_id;
comment on view reporting.item_sales is 'Units, transactions and revenue of each item in each month';

create view reporting.manufacturer_sales as
    select ledger.month, manufacturer.name as manufacturer, sum(ledger.units)::bigint as units,
        sum(ledger.revenue) as revenue
    from sales.item_sales_ledger as ledger
    join sales.item using (item_id)
    join sales.manufacturer using (manufacturer_id)
    group by ledger.month, manufacturer.name;
comment on view reporting.manufacturer_sales is 'Units and revenue of each manufacturer in each month';

create view reporting.membership as
    select membership_status, count(*) as members from sales.member group by membership_status;
comment on view reporting.membership is 'Number of members of each status';

-- What to call a member: by name for those who may read names, by number for all others.
create view sales.member_label as
    select member_id,
        case
            when has_column_privilege('sales.member', 'last_name', 'select') then ltrim(first_name || ' ' || last_name)
            else 'member ' || member_id
        end as label
    from sales.member;
comment on view sales.member_label is 'Members by name for those who may read names, by number for all others';

comment on column sales.counted_transaction.transaction_id is 'Key of the transaction';
comment on column sales.counted_transaction.member_id is 'Who bought';
comment on column sales.counted_transaction.occurred_at is 'When';
comment on column sales.counted_transaction.status is 'State, one that counts as a sale';
comment on column sales.counted_transaction.total_price is 'Sum of the lines'' prices';
comment on column sales.counted_transaction.total_weight_kg is 'Sum of the lines'' weights in kilograms';
comment on column reporting.item_sales.month is 'First day of the month, UTC';
comment on column reporting.item_sales.item_id is 'The item';
comment on column reporting.item_sales.units is 'Pieces sold';
comment on column reporting.item_sales.transactions is 'Transactions with the item';
comment on column reporting.item_sales.revenue is 'Sum of the lines'' prices';
comment on column reporting.manufacturer_sales.month is 'First day of the month, UTC';
comment on column reporting.manufacturer_sales.manufacturer is 'Name of the manufacturer';
comment on column reporting.manufacturer_sales.units is 'Pieces sold';
comment on column reporting.manufacturer_sales.revenue is 'Sum of the lines'' prices';
comment on column reporting.membership.membership_status is 'active, suspended or ended';
comment on column reporting.membership.members is 'Number of members';
comment on column sales.member_label.member_id is 'Key of the member';
comment on column sales.member_label.label is 'Name, or a number for those who may not read names';

create table sales.member_rejection (
    run_id text not null references reporting.member_load,
    record_number bigint not null,
    reason text not null,
    primary key (run_id, record_number)
);
comment on table sales.member_rejection is 'Successes of section 1 that the database does not take, one row each';
comment on column sales.member_rejection.run_id is 'Section 1''s run';
comment on column sales.member_rejection.record_number is 'Number of the record in the run''s file, from 1 after the header';
comment on column sales.member_rejection.reason is 'Why: the column that is wrong, or email_given_twice';
