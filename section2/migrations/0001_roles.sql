-- The teams. Roles belong to the whole server, so they may be there already. Passwords are set where the server is
-- reached over a network; here nobody can log in yet.
do $$
declare
    team text;
begin
    foreach team in array array['owner', 'loader', 'logistics', 'analytics', 'sales', 'grafana'] loop
        if not exists (select from pg_roles where rolname = team) then
            execute format('create role %I nologin', team);
        end if;
        execute format('alter role %I in database %I set search_path = sales, reporting', team, current_database());
        execute format('grant connect on database %I to %I', current_database(), team);
    end loop;
    execute format('revoke all on database %I from public', current_database());
    execute format('alter database %I set search_path = sales, reporting', current_database());
    execute format('alter database %I set timezone = ''UTC''', current_database());
    execute format('grant temporary on database %I to owner, loader', current_database());
end
$$;
comment on role owner is 'Owns the schema; changes it by migrations';
comment on role loader is 'Loads members and sales';
comment on role logistics is 'Ships: reads sales and weights, sets the status of completed transactions';
comment on role analytics is 'Analyses sales and membership status, without personal data; writes nothing';
comment on role sales is 'Adds items, retires them';
comment on role grafana is 'Draws dashboards from aggregates';

-- A dashboard must not hold up the shop, nor change it.
alter role grafana set default_transaction_read_only = on;
alter role grafana set statement_timeout = '10s';
alter role grafana connection limit 20;
alter role analytics set default_transaction_read_only = on;

revoke all on schema public from public;

create schema sales authorization owner;
comment on schema sales is 'Members, items and what was sold';
create schema reporting authorization owner;
comment on schema reporting is 'Aggregates, and what the loads did: nothing here is about one person';
grant usage on schema sales to loader, logistics, analytics, sales;
grant usage on schema reporting to loader, analytics, grafana;

-- What a later migration adds is nobody's but the owner's until it is granted; aggregates may be seen by those who
-- draw and analyse them.
alter default privileges for role owner revoke execute on functions from public;
alter default privileges for role owner in schema reporting grant select on tables to analytics, grafana;
