#!/bin/sh
# What section 4's Postgres container does: the image's own start, then the roles and their passwords, at every start: a
# new file in secrets/section4 is a new password. /run/section4 is where the health check looks.
set -eu

# Postgres is told to stop (SIGINT: sessions end, nothing is lost) when the container is.
trap 'kill -INT "$server" 2>/dev/null || :' TERM INT
docker-entrypoint.sh postgres -c timezone=UTC &
server=$!
# Over TCP: while the data folder is being made, Postgres answers on the socket only.
until pg_isready --quiet --host 127.0.0.1; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.2
done

prepare() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname covid --file /etc/section4/roles.sql
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname covid <<'END'
set log_min_error_statement = panic;
select not exists (select from pg_roles where rolname = 'loader') as missing \gset
\if :missing
create role loader;
\endif
\set password `cat /run/secrets/loader`
alter role loader login password :'password';
\set password `cat /run/secrets/grafana_reader`
alter role grafana login password :'password';
alter database covid owner to loader;
END
}

if prepare; then
    touch /run/section4/ready
else
    echo "section4: the roles could not be made, for the reason above" >&2
    kill -INT "$server"
fi
while kill -0 "$server" 2>/dev/null; do
    code=0
    wait "$server" || code=$?
done
[ -e /run/section4/ready ] || exit 1
exit "$code"
