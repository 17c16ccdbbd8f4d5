-- What each role can really do, by whatever way it came to it: own grants, inherited ones, PUBLIC's. The owner's rights
-- on what it owns are not listed one by one. A verb on some columns only is listed with the columns.
with teams as (
    select rolname as role, oid from pg_roles where rolname in ('loader', 'logistics', 'analytics', 'sales', 'grafana')
    union all
    select 'PUBLIC', 0
),
relations as (
    select c.oid, format('%I.%I', n.nspname, c.relname) as object
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('sales', 'reporting', 'public') and c.relkind in ('r', 'v', 'm', 'p', 'f')
),
verbs as (
    select unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as verb
),
whole as (
    select role, object, verb
    from teams cross join relations cross join verbs
    where case
        when role <> 'PUBLIC' then has_table_privilege(teams.oid, relations.oid, verb)
        else exists (
            select from pg_class as c, aclexplode(c.relacl) as acl
            where c.oid = relations.oid and acl.grantee = 0 and lower(acl.privilege_type) = verb
        )
    end
),
parts as (
    select role, object, format('%s (%s)', verb, string_agg(a.attname, ', ' order by a.attnum)) as verb
    from teams
    cross join relations
    cross join verbs
    join pg_attribute as a on a.attrelid = relations.oid and a.attnum > 0 and not a.attisdropped
    where verb in ('select', 'insert', 'update', 'references')
        and case
            when role <> 'PUBLIC' then has_column_privilege(teams.oid, relations.oid, a.attnum, verb)
            else exists (
                select from aclexplode(a.attacl) as acl where acl.grantee = 0 and lower(acl.privilege_type) = verb
            )
        end
        and not exists (
            select from whole
            where (whole.role, whole.object, whole.verb) = (teams.role, relations.object, verbs.verb)
        )
    group by role, object, verbs.verb
),
schemas as (
    select role, 'schema ' || nspname, verb
    from teams cross join pg_namespace cross join unnest(array['usage', 'create']) as verb
    where nspname in ('sales', 'reporting', 'public')
        and case
            when role <> 'PUBLIC' then has_schema_privilege(teams.oid, pg_namespace.oid, verb)
            else exists (
                select from aclexplode(nspacl) as acl where acl.grantee = 0 and lower(acl.privilege_type) = verb
            )
        end
),
databases as (
    select role, 'database', verb
    from teams cross join pg_database cross join unnest(array['connect', 'create', 'temporary']) as verb
    where datname = current_database()
        and case
            when role <> 'PUBLIC' then has_database_privilege(teams.oid, pg_database.oid, verb)
            else exists (
                select from aclexplode(datacl) as acl where acl.grantee = 0 and lower(acl.privilege_type) = verb
            )
        end
),
sequences as (
    select role, format('sequence %I.%I', n.nspname, c.relname), verb
    from teams
    cross join pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    cross join unnest(array['usage', 'select', 'update']) as verb
    where n.nspname in ('sales', 'reporting', 'public') and c.relkind = 'S'
        and case
            when role <> 'PUBLIC' then has_sequence_privilege(teams.oid, c.oid, verb)
            else exists (select from aclexplode(c.relacl) as acl where acl.grantee = 0 and lower(acl.privilege_type) = verb)
        end
),
functions as (
    select role, format('function %I.%I', n.nspname, p.proname), 'execute'
    from teams cross join pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname in ('sales', 'reporting', 'public')
        and case
            when role <> 'PUBLIC' then has_function_privilege(teams.oid, p.oid, 'execute')
            else p.proacl is null or exists (select from aclexplode(p.proacl) as acl where acl.grantee = 0)
        end
)
select * from whole
union select * from parts
union select * from sequences
union select * from schemas
union select * from databases
union select * from functions
order by 1, 2, 3;
