-- The role that Grafana reads through: it may see the reporting views (the migrations grant that), for so long, and
-- changes nothing. Run by a superuser, as often as you like; where the server is reached over a network,
-- docker/section4_database.sh gives it a password.
do $$
begin
    if not exists (select from pg_roles where rolname = 'grafana') then
        create role grafana nologin;
    end if;
end
$$;
alter role grafana set default_transaction_read_only = on;
alter role grafana set statement_timeout = '10s';
alter role grafana set timezone = 'UTC';
alter role grafana connection limit 20;
